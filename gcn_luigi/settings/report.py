"""Settings of the quality page and of styles for a GIS."""

from gcn_luigi.settings.section import Section


class ReportSettings(Section):
    """What the quality page, the served pages and the styles show."""

    # Names of the bands shown as red, green and blue; if this is not given, names and wavelengths decide.
    composite: tuple[str, str, str] | None = None
