"""Conversion of the published workflow's params file (JSON, every value a text) to a region's TOML file."""

import difflib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from gcn_luigi.errors import ConfigError, LatticeError
from gcn_luigi.io.raster.crs import crs_of

_PATHS = ("image_tiles_dir", "topo_tiles_dir", "class_label_raster", "distance_raster", "grid")
_WHOLE = ("image_chip_size", "chip_step")
_REJECTS = ("rejects", "train_rejects")
_REJECT_LISTS = (".csv", ".txt")
_TWO_GRIDS = 'one grid with a column "split" serves both: [grid] path, and [split] method = "column"'
_IN_SHARDS = "chips of both splits are in the dataset's shards"
_ON_REQUEST = "the task gcn.PartitionFiles writes partitions on request"
_NO_PREDICTION = "this package does not predict"
# Keys that have no counterpart, and what replaces them.
_UNUSED = {
    "tiles_shapefile": "tiles are found by their directories",
    "pts_shapefile": "points are not used",
    "output_dir": "use gcn run --output",
    "vrt_dir": "mosaics are in the dataset's directory",
    "train_image_dir": _IN_SHARDS,
    "class_label_dir": "the label is one raster: [label] raster",
    "topo_raster": "topography is made from the tiles: [tiles] topo",
    "full_study_area_vrts": "stacks are in the dataset's directory",
    "train_grid": _TWO_GRIDS,
    "dev_grid": _TWO_GRIDS,
    "train_partitions": _ON_REQUEST,
    "dev_partitions": _ON_REQUEST,
    "train_dest": _IN_SHARDS,
    "dev_dest": _IN_SHARDS,
    "rejects": "not a list of ids (.csv or .txt); [chips] says which chips are rejected, and they are not moved",
    "train_rejects": "not a list of ids (.csv or .txt), or a second list: join the lists",
    "chunk_dir": _NO_PREDICTION,
    "model_outputs": _NO_PREDICTION,
    "input_dir": _NO_PREDICTION,
}
_TAKEN = ("projection", "resolution", *_WHOLE, *_PATHS)
_KNOWN = (*_TAKEN, *_UNUSED)

# Values that the published study used but its params file does not contain.
_YEARS = list(range(1986, 2021, 2))
_PARTITION_PX = 256
_BANDS = (
    *((name, "optical", name, -32768) for name in ("nbr", "ndsi", "ndvi", "tcb", "tcw")),
    *((name, "topo", f"{name}_temp_int", -9999) for name in ("north", "south", "curvature")),
    ("dem", "topo", "cubic_temp_int", -9999),
    ("rmse", "quality", "rmse", -32768),
)
_NOT_SAID = "Not in the params file: check this value."


def import_params(path: Path, region: str) -> str:
    """Return the TOML text of a region, made from a params file as far as possible, for `load_region`.

    The file holds a JSON object. Numbers may be texts; an empty text and null count as not given. Paths become
    relative to their common directory, which becomes ``data_root``; relative paths start at the params file. The
    function does not check whether the sources exist. Values that the file does not contain are those of the published
    study, and are marked. Keys without a counterpart become comments at the end, with the reason.

    Raises
    ------
    ConfigError
        The file is missing or not a JSON object, or values cannot be used; the message names every such key.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", region):
        raise ConfigError(
            f"{region!r} cannot be a region's name",
            where="--region",
            fix="use 1 to 32 lower-case letters, digits, _ or -, beginning with a letter",
        )
    values = _usable(path)
    rejects = next((key for key in _REJECTS if _is_list(values.get(key))), None)
    sources = {key: (path.parent / values[key]).resolve() for key in (*_PATHS, rejects) if key and key in values}
    root = Path(os.path.commonpath([source.parent for source in sources.values()])) if sources else Path()
    said = {key: value for key, value in values.items() if key in _TAKEN}
    said |= {key: source.relative_to(root).as_posix() for key, source in sources.items()}
    lines = [
        f"# Region {region}, converted from {json.dumps(path.name)}.",
        "# docs/configuration.md lists every key. For what the published scripts did, see docs/nodata.md.",
        "",
        f"region = {_toml(region)}",
        "# The directory that contains all paths of the params file." if sources else f"# {_NOT_SAID}",
        f"data_root = {_toml(root.as_posix())}",
        f"# Band k of every optical file is the composite of the k-th year. {_NOT_SAID}",
        f"years = {_toml(_YEARS)}",
        *_sections(said, rejects),
        *_bands(),
        *_left({key: value for key, value in values.items() if key not in said}),
    ]
    return "\n".join(lines) + "\n"


def _usable(path: Path) -> dict[str, Any]:
    """Return the checked values of all keys that are given."""
    problems: list[str] = []
    values = {}
    for key, value in _read(path).items():
        if value is None or value == "":
            continue
        try:
            values[key] = _checked(key, value)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    if problems:
        count = f"{len(problems)} values" if len(problems) > 1 else "a value"
        raise ConfigError(
            f"{count} cannot be used: {'; '.join(problems)}",
            where=str(path),
            fix="correct the keys named above, or remove them from the file",
        )
    return values


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise ConfigError(what, where=str(path), fix="correct the path") from error
    except ValueError as error:
        raise ConfigError(f"not a JSON file: {error}", where=str(path), fix="fix the line named above") from error
    if not isinstance(content, dict):
        raise ConfigError(
            "the file is not a JSON object of keys and values", where=str(path), fix="give the published params file"
        )
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(ascii, twice))} occurs more than once")
    return dict(pairs)


def _checked(key: str, value: Any) -> Any:
    """Return a value as its key needs it; a ValueError says, in words for the user, why it cannot be used."""
    if key == "projection":
        return _projection(value)
    if key == "resolution" or key in _WHOLE:
        number = _number(value)
        if key == "resolution":
            return number
        if number != int(number):
            raise ValueError(f"{value!r} is not a whole number")
        return int(number)
    if key not in _KNOWN:
        return value
    if not isinstance(value, str) or not value.isprintable() or "\\" in value:
        raise ValueError(f"{value!r} is not a path on this machine")
    return value


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number or (isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d*)?\s*", value, re.ASCII)):
        # Converted by way of text: a whole number too large for a float then becomes infinite instead of an error.
        number = float(str(value))
        if 0 < number < math.inf:
            return number
    raise ValueError(f"{value!r} is not a number above 0")


def _projection(value: Any) -> str:
    text = str(value).strip()
    code = f"EPSG:{text}" if re.fullmatch(r"\d+", text, re.ASCII) else text
    try:
        crs_of(code, where="projection")
    except LatticeError as error:
        raise ValueError(error.what) from error
    return code


def _is_list(value: object) -> bool:
    return isinstance(value, str) and PurePosixPath(value).suffix.lower() in _REJECT_LISTS


def _sections(said: Mapping[str, Any], rejects: str | None) -> Iterator[str]:
    """Yield the lines of all sections; a key that is neither given nor required keeps its default."""

    def row(key: str | None, name: str, meaning: str, otherwise: Any = None) -> Iterator[str]:
        if key is not None and key in said:
            yield f"# {meaning} From {key}."
            yield f"{name} = {_toml(said[key])}"
        elif otherwise is not None:
            yield f"# {meaning} {_NOT_SAID}"
            yield f"{name} = {_toml(otherwise)}"

    yield from ("", "[lattice]")
    yield from row("projection", "crs", "Coordinate system of all sources.")
    yield from row("resolution", "pixel_size", "Metres.")
    yield from ("", "[tiles]", "# Directories that contain one directory per tile.")
    yield from row("image_tiles_dir", "optical", "Composites and their misfit.", "optical")
    yield from row("topo_tiles_dir", "topo", "Topography.", "topo")
    yield from ("", "[outlines]")
    yield from row(None, "path", "Glacier outlines, RGI 6 or 7.", "outlines.gpkg")
    yield from ("", "[label]")
    yield from row("class_label_raster", "raster", "0 none, 1 debris, 2 debris-free ice, 255 missing.", "label.tif")
    if "distance_raster" in said:
        yield from ("", "[distance]", "enabled = true")
        yield from row("distance_raster", "raster", 'Metres; set unit = "px" if it holds pixels.')
    yield from ("", "[grid]")
    # The published partitions; a chip must fit into one.
    size = max(_PARTITION_PX, said.get("image_chip_size", 0))
    yield from row(None, "size", "Pixels along the edge of a partition.", size)
    yield from row("grid", "path", "Cells of an existing grid, instead of new ones.")
    yield from row(rejects, "reject_ids_path", "Ids of cells that are never used.")
    yield from ("", "[chips]")
    yield from row("image_chip_size", "size", "Pixels along the edge of a chip.")
    yield from row("chip_step", "step", "Pixels between chips; the published script itself took 8.")


def _bands() -> Iterator[str]:
    yield from (
        "",
        f"# Bands of the published study: the end of a file's name, the suffix, identifies its band. {_NOT_SAID}",
    )
    yield "# Set valid_min and valid_max if you know them: values outside this range are treated as damaged."
    for name, role, suffix, nodata in _BANDS:
        yield from ("[[bands]]", f"name = {_toml(name)}", f"role = {_toml(role)}")
        yield from (f"suffix = {_toml(suffix)}", f"nodata = {nodata}", "")


def _left(values: Mapping[str, Any]) -> Iterator[str]:
    if values:
        yield "# Not converted:"
    for key, value in values.items():
        near = difflib.get_close_matches(key, _KNOWN, n=1)
        unknown = "not a key of the published file" + (f"; did you mean {near[0]}?" if near else "")
        # Everything is written in ASCII: a comment must not contain control characters or line ends.
        yield f"# {ascii(key)[1:-1]} = {ascii(json.dumps(value))[1:-1]}: {_UNUSED.get(key, unknown)}"


def _toml(value: Any) -> str:
    # TOML writes texts, numbers and lists as JSON does.
    return json.dumps(value, ensure_ascii=False)
