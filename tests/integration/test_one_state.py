"""A file below a source that changes makes anew what was made from it, and no dataset shows two states of a source."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.features import rasterize
from rasterio.windows import Window

from gcn_luigi.cli import cli
from gcn_luigi.errors import InputError
from gcn_luigi.io.publish.sidecar import Record, read_record
from gcn_luigi.read.validate import validate
from gcn_luigi.tasks import ClassLabel, DistanceRaster, OpticalMosaic, TopoMosaic
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config
from tests.integration.commands import Tiny, make_tiny, state_of
from tests.reference.timeless import write_no_page

pytestmark = pytest.mark.fault

VOTES = "stem/stem_2008_debris_free_ice_votes.tif"
OUTLINES = "rgi/outlines.gpkg"
VRT = """<VRTDataset rasterXSize="{0.width}" rasterYSize="{0.height}"><SRS>{0.crs}</SRS>
<GeoTransform>{1}</GeoTransform><VRTRasterBand dataType="Int16" band="1"><NoDataValue>-32768</NoDataValue><SimpleSource>
<SourceFilename relativeToVRT="1">{2}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
</VRTDataset>"""
PAM = '<PAMDataset><PAMRasterBand band="1"><NoDataValue>{}</NoDataValue></PAMRasterBand></PAMDataset>'
# A GIS that saves what it was given to do, and keeps the file open.
GIS = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.create_function("ST_IsEmpty", 1, lambda _: 0)
for axis in ("MinX", "MaxX", "MinY", "MaxY"):
    held.create_function("ST_" + axis, 1, lambda _: 0.0)
held.execute("pragma journal_mode=wal").fetchall()
held.execute("pragma wal_autocheckpoint=0")
for line in sys.stdin:
    held.execute(line)
    print("saved", flush=True)
held.close()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("made"))


@pytest.fixture
def tiny(made, tmp_path):
    """Return a world of its own, whose votes are a VRT of two levels."""
    shutil.copytree(made.sources, tmp_path / "input")
    stem = (tmp_path / "input" / VOTES).parent
    with rasterio.open(tmp_path / "input" / VOTES) as dataset:
        place = ", ".join(map(str, dataset.transform.to_gdal()))
        (stem / "inner.vrt").write_text(VRT.format(dataset, place, f"../{VOTES}"))
        (stem / "votes.vrt").write_text(VRT.format(dataset, place, "inner.vrt"))
    config = write_config(tmp_path / "config", made, {"label.stem": "stem/votes.vrt"})
    return Tiny(tmp_path / "input", config, made.region)


def build(tiny, family=ClassLabel):
    """Build one task and what it requires; return its layout and the families that were built."""
    task = dataset(tiny.region, tiny.sources.parent / "out", tiny.sources, tiny.config).clone(family)
    return task.paths, {name.split("(")[0].removeprefix("gcn.") for name in build_inline(task)}


def rewrite(path, change):
    with rasterio.open(path) as source:
        profile, values = source.profile, source.read()
    with rasterio.open(path, "w", **profile) as target:
        target.write(change(values).astype(profile["dtype"]))


def label_of(paths):
    with rasterio.open(paths.label) as dataset:
        return dataset.read(1)


def votes_within_label(sources, paths, name):
    """Return the votes where the label lies, and their nodata; they reach further."""
    with rasterio.open(paths.label) as label, rasterio.open(sources / name) as votes:
        row, col = votes.index(*label.xy(0, 0))
        return votes.read(1, window=Window(col, row, label.width, label.height)), votes.nodata


def assert_label_is_that_of(sources, paths, name="stem/votes.vrt", outlines=OUTLINES):
    """Compare the label with the one that rasterio and numpy alone make from the sources as they are now."""
    votes, nodata = votes_within_label(sources, paths, name)
    with rasterio.open(paths.label) as label:
        shapes = gpd.read_file(sources / outlines).to_crs(label.crs).geometry
        inside = rasterize(shapes, out_shape=label.shape, transform=label.transform, dtype="uint8") == 1
    expected = np.where(inside, np.where(votes > 3, 2, 1), 0)
    np.testing.assert_array_equal(label_of(paths), np.where(votes == nodata, 255, expected))


def why(tiny, path):
    where = ("--config-dir", tiny.config, "--data-root", tiny.sources, "--output", path.parents[1])
    result = CliRunner().invoke(cli, ["why", str(path), *map(str, where)])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_file_below_a_vrt_of_vrts_makes_the_label_anew(tiny):
    paths, _ = build(tiny)
    assert_label_is_that_of(tiny.sources, paths)
    before = label_of(paths)
    assert why(tiny, paths.label).startswith("gcn.ClassLabel(): current")

    rewrite(tiny.sources / VOTES, lambda votes: np.where(votes >= 0, 7 - votes, votes))
    assert f"source {VOTES} " in why(tiny, paths.label)
    _, built = build(tiny)

    assert built == {"ClassLabel"}
    assert not np.array_equal(label_of(paths), before)
    assert_label_is_that_of(tiny.sources, paths)
    assert build(tiny)[1] == set()


def test_a_sidecar_that_comes_later_makes_the_label_anew_with_its_nodata(tiny, made):
    # 0 is a legal number of votes, so a tag of 0 has to be meant.
    accepted = {"tiles.on_suspect_nodata": "accept"}
    tiny = Tiny(tiny.sources, write_config(tiny.config, made, {"label.stem": VOTES, **accepted}), tiny.region)
    rewrite(tiny.sources / VOTES, lambda votes: np.where(votes == -32768, 0, votes))
    paths, _ = build(tiny)
    assert not (label_of(paths) == 255).any()
    n_zeros = (votes_within_label(tiny.sources, paths, VOTES)[0] == 0).sum()

    (tiny.sources / f"{VOTES}.aux.xml").write_text(PAM.format(0))
    assert f"source {VOTES}.aux.xml is new" in why(tiny, paths.label)
    _, built = build(tiny)

    assert built == {"ClassLabel"}
    assert 0 < (label_of(paths) == 255).sum() == n_zeros
    assert_label_is_that_of(tiny.sources, paths, VOTES)


def test_a_sidecar_beside_a_tile_makes_the_mosaics_of_its_band_anew_and_no_other(tiny):
    root = dataset(tiny.region, tiny.sources.parent / "out", tiny.sources, tiny.config)
    optical, topo = root.clone(OpticalMosaic, year=2004), root.clone(TopoMosaic)
    build_inline(optical)
    build_inline(topo)
    tile = next(tiny.sources.glob("optical/*/*_ndsi.tif"))
    name = f"{tile.relative_to(tiny.sources).as_posix()}.aux.xml"

    (tiny.sources / name).write_text(PAM.format(-32768))

    ndsi, *others = optical.targets()
    assert others
    assert f"source {name} is new" in why(tiny, ndsi.path)
    assert not ndsi.exists()
    assert all(target.exists() for target in (*others, *topo.targets()))
    assert build_inline(optical)[0].startswith("gcn.TileInventory")
    assert ndsi.exists()


def test_outlines_whose_crs_is_another_one_now_lie_elsewhere_on_the_label(tiny, made):
    """The .prj of a shapefile says where all of it lies."""
    frame = gpd.read_file(tiny.sources / OUTLINES)
    path = tiny.sources / "rgi" / "o.shp"
    frame.to_file(path, engine="pyogrio")
    tiny = Tiny(
        tiny.sources, write_config(tiny.config, made, {"outlines.path": "rgi/o.shp", "label.stem": VOTES}), tiny.region
    )
    paths, _ = build(tiny)
    assert_label_is_that_of(tiny.sources, paths, VOTES, "rgi/o.shp")
    before = label_of(paths)
    here = frame.crs.to_wkt("WKT1_ESRI")
    away = here.replace('"False_Easting",0.0', '"False_Easting",3000.0')
    assert away != here

    (tiny.sources / "rgi" / "o.prj").write_text(away)

    assert "source rgi/o.prj " in why(tiny, paths.label)
    assert build(tiny)[1] == {"ClassLabel"}
    assert not np.array_equal(label_of(paths), before)
    assert_label_is_that_of(tiny.sources, paths, VOTES, "rgi/o.shp")


def test_moving_sources_and_dataset_makes_no_label_anew(tiny, tmp_path):
    build(tiny)
    shutil.copytree(tmp_path, tmp_path.parent / "moved")
    moved = tmp_path.parent / "moved"

    _, built = build(Tiny(moved / "input", moved / "config", tiny.region))

    assert built == set()


@contextlib.contextmanager
def open_in_gis(path):
    """Yield a function that has a GIS, which keeps the database open, save a change to it."""
    command = [sys.executable, "-c", GIS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def save(sql):
            process.stdin.write(f"{sql}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "saved\n"

        yield save
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_outlines_that_a_gis_has_not_yet_written_into_their_file_are_refused_then_read(tiny):
    paths, _ = build(tiny)
    before = label_of(paths)
    path = tiny.sources / OUTLINES
    with open_in_gis(path) as save:
        save("select 1")
        # A GIS that only looks changes the header once.
        assert build(tiny)[1] == {"ClassLabel"}
        assert build(tiny)[1] == set()
        stamp = path.stat().st_mtime_ns
        save("delete from outlines where fid > 1")
        assert path.stat().st_mtime_ns == stamp
        state = state_of(paths.root)

        for family in (ClassLabel, DistanceRaster):
            with pytest.raises(InputError, match=r"changes that are not yet in it.*outlines\.gpkg-wal") as caught:
                build(tiny, family)
            assert caught.value.where == str(path)
            assert "wal_checkpoint" in caught.value.fix
        assert {name: kept for name, kept in state_of(paths.root).items() if name in state} == state
        assert f"source {OUTLINES}-wal is new" in why(tiny, paths.label)
    assert not list(path.parent.glob("outlines.gpkg?*"))

    _, built = build(tiny, DistanceRaster)

    assert built == {"DistanceRaster"}
    assert build(tiny)[1] == {"ClassLabel"}
    assert not np.array_equal(label_of(paths), before)
    assert_label_is_that_of(tiny.sources, paths)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    tiny = make_tiny(root)
    build_inline(dataset(tiny.region, root / "out", tiny.sources, tiny.config))
    return root


@pytest.fixture
def sealed(finished, tmp_path, monkeypatch):
    """Return the root task of a copy of a finished dataset with its sources, all current."""
    monkeypatch.setattr("gcn_luigi.report.quality.page.write_report", write_no_page)
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    root = dataset("tiny", tmp_path / "out", tmp_path / "input", tmp_path / "config")
    assert build_inline(root) == []
    return root


def tell_otherwise(root, name, change):
    """Let the sidecar of a file say that it found its sources in another state."""
    sidecar = root.paths.sidecar(root.paths.root / name)
    record = read_record(sidecar)
    parts = json.loads(json.dumps(record.parts))
    change(parts["sources"])
    sidecar.write_text(Record(parts, record.size, record.sha256).to_json(), encoding="utf-8")


def problems(root, **how):
    return list(validate(root.paths.root, **how))


def test_files_made_from_two_states_of_a_source_are_not_sealed_and_not_sound(sealed):
    assert problems(sealed) == problems(sealed, deep=True) == []
    tell_otherwise(sealed, "label.tif", lambda sources: sources.update({OUTLINES: [1, 2]}))

    told = f"label.tif: made from another state of a source than catalog.gpkg: {OUTLINES}"
    assert told in problems(sealed)
    assert told in problems(sealed, deep=True)
    assert told in problems(sealed, only=["label.tif"])
    assert problems(sealed, only=["index.parquet"]) == []
    sealed.paths.dataset.unlink()
    with pytest.raises(InputError, match="different states of a source; no manifest was written") as caught:
        sealed.make()
    assert caught.value.where == OUTLINES
    assert "label.tif" in caught.value.what
    assert "run the same command again" in caught.value.fix
    assert not sealed.paths.dataset.exists()


def test_a_log_that_only_one_of_two_files_found_is_another_state(sealed):
    def add_log(sources):
        sources[OUTLINES] = {OUTLINES: sources[OUTLINES], f"{OUTLINES}-wal": [12, 34]}

    tell_otherwise(sealed, "distance.tif", add_log)

    assert any(f"{OUTLINES}-wal" in problem for problem in problems(sealed))


def test_a_sidecar_of_other_bytes_says_nothing_about_the_sealed_file(sealed):
    sidecar = sealed.paths.sidecar(sealed.paths.label)
    record = read_record(sidecar)
    parts = {**record.parts, "sources": {OUTLINES: [1, 2]}}
    sidecar.write_text(Record(parts, record.size, "0" * 64).to_json(), encoding="utf-8")

    assert problems(sealed) == []


@pytest.mark.parametrize("name", [OUTLINES, VOTES, "optical"])
def test_a_source_that_changes_before_the_seal_is_noticed_there(sealed, name):
    path = sealed.configured.root / name
    if path.is_dir():
        path = next(path.rglob("*_ndsi.tif"))
    sealed.paths.dataset.unlink()
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))

    with pytest.raises(InputError, match="no longer match the settings and sources; no manifest was written") as caught:
        sealed.make()

    assert f"source {path.relative_to(sealed.configured.root).as_posix()} was touched" in caught.value.where
    assert not sealed.paths.dataset.exists()


def test_outlines_that_change_between_label_and_distance_end_in_no_dataset_and_the_next_build_heals(sealed):
    """As it was without Luigi's own look at what is complete, or with a source that changes after that look."""
    path = sealed.configured.root / OUTLINES
    frame = gpd.read_file(path)
    path.unlink()
    frame.iloc[: len(frame) // 2].to_file(path, engine="pyogrio")
    sealed.paths.dataset.unlink()
    sealed.clone(DistanceRaster).run()

    with pytest.raises(InputError, match="different states of a source") as caught:
        sealed.run()

    assert caught.value.where == OUTLINES
    before = label_of(sealed.paths)
    ran = build_inline(dataset("tiny", sealed.paths.root.parent, sealed.configured.root, Path(sealed.config_dir)))
    assert any(name.startswith("gcn.ClassLabel") for name in ran)
    assert not np.array_equal(label_of(sealed.paths), before)
    assert_label_is_that_of(sealed.configured.root, sealed.paths, VOTES)
    assert problems(sealed, deep=True) == []
    assert all(task.is_published() for task in (*upstream(sealed), sealed))
