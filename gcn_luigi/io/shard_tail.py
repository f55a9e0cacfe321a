"""The former location of `write_footer`, then called `write_tail`. It keeps working for one version, with a warning."""

from gcn_luigi.former_names import moved

__getattr__ = moved("gcn_luigi.io.shard_tail.write_tail", "gcn_luigi.io.shard.format.write_footer")
