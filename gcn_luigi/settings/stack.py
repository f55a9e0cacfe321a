"""Settings of the stack: the type of its samples."""

from typing import Literal

from gcn_luigi.settings.section import Section

StackType = Literal["int16", "float32"]


class StackSettings(Section):
    """The type in which a stack, and so every chip, holds its bands."""

    # float32 keeps fractions: source * scale + offset is stored without rounding to whole numbers.
    dtype: StackType = "int16"
