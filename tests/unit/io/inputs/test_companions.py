"""Every file that decides what GDAL or SQLite returns belongs to the source: compared with what GDAL says it read."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.shutil import copy as copy_raster
from rasterio.vrt import WarpedVRT

from gcn_luigi.io.inputs.source_states import FileStates, signature
from tests.reference.tile_tree import write_tif

DATA = np.arange(1024, dtype=np.int16).reshape(1, 32, 32)
PAM = '<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>'
WORLD = "10\n0\n0\n-10\n600005\n6999995\n"
VRT = """<VRTDataset rasterXSize="32" rasterYSize="32"><SRS>EPSG:32606</SRS>
<GeoTransform>600000, 10, 0, 7000000, 0, -10</GeoTransform><VRTRasterBand dataType="Int16" band="1">
<SimpleSource>{source}<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""


def vrt(path, name, tag='SourceFilename relativeToVRT="1"'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(VRT.format(source=f"<{tag}>{name}</{tag.split()[0]}>"))
    return path


def bare(path):
    """Write a GeoTIFF that does not say where it lies."""
    with rasterio.open(path, "w", driver="GTiff", count=1, height=32, width=32, dtype="int16") as dataset:
        dataset.write(DATA)
    return path


def shown(path):
    """Return what rasterio shows of a raster."""
    with rasterio.open(path) as dataset:
        masks = dataset.read_masks(1).tobytes()
        return dataset.read(1).tobytes(), masks, dataset.nodata, dataset.transform, dataset.crs


def files_of_gdal(path):
    """Return all files that GDAL says a raster consists of, through VRTs of VRTs, by where they really are."""
    with rasterio.open(path) as dataset:
        files = [Path(name) for name in dataset.files]
        is_virtual = dataset.driver == "VRT"
    below = [file for file in files[1:] if is_virtual and file.resolve() != path.resolve()]
    return {os.path.realpath(file) for file in files} | {name for file in below for name in files_of_gdal(file)}


def files_of_ours(path):
    return {os.path.realpath(name) for name in FileStates().files(path)}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.b.tif.aux.xml", PAM), ("a.b.tfw", WORLD), ("a.b.TFW", WORLD), ("a.b.tifw", WORLD),
     ("a.b.wld", WORLD)],
)  # fmt: skip
def test_a_sidecar_that_changes_what_gdal_shows_changes_the_signature_and_so_does_its_own_change(
    tmp_path, name, content
):
    path = bare(tmp_path / "a.b.tif")
    before, plain = signature([path], tmp_path), shown(path)

    (tmp_path / name).write_text(content)
    after = signature([path], tmp_path)

    assert shown(path) != plain
    assert list(before) == list(after) == ["a.b.tif"]
    assert before["a.b.tif"] == [path.stat().st_size, path.stat().st_mtime_ns]
    assert sorted(after["a.b.tif"]) == sorted(["a.b.tif", name])
    os.utime(tmp_path / name, ns=(1, 1))
    assert signature([path], tmp_path) != after


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("driver", "ending", "sidecars"),
    [
        ("GTiff", "tif", ("a.b.tif.aux.xml", "a.b.tif.msk", "a.b.tif.ovr")),
        ("GTiff", "tiff", ("a.b.tfw", "a.b.tiff.msk", "a.b.tiff.ovr", "a.b.tiff.msk.ovr")),
        ("HFA", "image", ("a.b.image.aux.xml", "a.b.image.msk")),
        ("HFA", "img", ("a.b.img.aux.xml", "a.b.img.msk", "a.b.rrd")),
        ("AAIGrid", "asc", ("a.b.asc.aux.xml", "a.b.prj", "a.b.asc.msk")),
        ("JP2OpenJPEG", "jp2", ("a.b.jp2.aux.xml", "a.b.j2w", "a.b.wld")),
        ("VRT", "vrt", ("a.b.vrt.ovr", "a.b.vrt.msk")),
    ],
)
def test_all_files_that_gdal_says_a_raster_consists_of_are_ours_too(tmp_path, driver, ending, sidecars):
    tif = write_tif(tmp_path / "x.tif", DATA)
    path = tmp_path / f"a.b.{ending}"
    with rasterio.open(tif) as source:
        copy_raster(source, path, driver=driver)
    for name in sidecars:
        if name.endswith(".xml"):
            (tmp_path / name).write_text(PAM)
        elif name.endswith((".msk", ".ovr")):
            shutil.copy(tif, tmp_path / name)
        elif not (tmp_path / name).exists():
            (tmp_path / name).write_text(WORLD)

    ours = files_of_ours(path)

    assert ours >= files_of_gdal(path)
    assert ours >= {str(tmp_path / name) for name in sidecars}
    assert len(files_of_gdal(path)) > 1


def test_pixels_that_an_imagine_file_keeps_elsewhere_are_part_of_it_whatever_their_name(tmp_path):
    tif = write_tif(tmp_path / "x.tif", DATA)
    with rasterio.open(tif) as source:
        copy_raster(source, tmp_path / "old.img", driver="HFA", use_spill="YES")
    assert (tmp_path / "old.ige").is_file()
    # The name in the file stays what it was.
    (tmp_path / "old.img").rename(tmp_path / "votes.img")
    np.testing.assert_array_equal(rasterio.open(tmp_path / "votes.img").read(), DATA)

    assert files_of_ours(tmp_path / "votes.img") == {str(tmp_path / "votes.img"), str(tmp_path / "old.ige")}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_whose_name_has_no_ending_has_sidecars_too(tmp_path):
    path = bare(tmp_path / "votes")
    plain = shown(path)
    (tmp_path / ".wld").write_text(WORLD)
    (tmp_path / "votes.aux.xml").write_text(PAM)
    (tmp_path / "votes.wld").write_text(WORLD)

    assert shown(path) != plain
    assert (
        files_of_ours(path)
        == files_of_gdal(path)
        == {str(tmp_path / f"votes{end}") for end in ("", ".aux.xml", ".wld")}
    )


def test_what_only_looks_like_a_sidecar_is_none(tmp_path):
    path = write_tif(tmp_path / "votes.tif", DATA)
    for name in ("votes_old.tif", "votes.tif.bak", "votes.png", "votes.qml", "votes2.tfw", "votes.tif.aux.xml.txt"):
        (tmp_path / name).write_text("x")

    assert files_of_ours(path) == {str(path)}


def test_a_vrt_stands_for_all_below_it_and_their_sidecars(tmp_path):
    write_tif(tmp_path / "data" / "deep" / "part.tif", DATA)
    (tmp_path / "data" / "deep" / "part.tif.aux.xml").write_text(PAM)
    vrt(tmp_path / "data" / "middle" / "m.vrt", "../deep/part.tif")
    top = vrt(tmp_path / "data" / "top.vrt", "middle/m.vrt")
    root = tmp_path / "data"

    found = signature([top], root)

    assert list(found) == ["top.vrt"]
    assert list(found["top.vrt"]) == ["deep/part.tif", "deep/part.tif.aux.xml", "middle/m.vrt", "top.vrt"]
    assert files_of_ours(top) == files_of_gdal(top)
    shutil.copytree(root, tmp_path / "moved")
    assert signature([tmp_path / "moved" / "top.vrt"], tmp_path / "moved") == found
    os.utime(root / "deep" / "part.tif", ns=(1, 1))
    assert signature([top], root) != found


@pytest.mark.parametrize(
    "tag",
    [
        'SourceFilename relativeToVRT="1"',
        'sourcefilename relativetovrt="1"',
        'SOURCEFILENAME RELATIVETOVRT=" 1"',
        'SourceFilename shared="0" relativeToVRT="1"',
    ],
)
def test_a_vrt_is_read_as_gdal_reads_it_whatever_the_case_of_its_words(tmp_path, tag):
    part = write_tif(tmp_path / "part.tif", DATA)
    top = vrt(tmp_path / "top.vrt", " part.tif", tag)

    np.testing.assert_array_equal(rasterio.open(top).read(), DATA)
    assert files_of_ours(top) == {str(top), str(part)}


def test_names_in_a_vrt_start_where_links_lead_as_for_gdal(tmp_path):
    right = write_tif(tmp_path / "store" / "part.tif", DATA)
    vrt(tmp_path / "store" / "votes.vrt", "part.tif")
    vrt(tmp_path / "store" / "deep" / "votes.vrt", "../part.tif")
    (tmp_path / "data").mkdir()
    for wrong in ("data", "."):
        write_tif(tmp_path / wrong / "part.tif", DATA * 0)
    (tmp_path / "data" / "one.vrt").symlink_to("../store/votes.vrt")
    (tmp_path / "data" / "two.vrt").symlink_to("one.vrt")
    (tmp_path / "data" / "linked").symlink_to("../store/deep")

    for name in ("one.vrt", "two.vrt", "linked/votes.vrt"):
        path = tmp_path / "data" / name
        np.testing.assert_array_equal(rasterio.open(path).read(), DATA)
        found = signature([path], tmp_path / "data")
        assert found[name][str(right)] == [right.stat().st_size, right.stat().st_mtime_ns]
        assert len(found[name]) == 2


def test_a_warped_vrt_stands_for_what_it_warps(tmp_path):
    part = write_tif(tmp_path / "part.tif", DATA)
    with rasterio.open(part) as source, WarpedVRT(source, crs="EPSG:32607") as warped:
        copy_raster(warped, tmp_path / "w.vrt", driver="VRT")
    assert "GDALWarpOptions" in (tmp_path / "w.vrt").read_text()

    assert files_of_ours(tmp_path / "w.vrt") == {str(tmp_path / "w.vrt"), str(part)}


def test_vrts_in_a_circle_and_without_sense_end(tmp_path):
    vrt(tmp_path / "a.vrt", "b.vrt")
    vrt(tmp_path / "b.vrt", "a.vrt")
    (tmp_path / "c.vrt").write_text("no XML")

    assert files_of_ours(tmp_path / "a.vrt") == {str(tmp_path / name) for name in ("a.vrt", "b.vrt")}
    assert files_of_ours(tmp_path / "c.vrt") == {str(tmp_path / "c.vrt")}


def test_a_vrt_that_is_written_anew_is_followed_anew(tmp_path):
    for name in ("one.tif", "two.tif"):
        write_tif(tmp_path / name, DATA)
    top = vrt(tmp_path / "top.vrt", "one.tif")
    assert str(tmp_path / "one.tif") in files_of_ours(top)

    vrt(top, "two.tif")

    assert files_of_ours(top) == {str(top), str(tmp_path / "two.tif")}


def test_a_shapefile_has_parts_in_any_case(tmp_path):
    for name in ("Outlines.shp", "Outlines.DBF", "outlines.cpg", "OUTLINES.SHX", "Outlines.shp.xml", "outlines2.dbf"):
        (tmp_path / name).write_text("x")

    found = files_of_ours(tmp_path / "Outlines.shp")

    assert found == {str(path) for path in tmp_path.iterdir()} - {str(tmp_path / "outlines2.dbf")}


HOLDER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1])
held.execute("pragma journal_mode=wal").fetchall()
held.execute("pragma wal_autocheckpoint=0")
held.execute("select * from sqlite_master").fetchall()
for word in sys.stdin:
    held.execute("create table if not exists edited (x)")
    held.execute("insert into edited values (1)")
    held.commit()
    print("edited", flush=True)
"""


@pytest.fixture
def outlines(tmp_path):
    frame = gpd.GeoDataFrame({"RGIId": ["a"]}, geometry=[shapely.box(0, 0, 100, 100)], crs="EPSG:32606")
    pyogrio.write_dataframe(frame, tmp_path / "o.gpkg")
    return tmp_path / "o.gpkg"


def in_gis(path):
    """Start a process that has a database open and writes to it when it gets a line."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("linked", [False, True])
def test_changes_that_sqlite_keeps_beside_a_database_are_part_of_it(tmp_path, outlines, linked):
    path = outlines
    if linked:
        # SQLite looks beside the file itself.
        path = tmp_path / "data" / "linked.gpkg"
        path.parent.mkdir()
        path.symlink_to(outlines)
    with in_gis(outlines) as process:
        seen = []
        for _ in range(2):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "edited\n"
            seen.append(signature([path], tmp_path))
        process.kill()

    (name,) = seen[0]
    assert "o.gpkg-wal" in seen[0][name]
    assert seen[0] != seen[1]


def test_reading_a_database_in_wal_mode_is_no_change_of_it(outlines):
    connection = sqlite3.connect(outlines)
    assert connection.execute("pragma journal_mode=wal").fetchall() == [("wal",)]
    connection.close()
    before = signature([outlines], outlines.parent)

    for _ in range(2):
        assert len(pyogrio.read_dataframe(outlines)) == 1
        assert signature([outlines], outlines.parent) == before == {"o.gpkg": before["o.gpkg"]}
    # Nor is the empty log of somebody who only looks.
    (outlines.parent / "o.gpkg-wal").touch()
    (outlines.parent / "o.gpkg-shm").write_bytes(bytes(32768))
    assert signature([outlines], outlines.parent) == before


def test_the_locks_of_those_who_look_at_a_geodatabase_are_no_change_of_it(tmp_path, outlines):
    pyogrio.write_dataframe(pyogrio.read_dataframe(outlines), tmp_path / "o.gdb", driver="OpenFileGDB")
    before = signature([tmp_path / "o.gdb"], tmp_path)

    (tmp_path / "o.gdb" / "_gdb.HOST.1234.5678.sr.lock").touch()
    assert signature([tmp_path / "o.gdb"], tmp_path) == before
    os.utime(tmp_path / "o.gdb" / "gdb", ns=(1, 1))
    assert signature([tmp_path / "o.gdb"], tmp_path) != before


class TestLinksThatLeadBack:
    """A tree is listed once, however links lead through it."""

    @pytest.fixture
    def tiles(self, tmp_path):
        write_tif(tmp_path / "tiles" / "0123" / "a_nbr.tif", DATA)
        return tmp_path / "tiles"

    @pytest.mark.parametrize(
        "links",
        [{"latest": "."}, {"latest": ".", "current": "."}, {"0123/up": "..", "0123/self": "."}, {"0123/deep": "../.."},
         {"itself": "itself"}],
        ids=str,
    )  # fmt: skip
    def test_a_loop_ends_and_is_seen_when_it_comes(self, tiles, links):
        before = signature([tiles], tiles.parent)["tiles"]
        for name, target in links.items():
            (tiles / name).symlink_to(target)

        after = signature([tiles], tiles.parent)["tiles"]

        assert after.items() >= before.items()
        assert len(after) - len(before) == (0 if "itself" in links else len(links))

    def test_two_directories_that_lead_to_each_other_are_listed_once(self, tiles):
        write_tif(tiles / "0124" / "a_nbr.tif", DATA)
        (tiles / "0123" / "next").symlink_to("../0124")
        (tiles / "0124" / "next").symlink_to("../0123")

        found = signature([tiles], tiles.parent)["tiles"]

        assert sum(name.endswith(".tif") for name in found) == 2

    def test_another_name_of_a_tile_is_a_change_and_so_is_where_it_leads(self, tiles):
        write_tif(tiles / "0124" / "a_nbr.tif", DATA)
        seen = [signature([tiles], tiles.parent)]
        link = tiles / "0999"
        for target in ("0123", "0124"):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            seen.append(signature([tiles], tiles.parent))

        assert seen[0] != seen[1] != seen[2] != seen[0]
        shutil.copytree(tiles, tiles.parent / "moved" / "tiles", symlinks=True)
        assert signature([tiles.parent / "moved" / "tiles"], tiles.parent / "moved") == seen[2]
