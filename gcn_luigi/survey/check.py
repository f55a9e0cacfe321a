"""Check a draft with the readers of the build, as far as that takes seconds."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.inputs.matching import Findings, list_candidates
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.settings import RegionSettings

# Headers of more files, and shapes of more outlines, are read by the build only.
_MOST_FILES, _MOST_OUTLINES = 1500, 5000


def problems(text: str, root: Path, *, n_outlines: int) -> Iterator[str]:
    """Yield what would stop a build with the TOML file `text` and the sources below `root`, each with how to fix it.

    With many files, only their names are compared with the settings.
    """
    try:
        settings = RegionSettings.model_validate(tomllib.loads(text))
    except ValidationError:
        # A question says what must be written into the file first.
        return
    onto = None
    try:
        findings = Findings()
        candidates, _ = list_candidates(root, settings, findings)
        if len(candidates) <= _MOST_FILES:
            onto = scan_tiles(root, settings).lattice
        else:
            findings.check(root)
    except GcnLuigiError as error:
        yield _told(error)
    path = root / settings.outlines.path
    if onto is not None and n_outlines and n_outlines <= _MOST_OUTLINES and path.exists():
        try:
            read_outlines(path, settings.outlines, onto, settings.years)
        except GcnLuigiError as error:
            yield _told(error)


def _told(error: GcnLuigiError) -> str:
    return f"`gcn plan` will stop here: {error.what}. To fix it: {error.fix}"
