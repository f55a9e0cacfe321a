"""Look at the sources below a directory: groups of rasters with their headers and some values, and vector layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.gdal import environment
from gcn_luigi.io.inputs.cube_looks import CubeLook, look_at_cube
from gcn_luigi.io.inputs.layers import LayerLook, look_at_layers
from gcn_luigi.io.inputs.looks import Look, Values, look_at, sample_values
from gcn_luigi.io.raster.drivers import vrt_sources
from gcn_luigi.survey.files import list_files
from gcn_luigi.survey.names import NameGroup, group_names, merge_tiles, without_tile

Say = Callable[[str, float], None]

# Files whose headers are read, in all, and at least of each group; and files of a group whose values are sampled.
_LOOKED_AT, _LEAST_LOOKED_AT, _SAMPLED = 2000, 12, 3
# VRTs that are searched for the files they name.
_MOST_VRTS = 500
# Bands of one file whose values are sampled.
_MOST_BANDS = 16
# A label is read at more places, because every value that it holds needs a meaning.
_LABEL_WINDOWS = 64
# The scale of floats follows from their smallest and largest value.
_FLOAT_WINDOWS = 21


@dataclass(frozen=True)
class Image:
    """Rasters whose names differ only in the year or tile, and what some of them hold.

    `looks` has the headers of some files, by path. `values` are those of a few blocks, by band from 1, and cover all
    files that were sampled.
    """

    group: NameGroup
    looks: dict[str, Look]
    values: dict[int, Values] = field(default_factory=dict)

    @property
    def look(self) -> Look:
        """The header of the first file."""
        return next(iter(self.looks.values()))

    @property
    def path(self) -> str:
        """The pattern of the files or, if there is only one, its path."""
        return self.group.files[0].path if len(self.group.files) == 1 else self.group.pattern

    @property
    def all_values(self) -> Values | None:
        """The values of all sampled bands."""
        return joined(list(self.values.values()))


@dataclass
class Findings:
    """Everything that a first look finds. Paths are relative to `root`, with forward slashes."""

    root: Path
    images: list[Image] = field(default_factory=list)
    layers: list[LayerLook] = field(default_factory=list)
    cubes: list[str] = field(default_factory=list)
    # The bands of cubes, each with the path of its cube.
    in_cubes: list[tuple[str, CubeLook]] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    # Files that cannot be read, each with the reason.
    unreadable: list[str] = field(default_factory=list)
    # How many rasters are parts of VRTs, and so are not listed themselves.
    n_in_vrts: int = 0

    def layer_path(self, layer: LayerLook) -> str:
        """Return the path of a layer's file, relative to `root`."""
        return layer.path.relative_to(self.root).as_posix()


def survey(root: Path, say: Say) -> Findings:
    """Look at the sources below `root`: at names, at the headers of some files of each group, and at a few blocks.

    Raises
    ------
    InputError
        The directory cannot be listed.
    """
    listed = list_files(root)
    found = Findings(root, cubes=listed.cubes, datasets=listed.datasets, others=listed.others)
    used = _in_vrts(root, listed.rasters)
    rasters = [path for path in listed.rasters if path not in used]
    # In a pattern, these letters have a meaning.
    strange = [path for path in rasters if set(path) & set("{}*")]
    found.unreadable += [f"{path}: a pattern cannot hold a brace or an asterisk; rename it" for path in strange]
    rasters = [path for path in rasters if path not in set(strange)]
    found.n_in_vrts = len(used & set(listed.rasters))
    groups = group_names(rasters)
    with environment():
        images = []
        for number, group in enumerate(groups):
            say(f"{group.pattern}: {len(group.files):,} files", number / max(len(groups), 1))
            image = _look(root, group, max(_LOOKED_AT // len(groups), _LEAST_LOOKED_AT), found)
            if image is not None:
                images.append(_checked_tile(root, image, found))
        merged = _merge(images)
        for number, image in enumerate(merged):
            say(f"values of {image.path}", number / max(len(merged), 1))
            found.images.append(replace(image, values=_sample(root, image)))
    for path in listed.cubes:
        try:
            found.in_cubes += [(path, look) for look in look_at_cube(root / path)]
        except GcnLuigiError as error:
            found.unreadable.append(f"{path}: {error.what}: {error.fix}")
    for path in listed.vectors:
        try:
            found.layers += look_at_layers(root / path)
        except GcnLuigiError as error:
            # Settings and tables in JSON are no sources.
            if PurePosixPath(path).suffix.lower() != ".json":
                found.unreadable.append(f"{path}: {error.what}")
    return found


def joined(values: Sequence[Values]) -> Values | None:
    """Return what several samples hold together; None without any valid pixel."""
    held = [one for one in values if one.n_valid]
    if not held:
        return None
    edges = {one.edge for one in held if one.edge is not None}
    known = {value for one in held for value in one.known}
    return Values(
        low=min(one.low for one in held),
        high=max(one.high for one in held),
        has_fractions=any(one.has_fractions for one in held),
        n_valid=sum(one.n_valid for one in held),
        n_missing=sum(one.n_missing for one in values),
        known=tuple(sorted(known)) if all(one.known for one in held) else (),
        edge=edges.pop() if len(edges) == 1 else None,
        edge_share=max(one.edge_share for one in held),
    )


def _in_vrts(root: Path, rasters: Sequence[str]) -> set[str]:
    """Return the rasters that are parts of VRTs below the same directory."""
    used: set[str] = set()
    for path in [path for path in rasters if path.endswith(".vrt")][:_MOST_VRTS]:
        try:
            named = vrt_sources(root / path)
        except (GcnLuigiError, OSError, ValueError, SyntaxError):
            continue
        used |= {name.relative_to(root).as_posix() for name in named if name.is_relative_to(root)}
    return used


def _look(root: Path, group: NameGroup, most: int, found: Findings) -> Image | None:
    """Return a group with the headers of at most `most` of its files, spread evenly; None if none can be read."""
    step = -(-len(group.files) // most)
    looks = {}
    for file in group.files[::step]:
        try:
            looks[file.path] = look_at(root / file.path)
        except GcnLuigiError as error:
            found.unreadable.append(f"{file.path}: {error.what}")
    return Image(group, looks) if looks else None


def _checked_tile(root: Path, image: Image, found: Findings) -> Image:
    """Return a group in which files of the same place are not called different tiles."""
    group = image.group
    first = group.files[0]
    other = next((file for file in group.files if file.tile != first.tile and file.year == first.year), None)
    if other is None:
        return image
    looks = [image.looks.get(file.path) or _header(root, file.path, found) for file in (first, other)]
    if None in looks or looks[0].bounds != looks[1].bounds or looks[0].crs != looks[1].crs:  # type: ignore[union-attr]
        return image
    return replace(image, group=without_tile(group))


def _header(root: Path, path: str, found: Findings) -> Look | None:
    try:
        return look_at(root / path)
    except GcnLuigiError as error:
        found.unreadable.append(f"{path}: {error.what}")
        return None


def _merge(images: Sequence[Image]) -> list[Image]:
    """Join groups of the same bands at different places, whose names differ in the word that names the tile."""
    alike: dict[tuple[object, ...], list[Image]] = {}
    for image in images:
        look, own = image.look, image.group
        ending = PurePosixPath(own.pattern).suffix
        key = (own.band, look.dtypes, look.names, round(look.pixel_size, 9), own.years, ending, bool(own.tiles))
        alike.setdefault(key, []).append(image)
    merged = []
    for some in alike.values():
        places = {(image.look.crs, image.look.bounds) for image in some}
        group = merge_tiles([image.group for image in some]) if len(places) == len(some) > 1 else None
        if group is None:
            merged += some
        else:
            looks = {path: look for image in some for path, look in image.looks.items()}
            merged.append(Image(group, looks))
    return sorted(merged, key=lambda image: image.group.pattern)


def _sample(root: Path, image: Image) -> dict[int, Values]:
    paths = list(image.looks)
    step = max(1, len(paths) // _SAMPLED)
    is_float = image.look.dtypes[0].startswith("float")
    is_label = image.look.count == 1 and len(image.group.files) == 1 and not is_float
    windows = _LABEL_WINDOWS if is_label else _FLOAT_WINDOWS if is_float else 5
    bands = range(1, min(image.look.count, _MOST_BANDS) + 1)
    samples = [
        sample_values(root / path, [band for band in bands if band <= image.looks[path].count], windows)
        for path in paths[::step][:_SAMPLED]
    ]
    held = {band: joined([one[band] for one in samples if band in one]) for band in bands}
    return {band: values for band, values in held.items() if values is not None}
