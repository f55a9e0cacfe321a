"""Base of all sections of a region's TOML file: which values a key takes, and keys under their former names."""

import warnings
from collections.abc import Mapping, ValuesView
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gcn_luigi.old_keys import OLD_KEYS, renew_section

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of all sections: frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)
    # Name of its table in the TOML file, if some of its keys were renamed.
    table: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        if not cls.table or not isinstance(values, Mapping):
            return values
        renewed, notes = renew_section(cls.table, values)
        for note in notes:
            warnings.warn(note, DeprecationWarning, stacklevel=3)
        return renewed

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            renamed = OLD_KEYS.get(self.table, {}).get(name)
            if renamed is None or not renamed.new:
                return super().__getattr__(name)
            warnings.warn(f"{self.table}.{name} is now {self.table}.{renamed.new}", DeprecationWarning, stacklevel=2)
            value = self
            for part in renamed.new.split("."):
                value = getattr(value, part)
            return renamed.before(value)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # Without this, true would be read as 1, and 0 as false.
        annotation = cls.model_fields[str(info.field_name)].annotation
        # A section checks its own keys.
        held = value.values() if get_origin(annotation) is dict and isinstance(value, dict) else value
        items = held if isinstance(held, (list, tuple, ValuesView)) else (held,)
        if annotation not in (bool, bool | None) and any(isinstance(item, bool) for item in items):
            raise ValueError("this key does not take true or false")
        if annotation in (bool, bool | None) and value is not None and not isinstance(value, bool):
            raise ValueError(f"give true or false, without quotation marks, not {value!r}")
        return value
