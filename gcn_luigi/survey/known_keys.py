"""Which keys this version of the package knows, so that a draft never proposes one that would be refused."""

from typing import Any, get_args

from pydantic import BaseModel

from gcn_luigi.settings import BandSettings, RegionSettings, sources


def has_key(section: str, key: str = "") -> bool:
    """Return whether a section, or a key of it, exists.

    Examples
    --------
    >>> has_key("label", "stem"), has_key("bands", "path"), has_key("bands", "no_such_key")
    (True, True, False)
    """
    model = BandSettings if section == "bands" else _model(section)
    return model is not None and (not key or key in model.model_fields)


def reads_cubes() -> bool:
    """Return whether ``[[bands]] path`` takes Zarr stores and netCDF files."""
    return bool(getattr(sources, "CUBES", ()))


def _model(section: str) -> type[BaseModel] | None:
    field = RegionSettings.model_fields.get(section)
    kinds: tuple[Any, ...] = () if field is None else (field.annotation, *get_args(field.annotation))
    return next(
        (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)),
        None,
    )
