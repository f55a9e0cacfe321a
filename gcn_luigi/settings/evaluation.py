"""Settings of what is measured for an evaluation, beyond what every dataset has."""

from gcn_luigi.settings.section import Section


class EvaluationSettings(Section):
    """What is measured in addition."""

    # Variograms of bands and label beside the buffer of the split; this needs the extra `variogram`.
    autocorrelation: bool = False
