"""Training chips for glacier-cover networks: one Luigi graph from STEM tiles to HDF5 shards."""

from typing import TYPE_CHECKING

from gcn_luigi.version import __version__

if TYPE_CHECKING:
    import os

    from gcn_luigi.read.dataset import Dataset

__all__ = ["__version__", "open_dataset"]


def open_dataset(directory: "str | os.PathLike[str]") -> "Dataset":
    """Open a finished dataset.

    Parameters
    ----------
    directory : path-like
        ``<output>/<region>``, where ``dataset.json`` lies.

    Returns
    -------
    Dataset
        With ``index``, ``catalog``, ``statistics`` and ``chips(split)``.

    Raises
    ------
    ShardError
        There is no finished dataset.
    ConfigError
        `directory` is in a store or on the web.
    """
    # Here, so that `import gcn_luigi` alone stays light.
    from gcn_luigi.io.inputs.remote import refuse_remote  # noqa: PLC0415
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415

    refuse_remote(str(directory), where="open_dataset", is_source=True)
    return Dataset(directory)
