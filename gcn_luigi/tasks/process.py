"""The former module of `ChildContext`, kept for one version because a user's luigi.cfg may name it."""

import warnings
from typing import Any

from gcn_luigi.luigi_host import worker


def __getattr__(name: str) -> Any:
    if name != "ChildContext":
        raise AttributeError(f"module 'gcn_luigi.tasks.process' has no attribute {name!r}")
    place = "gcn_luigi.luigi_host.worker.ChildContext"
    warnings.warn(f"gcn_luigi.tasks.process.ChildContext is now {place}", DeprecationWarning, stacklevel=2)
    return worker.ChildContext
