"""What travels between a build and a node: names and plain values, never an object.

An order names a task and its parameters as Luigi writes them on a command line, and the node makes that task from its
own copy of the package. The answer is a dictionary of texts and numbers.
"""

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import luigi

from gcn_luigi import errors

# Parameters that are paths; a node has another working directory.
_PATHS = ("output_root", "config_dir", "data_root")


@dataclass(frozen=True)
class Order:
    """One task to make: where its family is defined, its parameters as texts, and what the node must agree with.

    `key` identifies this attempt on the cluster, and `topic` is where its messages go. `versions` are those of the
    machine that orders.
    """

    key: str
    topic: str
    module: str
    family: str
    parameters: Mapping[str, str]
    versions: Mapping[str, str]

    @classmethod
    def of(cls, task: Any, *, key: str, topic: str, versions: Mapping[str, str], memory_mb: int) -> Self:
        """Return the order for a RegionTask, with absolute paths and a memory limit; 0 for what the node allows."""
        parameters = dict(task.to_str_params())
        for name in _PATHS:
            if parameters.get(name):
                parameters[name] = str(Path(parameters[name]).resolve())
        # The node makes the task itself, instead of passing it on.
        parameters |= {"dask": "", "memory_mb": str(memory_mb)}
        return cls(key, topic, task.task_module, task.get_task_family(), parameters, dict(versions))

    def plain(self) -> dict[str, Any]:
        """Return the order as a dictionary of texts."""
        return asdict(self)

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Self:
        """Return the order that `plain` wrote."""
        return cls(**plain)

    def within(self, memory_mb: int) -> "Order":
        """Return the same order with a memory limit that is at most `memory_mb`; 0 for none."""
        own = int(self.parameters.get("memory_mb") or 0)
        least = min((limit for limit in (own, memory_mb) if limit), default=0)
        return Order.read({**self.plain(), "parameters": {**self.parameters, "memory_mb": str(least)}})

    def task(self) -> Any:
        """Return the task, from Luigi's register."""
        return luigi.task_register.load_task(self.module, self.family, dict(self.parameters))


def describe_error(error: BaseException) -> dict[str, str]:
    """Return an error as texts: the parts of a deliberate one, otherwise its traceback."""
    if isinstance(error, errors.GcnLuigiError):
        return {"kind": type(error).__name__, "what": error.what, "where": error.where, "fix": error.fix}
    return {"kind": "", "what": "".join(traceback.format_exception(error)).strip()}


def error_from(described: Mapping[str, str], *, name: str, node: str) -> errors.GcnLuigiError:
    """Return the error that `describe_error` described, with the node's name; `name` is the task's."""
    kind = getattr(errors, described.get("kind") or "", None)
    if isinstance(kind, type) and issubclass(kind, errors.GcnLuigiError):
        return kind(described["what"], where=f"{described['where']} (on node {node})", fix=described["fix"])
    return errors.ClusterError(
        f"an unexpected error on a node\n{described['what']}",
        where=f"{name} (on node {node})",
        fix="run it without the cluster: if it fails there as well, this is a bug; please report it",
    )
