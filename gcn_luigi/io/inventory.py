"""The former location of `Inventory`. It keeps working for one version and gives a DeprecationWarning."""

from gcn_luigi.former_names import moved

__getattr__ = moved("gcn_luigi.io.inventory.Inventory", "gcn_luigi.io.inputs.inventory.Inventory")
