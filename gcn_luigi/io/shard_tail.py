"""The former location of `write_footer`, then called `write_tail`. It keeps working for one version, with a warning."""

import warnings
from typing import Any

from gcn_luigi.io.shard import format as shard_format


def __getattr__(name: str) -> Any:
    if name != "write_tail":
        raise AttributeError(f"module 'gcn_luigi.io.shard_tail' has no attribute {name!r}")
    place = "gcn_luigi.io.shard.format.write_footer"
    warnings.warn(f"gcn_luigi.io.shard_tail.write_tail is now {place}", DeprecationWarning, stacklevel=2)
    return shard_format.write_footer
