"""Names that moved to other modules: the former place works for one version, with a DeprecationWarning."""

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def moved(former: str, name: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of the module that held `former`. It gives what is now called `name`; both are whole.

    The new module is imported only when the former name is asked for.
    """
    place, _, known = former.rpartition(".")
    module, _, attribute = name.rpartition(".")

    def get(asked: str) -> Any:
        if asked != known:
            raise AttributeError(f"module {place!r} has no attribute {asked!r}")
        warnings.warn(f"{former} is now {name}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(module), attribute)

    return get
