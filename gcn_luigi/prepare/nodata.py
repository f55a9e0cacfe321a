"""The former location of `Flag`. It keeps working for one version and gives a DeprecationWarning."""

import warnings
from typing import Any

from gcn_luigi.prepare.missing import fill


def __getattr__(name: str) -> Any:
    if name != "Flag":
        raise AttributeError(f"module 'gcn_luigi.prepare.nodata' has no attribute {name!r}")
    warnings.warn("gcn_luigi.prepare.nodata.Flag is now gcn_luigi.Flag", DeprecationWarning, stacklevel=2)
    return fill.Flag
