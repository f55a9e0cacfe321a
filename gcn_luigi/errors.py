"""Every deliberate failure of the package, in one tree.

::

    GcnLuigiError
    ├── ConfigError      ValueError    a setting is missing, misspelt or out of range
    ├── LatticeError     ValueError    pixels are not where they must be
    ├── InputError       ValueError    a source file is missing, damaged or not what it claims
    ├── ShardError       ValueError    a finished dataset does not hold what it should
    ├── PublishError     OSError       a result could not be written
    ├── ResourceError    MemoryError   a task needs more memory than it may have
    ├── StoreError       OSError       an object store cannot be reached, or does not permit reading
    ├── ClusterError     RuntimeError  a cluster cannot be used, or its nodes were lost or failed
    └── SchedulerError   RuntimeError  no scheduler answers, or it is not trusted

An error says what is wrong, where, and how to fix it.
"""

import functools
from collections.abc import Iterable
from typing import Any


class GcnLuigiError(Exception):
    """Base of all deliberate failures.

    Parameters
    ----------
    what : str
        What is wrong, in one sentence.
    where : str
        The file, key, band or partition concerned.
    fix : str
        What the user can do about it.
    """

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        """Return the three parts, one per line."""
        return f"{self.what}\n  where: {self.where}\n  fix:   {self.fix}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from all three parts, because the default drops keyword-only fields."""
        rebuild = functools.partial(type(self), where=self.where, fix=self.fix)
        return rebuild, (self.what,)


class ConfigError(GcnLuigiError, ValueError):
    """A setting is missing, misspelt or out of range."""


class LatticeError(GcnLuigiError, ValueError):
    """Pixels are not where they must be."""


class InputError(GcnLuigiError, ValueError):
    """A source file is missing, damaged or not what it claims to be."""


class ShardError(GcnLuigiError, ValueError):
    """A finished dataset does not hold what it should."""


class PublishError(GcnLuigiError, OSError):
    """A result could not be written."""


class ResourceError(GcnLuigiError, MemoryError):
    """A task needs more memory than it may have."""


class StoreError(GcnLuigiError, OSError):
    """An object store cannot be reached, or does not permit reading."""


class ClusterError(GcnLuigiError, RuntimeError):
    """A cluster cannot be used, or its nodes were lost or failed."""


class SchedulerError(GcnLuigiError, RuntimeError):
    """No scheduler answers, or it is not trusted."""


def listed(texts: Iterable[str]) -> str:
    """Return texts as one would say them: ``a``, ``a and b``, ``a, b and c``; an empty text for none."""
    *first, last = [*texts] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def few(names: Iterable[str], limit: int = 5) -> str:
    """Return the first `limit` names, and how many more there are, for a message."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
