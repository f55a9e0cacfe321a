"""What drawing needs that reading does not."""

from collections.abc import Iterator
from contextlib import contextmanager

from gcn_luigi.errors import ConfigError


@contextmanager
def drawing(where: str) -> Iterator[None]:
    """Import what draws within this context: ConfigError about `where` says how to install what is missing."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"drawing needs matplotlib, which cannot be imported ({error})",
            where=where,
            fix="pip install matplotlib; in a notebook, the dataset itself shows a chip without it",
        ) from error
