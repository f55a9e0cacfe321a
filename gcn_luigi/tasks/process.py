"""The former module of `ChildContext`, kept for one version because a user's luigi.cfg may name it."""

from gcn_luigi.former_names import moved

__getattr__ = moved("gcn_luigi.tasks.process.ChildContext", "gcn_luigi.luigi_host.worker.ChildContext")
