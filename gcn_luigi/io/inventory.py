"""The former location of `Inventory`. It keeps working for one version and gives a DeprecationWarning."""

import warnings
from typing import Any

from gcn_luigi.io.inputs import inventory


def __getattr__(name: str) -> Any:
    if name != "Inventory":
        raise AttributeError(f"module 'gcn_luigi.io.inventory' has no attribute {name!r}")
    place = "gcn_luigi.io.inputs.inventory.Inventory"
    warnings.warn(f"gcn_luigi.io.inventory.Inventory is now {place}", DeprecationWarning, stacklevel=2)
    return inventory.Inventory
