"""Each configuration key and each kind of input, changed in turn: exactly what depends on it is rebuilt."""

import os
import shutil

import pytest
import rasterio

from gcn_luigi.config import load_region
from gcn_luigi.read.validate import validate
from gcn_luigi.settings import DatasheetSettings, RegionSettings
from gcn_luigi.settings.section import Section
from gcn_luigi.tasks.dependencies import Snapshot
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import dataset
from tests.integration.changes import BASES, add_sources, rebuild, write_config
from tests.integration.commands import make_tiny
from tests.reference.timeless import NO_PAGE

# They show and seal the whole configuration.
ALWAYS = "QualityReport Dataset"
# What follows from other shards, and from other chips.
# They name every shard with its digest.
DESCRIBED = "DatasetMetadata StacCatalog"
SHARDS = f"ChipShard ChipIndex BandStatistics TrainingDistances {DESCRIBED} {ALWAYS}"
# Other chips of the same pixels, and chips of other pixels: styles are stretched by the statistics.
REGROUPED = f"{SHARDS} DatasetCard"
CHIPS = f"{REGROUPED} LayerStyles"
RENAMED_CELLS = f"PartitionGrid PartitionCatalog GridComparison {REGROUPED}"
CELLS = f"PartitionCatalog GridComparison {CHIPS}"
STACKS = f"YearStack {CHIPS}"
INVENTORY = f"TileInventory {ALWAYS}"
TILES = "OpticalMosaic TopoMosaic YearStack ChipShard TrainingDistances DatasetCard"
LATTICE = "ClassLabel DistanceRaster PartitionGrid PartitionCatalog GridComparison"
FEWER_CELLS = f"PartitionCatalog GridComparison ChipShard TrainingDistances DatasetCard {DESCRIBED} {ALWAYS}"
FOLDS = f"PartitionCatalog GridComparison ChipIndex TrainingDistances DatasetCard {DESCRIBED} {ALWAYS}"
OUTLINES = f"ClassLabel DistanceRaster PartitionCatalog GridComparison {ALWAYS}"
LABEL = f"ClassLabel PartitionCatalog GridComparison {STACKS}"

_THREE = [{"name": name, "value": value} for value, name in enumerate(("none", "debris", "ice"))]
# Another value, and another colour of one class.
OTHER = [*_THREE[:2], {"name": "ice", "value": 5}]
PAINTED = [*_THREE[:2], {"name": "ice", "value": 2, "colour": "#0000ff"}]

SAID = {
    "title": "Ice",
    "description": "Of ice.",
    "creators": [{"given_names": "A", "family_names": "B"}],
    "licence": "CC-BY-4.0",
    "licence_url": "https://example.org/terms",
    "doi": "10.5281/zenodo.1",
    "version": "2.0.0",
    "released": "2027-03-01",
    "url": "https://example.org",
    "keywords": ["ice"],
}

# Base, what is changed, and the families that are rebuilt. Where a result is made anew with the same bytes, nothing
# that reads it follows: `label.max_votes` makes the label again, and no chip.
SETTINGS = [
    (
        "plain",
        {"years": [2005, 2009], "tiles.on_described_years": "accept"},
        f"TileInventory TileQuality OpticalMosaic YearStack {CELLS}",
    ),
    ("plain", {"bands.0.name": "snow", "bands.0.suffix": "ndsi"}, f"TileInventory TileQuality OpticalMosaic {STACKS}"),
    ("plain", {"bands.2.role": "optical"}, f"TileInventory TileQuality OpticalMosaic {STACKS}"),
    ("plain", {"bands.1.suffix": "curvature_temp"}, f"TileInventory TileQuality TopoMosaic {STACKS}"),
    # Files below tiles in place of tile directories: the same pixels, of the same files.
    ("plain", {"bands.0.path": "optical/{tile}/*_ndsi.tif"}, INVENTORY),
    # int16 gives the same int16.
    (
        "plain",
        {"bands.0.convert": True},
        f"TileInventory TileQuality OpticalMosaic YearStack ChipShard TrainingDistances {ALWAYS}",
    ),
    (
        "plain",
        {"bands.0.use_tags": True},
        f"TileInventory TileQuality OpticalMosaic YearStack ChipShard TrainingDistances {ALWAYS}",
    ),
    ("plain", {"stack.dtype": "float32"}, f"TileInventory TileQuality OpticalMosaic TopoMosaic {STACKS}"),
    ("copied", {"bands.0.band": "{year}"}, INVENTORY),
    ("plain", {"bands.0.nodata": -32767}, f"TileQuality OpticalMosaic YearStack ChipShard TrainingDistances {ALWAYS}"),
    ("plain", {"bands.2.nodata": -1}, f"OpticalMosaic {ALWAYS}"),
    ("plain", {"bands.0.scale": 2.0}, ALWAYS),
    ("plain", {"bands.1.scale": 2.0}, f"TileQuality TopoMosaic {STACKS}"),
    ("plain", {"bands.0.offset": 5}, ALWAYS),
    ("plain", {"bands.1.offset": 5}, f"TileQuality TopoMosaic {STACKS}"),
    ("plain", {"bands.0.valid_min": 0}, f"TileQuality {CHIPS}"),
    ("plain", {"bands.1.valid_max": 1500}, f"TileQuality {CHIPS}"),
    ("plain", {"bands.2.valid_max": 9}, ALWAYS),
    # What follows from elevations, and not from the band that is made of them.
    ("derived", {"bands.3.derive": "curvature"}, f"DerivedBand {STACKS}"),
    ("derived", {"bands.3.dem": "dem"}, ALWAYS),
    ("derived", {"bands.3.z_factor": 0.3048}, f"DerivedBand {STACKS}"),
    ("derived", {"bands.3.scale": 50}, f"DerivedBand {STACKS}"),
    ("derived", {"bands.1.stacked": False}, STACKS),
    ("derived", {"bands.1.valid_max": 1500}, f"TileQuality DerivedBand {STACKS}"),
    ("derived", {"convert.overflow": "nodata"}, f"TileQuality TopoMosaic DerivedBand {ALWAYS}"),
    ("plain", {"bands.0.unit": "1"}, f"DatasetCard {DESCRIBED} {ALWAYS}"),
    ("plain", {"bands.0.description": "snow"}, f"{DESCRIBED} {ALWAYS}"),
    ("plain", {"classes": OTHER}, f"ClassLabel PartitionCatalog {STACKS}"),
    ("plain", {"classes": PAINTED}, f"LayerStyles StacCatalog {ALWAYS}"),
    ("plain", {"outlines.path": "made/outlines.gpkg"}, OUTLINES),
    ("plain", {"outlines.layer": "outlines"}, OUTLINES),
    ("plain", {"outlines.id_field": "RGIId"}, OUTLINES),
    ("plain", {"outlines.date_field": "BgnDate"}, OUTLINES),
    ("plain", {"outlines.date_format": "%Y%m%d"}, OUTLINES),
    ("plain", {"outlines.analyses": "nearest"}, OUTLINES),
    ("plain", {"outlines.on_invalid": "error"}, OUTLINES),
    ("plain", {"outlines.max_repaired_share": 0.5}, OUTLINES),
    ("plain", {"outlines.on_unusable": "skip"}, OUTLINES),
    ("label", {"outlines.on_invalid": "error"}, f"DistanceRaster PartitionCatalog GridComparison {ALWAYS}"),
    ("from label", {"outlines.on_invalid": "error"}, f"ClassLabel PartitionCatalog GridComparison {ALWAYS}"),
    ("plain", {"label.stem": "made/votes.tif"}, f"ClassLabel {ALWAYS}"),
    ("plain", {"label.min_votes": 6}, LABEL),
    ("from label", {"label.min_votes": 6}, f"DistanceRaster {LABEL}"),
    ("plain", {"label.max_votes": 50}, f"ClassLabel {ALWAYS}"),
    ("plain", {"label.ice_outside": "ice"}, LABEL),
    ("label", {"label.raster": "made/../made/label.tif"}, f"ClassLabel {ALWAYS}"),
    ("label", {"label.classes": {"0": "none", "1": "debris", "2": "ice", "255": "ignore"}}, f"ClassLabel {ALWAYS}"),
    ("plain", {"label.stem": None, "label.source": "outlines"}, LABEL),
    ("outlined", {"label.debris_outlines": "made/debris.gpkg"}, LABEL),
    ("outlined", {"label.debris_raster": "made/debris.tif"}, LABEL),
    ("debris", {"label.debris_layer": "debris"}, f"ClassLabel {ALWAYS}"),
    ("debris", {"label.debris_outside": "debris"}, LABEL),
    ("typed", {"label.class_column": "other_type"}, f"ClassLabel PartitionCatalog {ALWAYS}"),
    ("typed", {"label.classes": {"a": "debris", "b": "ice"}}, LABEL),
    ("plain", {"label.confidence": ["edge"]}, f"LabelConfidence {CHIPS}"),
    ("sure", {"label.edge_px": 3}, f"LabelConfidence {CHIPS}"),
    ("sure", {"label.confidence_lost_per_year": 3.0}, CHIPS),
    ("sure", {"label.min_confidence": 80}, CHIPS),
    ("sure", {"label.max_votes": 8}, f"ClassLabel LabelConfidence {CHIPS}"),
    ("plain", {"label.allow_absent": ["debris"]}, f"PartitionCatalog {ALWAYS}"),
    ("label", {"label.allow_absent": ["debris"]}, f"ClassLabel PartitionCatalog {ALWAYS}"),
    ("plain", {"lattice.crs": None}, INVENTORY),
    ("plain", {"lattice.pixel_size": None}, INVENTORY),
    (
        "plain",
        {"lattice.bounds": "the northern half"},
        f"{TILES} {LATTICE} {DESCRIBED} {INVENTORY}",
    ),
    ("plain", {"align.resampling": "bilinear"}, INVENTORY),
    ("warped", {"align.resampling": "cubic"}, f"AlignedBand OpticalMosaic TopoMosaic {STACKS} {INVENTORY}"),
    ("warped", {"align.classes": "mode"}, f"AlignedBand OpticalMosaic {LABEL} {INVENTORY}"),
    ("warped", {"bands.0.resampling": "cubic"}, f"AlignedBand OpticalMosaic {STACKS} {INVENTORY}"),
    (
        "plain",
        {"tiles.optical": "made/optical"},
        f"TileQuality OpticalMosaic YearStack ChipShard TrainingDistances DatasetCard {INVENTORY}",
    ),
    ("plain", {"tiles.topo": "made/topo"}, f"TileQuality TopoMosaic DatasetCard {INVENTORY}"),
    ("plain", {"tiles.exclude": ["*none*"]}, INVENTORY),
    (
        "gaps",
        {"tiles.strip_zeros": False},
        f"TileQuality {TILES} {INVENTORY}",
    ),
    (
        "plain",
        {"tiles.precedence": "highest-id"},
        f"OpticalMosaic TopoMosaic YearStack ChipShard TrainingDistances {ALWAYS}",
    ),
    ("plain", {"tiles.on_missing": "gap"}, INVENTORY),
    ("plain", {"tiles.on_duplicate": "first"}, INVENTORY),
    ("plain", {"tiles.on_described_years": "accept"}, INVENTORY),
    ("plain", {"tiles.on_suspect_nodata": "accept"}, f"TileQuality ClassLabel {ALWAYS}"),
    ("metres", {"tiles.on_suspect_nodata": "accept"}, f"TileQuality ClassLabel DistanceRaster {ALWAYS}"),
    ("plain", {"convert.rounding": "half-away"}, f"TopoMosaic {STACKS}"),
    ("plain", {"convert.overflow": "nodata"}, f"TileQuality TopoMosaic {ALWAYS}"),
    ("plain", {"distance.enabled": False}, STACKS),
    ("metres", {"distance.raster": "made/../made/distance.tif"}, f"DistanceRaster {ALWAYS}"),
    ("plain", {"distance.source": "label"}, f"DistanceRaster {ALWAYS}"),
    ("plain", {"distance.unit": "px"}, f"DistanceRaster {STACKS}"),
    ("plain", {"distance.max_m": 500}, f"DistanceRaster {STACKS}"),
    ("metres", {"distance.max_m": 500}, ALWAYS),
    ("plain", {"grid.size": 48}, f"PartitionGrid {CELLS}"),
    ("plain", {"grid.origin": "world"}, RENAMED_CELLS),
    ("cells", {"grid.origin": "world"}, ALWAYS),
    ("cells", {"grid.path": "made/../made/cells.gpkg"}, f"PartitionGrid {ALWAYS}"),
    ("cells", {"grid.layer": "cells"}, f"PartitionGrid {ALWAYS}"),
    ("cells", {"grid.id_field": "second"}, RENAMED_CELLS),
    ("cells", {"grid.off_lattice": "snap"}, f"PartitionGrid {ALWAYS}"),
    ("plain", {"grid.off_lattice": "snap"}, ALWAYS),
    ("plain", {"grid.max_outside_share": 0.9}, f"PartitionCatalog {ALWAYS}"),
    ("plain", {"grid.min_outline_share": 0.5}, CELLS),
    ("plain", {"grid.max_outline_distance_m": 1e6}, f"PartitionCatalog {ALWAYS}"),
    (
        "plain",
        {"grid.reject_ids_path": "made/rejects.csv"},
        f"PartitionCatalog GridComparison ChipShard TrainingDistances DatasetCard {DESCRIBED} {ALWAYS}",
    ),
    (
        "plain",
        {"grid.exclude_polygons_path": "made/away.gpkg"},
        f"PartitionCatalog GridComparison ChipShard TrainingDistances DatasetCard {DESCRIBED} {ALWAYS}",
    ),
    ("plain", {"year.source": "grid", "year.no_year": 2004}, CELLS),
    ("plain", {"year.rule": "area-weighted"}, f"PartitionCatalog GridComparison {REGROUPED}"),
    ("plain", {"year.rule": "all"}, CELLS),
    ("plain", {"year.max_gap_years": 1}, f"PartitionCatalog {ALWAYS}"),
    ("plain", {"year.max_gap_years": 0}, CELLS),
    ("plain", {"year.no_year": 2004}, CELLS),
    ("plain", {"split.method": "legacy"}, CELLS),
    ("plain", {"split.dev_share": 0.4}, CELLS),
    ("plain", {"split.test_share": 0.2}, CELLS),
    # Folds are in the catalog, but no shard depends on them: neither if their number changes nor if they come or go.
    ("folded", {"split.folds": 3}, FOLDS),
    ("folded", {"split.folds": None}, FOLDS),
    ("unfolded", {"split.folds": 2}, FOLDS),
    ("plain", {"split.by": "glacier"}, CELLS),
    (
        "plain",
        {"split.regions": "made/ranges.gpkg", "split.regions_layer": "ranges", "split.region_column": "name"},
        CELLS,
    ),
    ("regions", {"split.regions_layer": "others"}, f"PartitionCatalog {ALWAYS}"),
    ("regions", {"split.region_column": "second"}, FEWER_CELLS),
    ("regions", {"split.test_regions": ["East"], "split.dev_share": 0.5}, CELLS),
    ("regions", {"split.by": "regions"}, f"PartitionCatalog {ALWAYS}"),
    ("plain", {"split.seed": 10}, f"PartitionCatalog {ALWAYS}"),
    ("plain", {"split.block_partitions": 1}, CELLS),
    ("plain", {"split.buffer_partitions": 0}, CELLS),
    ("plain", {"split.by_glacier": False}, f"PartitionCatalog {ALWAYS}"),
    ("plain", {"nodata.mode": "legacy"}, CHIPS),
    ("plain", {"nodata.fill": -5}, REGROUPED),
    ("legacy", {"nodata.legacy.optical_band": 1}, SHARDS),
    ("legacy", {"nodata.legacy.topo_band": -1}, f"ChipShard TrainingDistances {ALWAYS}"),
    ("plain", {"nodata.legacy.topo_band": -2}, ALWAYS),
    ("legacy", {"nodata.legacy.alt_topo_band": -2}, CHIPS),
    ("plain", {"chips.size": 16}, CHIPS),
    ("plain", {"chips.step": 32}, CHIPS),
    ("plain", {"chips.edge": "pad"}, SHARDS),
    ("plain", {"chips.densify": True}, f"ChipShard {ALWAYS}"),
    ("plain", {"chips.min_share": {"ice": 0.01}}, CHIPS),
    ("plain", {"chips.min_glacier_share": 0.6}, CHIPS),
    ("plain", {"chips.min_valid_label_share": 0.999}, f"ChipShard DatasetMetadata {ALWAYS}"),
    ("plain", {"chips.min_valid_optical_share": 0.99}, CHIPS),
    ("plain", {"chips.min_valid_topo_share": 1.0}, CHIPS),
    ("plain", {"shards.n_train": 3}, REGROUPED),
    ("plain", {"shards.n_dev": 2}, REGROUPED),
    ("tested", {"shards.n_test": 2}, REGROUPED),
    ("plain", {"shards.layout": "windows"}, REGROUPED),
    ("plain", {"shards.codec": "none"}, SHARDS),
    ("plain", {"report.composite": ["dem", "ndsi", "dem"]}, f"LayerStyles {ALWAYS}"),
    # What is said about the dataset reaches no pixel.
    *(("plain", {f"dataset.{key}": value}, f"DatasetCard {DESCRIBED} {ALWAYS}") for key, value in SAID.items()),
    ("plain", {"dataset.contact": "a@example.org"}, f"DatasetMetadata {ALWAYS}"),
    ("plain", {"sources": None}, f"DatasetCard {DESCRIBED} {ALWAYS}"),
    ("plain", {"sources.outlines.attribution": "RGI"}, f"DatasetCard {DESCRIBED} {ALWAYS}"),
    *(("plain", {f"datasheet.{key}": "known"}, f"DatasetMetadata {ALWAYS}") for key in DatasheetSettings.model_fields),
    ("plain", {"evaluation.autocorrelation": True}, f"Autocorrelation {ALWAYS}"),
]
# Strata are counted again exactly if one of these files has other bytes, or one of these keys changed. So the table
# above does not name them.
STRATA = "gcn.StrataTables"
COUNTED = ("index.parquet", "catalog.parquet", "label.tif", "mosaics/topo_dem.tif")
OWN_OF_STRATA = ("chips.size", "classes", "bands.1.", "lattice.bounds", "tiles.")
# The name of the dataset; where the sources lie is tested below.
NOT_CHANGED = {"region", "data_root"}

# Base, the input that is touched (its time changes, not its content), and the families that are rebuilt.
INPUTS = [
    ("warped", "optical/0123/made_0123_ndsi.tif", f"TileQuality AlignedBand {INVENTORY}"),
    ("warped", "stem/stem_2008_debris_free_ice_votes.tif", f"AlignedBand {INVENTORY}"),
    (
        "plain",
        "optical/0123/made_0123_ndsi.tif",
        f"TileInventory TileQuality OpticalMosaic YearStack ChipShard TrainingDistances {ALWAYS}",
    ),
    ("plain", "optical/0124/made_0124_rmse.tif", f"TileInventory OpticalMosaic {ALWAYS}"),
    ("plain", "optical/0123/made_0123_tcw.tif", f"TileInventory {ALWAYS}"),
    ("plain", "topo/123/made_123_dem_cubic_temp.tif", f"TileInventory TileQuality TopoMosaic {ALWAYS}"),
    (
        "derived",
        "topo/123/made_123_dem_cubic_temp.tif",
        f"TileInventory TileQuality TopoMosaic DerivedBand {ALWAYS}",
    ),
    ("plain", "stem/stem_2008_debris_free_ice_votes.tif", f"ClassLabel {ALWAYS}"),
    ("plain", "rgi/outlines.gpkg", f"ClassLabel DistanceRaster PartitionCatalog GridComparison {ALWAYS}"),
    ("plain", "rgi/outlines_rgi7.gpkg", ""),
    ("label", "made/label.tif", f"ClassLabel {ALWAYS}"),
    ("label", "stem/stem_2008_debris_free_ice_votes.tif", ""),
    ("debris", "made/debris.gpkg", f"ClassLabel {ALWAYS}"),
    ("outlined", "stem/stem_2008_debris_free_ice_votes.tif", ""),
    ("metres", "made/distance.tif", "DistanceRaster Dataset"),
    ("cells", "made/cells.gpkg", f"PartitionGrid {ALWAYS}"),
    ("excluding", "made/rejects.csv", f"PartitionCatalog {ALWAYS}"),
    ("regions", "made/ranges.gpkg", f"PartitionCatalog {ALWAYS}"),
    ("excluding", "made/away.gpkg", f"PartitionCatalog {ALWAYS}"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return the tiny region with second inputs of each kind, and where its datasets are made."""
    with pytest.MonkeyPatch.context() as patch:
        # Drawing takes longer than all the rest.
        patch.setattr(
            "gcn_luigi.report.quality.page.write_report",
            lambda settings, _layout, out, *_: out.write_text(f"{NO_PAGE} {settings.model_dump_json()}"),
        )
        root = tmp_path_factory.mktemp("world")
        tiny = make_tiny(root)
        rebuild(tiny, root / "first", tiny.config)
        add_sources(tiny.sources, root / "first/tiny")
        yield tiny, root


@pytest.fixture
def start(world):
    """Return a function that gives the output of a base, or copies it, as deep in the tree."""
    tiny, root = world

    def give(base, output=None):
        finished = root / base.replace(" ", "-")
        if not finished.exists():
            rebuild(tiny, finished, write_config(root / "config" / base, tiny, BASES[base]))
        return finished if output is None else shutil.copytree(finished, output)

    return give


def _with_bounds(change, output):
    """Return the change; the bounds of the lattice are those of the dataset without its lowest rows."""
    if "lattice.bounds" not in change:
        return change
    with rasterio.open(output / "tiny/label.tif") as label:
        left, bottom, right, top = label.bounds
    return {"lattice.bounds": [left, bottom + 64 * 30, right, top]}


def _is_own_of_strata(change):
    return any(key.startswith(OWN_OF_STRATA) for key in change)


def _bytes(path):
    return path.read_bytes() if path.is_file() else b""


def _expected(families):
    return {f"gcn.{family}" for family in families.split()}


def _families(names):
    return {name.split("(")[0] for name in names}


def _leaves(model, prefix=""):
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_the_table_names_every_key():
    named = {
        ".".join(part for part in key.split(".") if not part.isdigit()) for _, change, _ in SETTINGS for key in change
    }
    every = set(_leaves(RegionSettings)) - NOT_CHANGED - {"bands"}
    every |= {f"bands.{name}" for name in RegionSettings.model_fields["bands"].annotation.__args__[0].model_fields}

    assert every <= named


@pytest.mark.parametrize(("base", "change", "families"), SETTINGS, ids=lambda value: str(value)[:40])
def test_a_changed_key_makes_nothing_stale_but_what_is_rebuilt(world, start, base, change, families, tmp_path):
    tiny, _ = world
    changed = write_config(tmp_path, tiny, BASES[base], _with_bounds(change, start(base)))
    root = dataset(tiny.region, start(base), tiny.sources, changed)

    now = Snapshot()

    stale = [task.name for task in (*upstream(root), root) if not task.is_published(now)]

    assert _families(stale) - {STRATA} <= _expected(families)
    assert STRATA not in _families(stale) or _is_own_of_strata(change)
    assert bool(stale) is bool(families)


def _one_of_a_kind():
    """Return all changes; those that rebuild the same tasks of the same base as one before wait for the night.

    What each of them makes stale is tested always, without a build.
    """
    seen, marked = set(), []
    for base, change, families in SETTINGS:
        tables = frozenset(key.partition(".")[0] for key in change)
        kind = (base, str(families), tables)
        marked.append(pytest.param(base, change, families, marks=[pytest.mark.nightly] if kind in seen else []))
        seen.add(kind)
    return marked


@pytest.mark.long
@pytest.mark.parametrize(("base", "change", "families"), _one_of_a_kind(), ids=lambda value: str(value)[:40])
def test_a_changed_key_rebuilds_exactly_what_depends_on_it(world, start, base, change, families, tmp_path):
    tiny, root = world
    output = root / f"try-{tmp_path.name}"
    start(base, output)
    config = write_config(tmp_path, tiny, BASES[base], _with_bounds(change, output))
    load_region(config / "tiny.toml")

    ran = rebuild(tiny, output, config)

    assert _families(ran) - {STRATA} == _expected(families)
    is_other = [(start(base) / "tiny" / name).read_bytes() != _bytes(output / "tiny" / name) for name in COUNTED]
    assert _is_own_of_strata(change) or (STRATA in _families(ran)) is any(is_other)
    assert list(validate(output / "tiny")) == []
    shutil.rmtree(output)


@pytest.mark.parametrize(("base", "name", "families"), INPUTS, ids=str)
def test_a_touched_input_rebuilds_exactly_what_depends_on_it(world, start, base, name, families, tmp_path):
    tiny, root = world
    output = root / f"try-{tmp_path.name}"
    start(base, output)
    config = write_config(tmp_path, tiny, BASES[base])
    path = tiny.sources / name
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    try:
        ran = rebuild(tiny, output, config)
    finally:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert _families(ran) == _expected(families)
    shutil.rmtree(output)


def test_of_a_touched_band_only_that_bands_files_are_made_again(world, start, tmp_path):
    tiny, root = world
    start("plain", root / "one-band")
    path = tiny.sources / "optical/0124/made_0124_rmse.tif"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    made = root / "one-band/tiny"
    before = {file: file.stat().st_ino for file in (made / "mosaics").iterdir()}
    try:
        rebuild(tiny, root / "one-band", write_config(tmp_path, tiny))
    finally:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    anew = {file.name for file, inode in before.items() if file.stat().st_ino != inode}
    assert anew == {"quality_rmse_2004.vrt", "quality_rmse_2008.vrt"}


def test_a_file_of_no_band_is_noted_and_reaches_no_pixel(world, start, tmp_path):
    tiny, root = world
    start("plain", root / "new-file")
    config = write_config(tmp_path, tiny)
    other = tiny.sources / "optical/0123/notes.txt"
    other.write_text("cloudy")
    try:
        assert _families(rebuild(tiny, root / "new-file", config)) == {
            "gcn.TileInventory",
            "gcn.QualityReport",
            "gcn.Dataset",
        }
    finally:
        other.unlink()


def test_moved_sources_make_the_files_that_name_them_again_and_no_pixel(world, start, tmp_path):
    tiny, root = world
    start("plain", root / "moved")
    shutil.copytree(tiny.sources, root / "elsewhere/deeper/input")
    moved = type(tiny)(root / "elsewhere/deeper/input", write_config(tmp_path, tiny), tiny.region)

    ran = rebuild(moved, root / "moved", moved.config)

    assert _families(ran) == {"gcn.OpticalMosaic", "gcn.TopoMosaic", "gcn.Dataset"}
    assert list(validate(root / "moved/tiny")) == []


def test_a_source_of_other_content_reaches_the_chips(world, start, tmp_path):
    tiny, root = world
    start("plain", root / "content")
    config = write_config(tmp_path, tiny)
    path = tiny.sources / "topo/123/made_123_dem_cubic_temp.tif"
    whole, status = path.read_bytes(), path.stat()
    with rasterio.open(path, "r+") as tile:
        tile.write(tile.read() + 1)
    try:
        ran = _families(rebuild(tiny, root / "content", config))
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert ran >= {"gcn.TileQuality", "gcn.TopoMosaic", "gcn.YearStack", "gcn.ChipShard", "gcn.BandStatistics"}
    assert not ran & {"gcn.OpticalMosaic", "gcn.ClassLabel", "gcn.PartitionCatalog", "gcn.DistanceRaster"}
