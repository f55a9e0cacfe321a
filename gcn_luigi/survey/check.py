"""Check a draft with the readers of the build, as far as that takes seconds."""

import tomllib
from collections.abc import Iterator

from pydantic import ValidationError

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.settings import RegionSettings
from gcn_luigi.survey.sources import Findings

# Headers of more files, and shapes of more outlines, are read by the build only.
_MOST_FILES, _MOST_OUTLINES = 1500, 5000


def problems(text: str, found: Findings) -> Iterator[str]:
    """Yield what would stop a build with the TOML file `text` and the sources that were found, each with its fix.

    Nothing is checked if the file cannot be used before a question is answered, if there are very many files, or if
    bands are in cubes, which the build first turns into tiles.
    """
    try:
        settings = RegionSettings.model_validate(tomllib.loads(text))
    except ValidationError:
        return
    cubes = set(found.cubes)
    n_files = sum(len(image.group.files) for image in found.images)
    if n_files > _MOST_FILES or any(table.path in cubes for table in settings.bands):
        return
    try:
        lattice = scan_tiles(found.root, settings).lattice
    except GcnLuigiError as error:
        yield _told(error)
        return
    path = found.root / settings.outlines.path
    n_outlines = max((len(layer.table) for layer in found.layers), default=0)
    if 0 < n_outlines <= _MOST_OUTLINES and path.exists():
        try:
            read_outlines(path, settings.outlines, lattice, settings.years)
        except GcnLuigiError as error:
            yield _told(error)


def _told(error: GcnLuigiError) -> str:
    return f"`gcn plan` will stop here: {error.what}. To fix it: {error.fix}"
