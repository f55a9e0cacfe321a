"""The former location of `Flag`. It keeps working for one version and gives a DeprecationWarning."""

from gcn_luigi.former_names import moved

__getattr__ = moved("gcn_luigi.prepare.nodata.Flag", "gcn_luigi.Flag")
