"""Settings of the classes of the label."""

from gcn_luigi.settings.section import Section


class ClassSettings(Section):
    """One ``[[classes]]`` table; `gcn_luigi.classes.ClassTable` checks all of them together."""

    name: str
    value: int
    # #rrggbb; a class without one gets one.
    colour: str | None = None
    # Whether its pixels are glacier; if not given, debris and ice are.
    glacier: bool | None = None
