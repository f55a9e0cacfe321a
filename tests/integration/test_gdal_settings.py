"""What the shell and files of settings say to GDAL and PROJ never reaches a result."""

import functools
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from gcn_luigi.io import gdal
from gcn_luigi.io.gdal import RASTER_OPTIONS, VECTOR_OPTIONS, is_gdal_option, set_aside, told
from tests.integration.commands import make_tiny

# What the test itself needs to come through, or would be drowned by.
_SPARED = {"CPL_DEBUG", "CPL_LOG", "CPL_LOG_ERRORS", "CPL_LOG_APPEND", "CPL_TMPDIR", "XDG_CACHE_HOME", "USERPROFILE"}
# Values that mean something else than yes and no.
_AWKWARD = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_GEOREF_SOURCES": "WORLDFILE,PAM",
    "GDAL_CACHEMAX": "1",
    "GDAL_NUM_THREADS": "4",
    "GDAL_SKIP": "GTiff HFA",
    "OGR_SKIP": "GPKG,ESRI Shapefile",
    "GDAL_DATA": "/nowhere",
    "PROJ_DATA": "/nowhere",
    "PROJ_LIB": "/nowhere",
    "PROJ_NETWORK": "ON",
    "GDAL_TIFF_ENDIANNESS": "BIG",
    "GTIFF_LINEAR_UNITS": "BROKEN",
    "GTIFF_SRS_SOURCE": "GEOKEYS",
    "OGR_ARC_STEPSIZE": "45",
    "OGR_ORGANIZE_POLYGONS": "SKIP",
    "OGR_WKT_PRECISION": "2",
    "OGR_GEOJSON_MAX_OBJ_SIZE": "0.0001",
    "OGR_SQLITE_PRAGMA": "encoding=UTF-16",
    "SHAPE_ENCODING": "CP437",
    "TIFF_USE_OVR": "TRUE",
}
_READ = """
import hashlib, json, sys, warnings
from pathlib import Path
import numpy as np

if sys.argv[2] == "as a command":
    from gcn_luigi.io.gdal import set_aside
    set_aside()

import geopandas as gpd
import shapely
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.geotiff import write_geotiff
from gcn_luigi.io.tables import write_geopackage
from gcn_luigi.io.inputs.vector import read_grid
from gcn_luigi.lattice import Lattice

warnings.simplefilter("ignore")
root, seen = Path(sys.argv[1]), {}
digest = lambda data: hashlib.sha256(data).hexdigest()[:16]
for path in sorted(root.iterdir()):
    try:
        if path.suffix in {".tif", ".img", ".jp2", ".asc", ".vrt"}:
            with open_local(path) as source:
                facts = [str(source.crs and source.crs.to_wkt()), list(source.transform)[:6], source.nodatavals,
                         source.dtypes, source.descriptions, source.scales, source.offsets]
                pixels = [digest(source.read().tobytes()), digest(source.read_masks().tobytes())]
            seen[path.name] = repr([facts, pixels])
        elif path.suffix in {".gpkg", ".shp", ".geojson", ".fgb"}:
            frame = read_grid(path)
            shapes = digest(b"".join(shapely.to_wkb(frame.geometry.to_numpy())))
            rest = frame.drop(columns=frame.geometry.name)
            seen[path.name] = repr([str(frame.crs), shapes, dict(rest.dtypes.astype(str)), rest.to_dict("list")])
    except Exception as error:
        seen[path.name] = f"{type(error).__name__}: {error}".replace(str(root), "")
made = Path(sys.argv[3])
lattice = Lattice("EPSG:3338", left=0.0, top=0.0, pixel_size=30.0, height=600, width=5000)
pixels = (np.arange(600 * 5000 * 2).reshape(2, 600, 5000) * 7919 % 251).astype("int16")
write_geotiff(made / "made.tif", lattice, pixels, nodata=-1, names=["a", "b"])
frame = gpd.GeoDataFrame({"outline": ["a"]}, geometry=[shapely.box(0, 0, 90.123456789, 90)], crs="EPSG:3338")
write_geopackage(made / "made.gpkg", frame, "made")
seen["made"] = [digest((made / name).read_bytes()) for name in ("made.tif", "made.gpkg")]
seen["reprojected"] = frame.to_crs("EPSG:4326").to_wkt().geometry.tolist()
print(json.dumps(seen))
"""


@functools.cache
def _known_options() -> list[str]:
    """Return the options that GDAL itself knows: it warns of others, where it is asked to."""
    libraries = sorted(Path(pyogrio.__file__).parents[1].glob("*.libs/libgdal*"))
    if not libraries:
        pytest.skip("no wheels of rasterio and pyogrio, whose GDAL tells its options")
    words: set[str] = set()
    for library in libraries:
        words |= {found.decode() for found in re.findall(rb"(?<=\0)[A-Z][A-Z0-9_]{3,60}(?=\0)", library.read_bytes())}
    before = pyogrio.get_gdal_config_option("CPL_DEBUG")
    known = []
    for word in sorted(words - {"CPL_DEBUG"}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pyogrio.set_gdal_config_options({"CPL_DEBUG": "ON"})
            pyogrio.set_gdal_config_options({word: "YES"})
            pyogrio.set_gdal_config_options({word: None, "CPL_DEBUG": before})
        if is_gdal_option(word) or not any("Unknown configuration option" in str(item.message) for item in caught):
            known.append(word)
    return [name for name in known if name not in _SPARED]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a directory of files that say where they lie, and what is missing, in more than one way."""
    root = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(8)
    pixels = rng.integers(-500, 500, (2, 96, 80), dtype=np.int16)
    grid = {"crs": "EPSG:3338", "transform": Affine(30.0, 0.0, 336_000.0, 0.0, -30.0, 1_203_000.0)}
    profile = {"height": 96, "width": 80, "count": 2, "dtype": "int16", "nodata": -32768, **grid}
    tiled = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "lzw", "predictor": 2}

    def write(name, **changes):
        with rasterio.open(root / name, "w", **{**profile, **changes}) as target:
            target.write(pixels[: target.count].astype(target.dtypes[0]))
            target.update_tags(**({"AREA_OR_POINT": "Point"} if "point" in name else {}))
            return target

    write("area.tif", **tiled)
    write("point.tif", **tiled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        write("point_world.tif", transform=None, **tiled)
    (root / "point_world.tfw").write_text("30\n0\n0\n-30\n500000\n900000\n", encoding="ascii")
    write("two.tif", **tiled)
    (root / "two.tfw").write_text("30\n0\n0\n-30\n500000\n900000\n", encoding="ascii")
    write("pam.tif", **tiled)
    (root / "pam.tif.aux.xml").write_text(
        "<PAMDataset><GeoTransform>1, 2, 0, 3, 0, -2</GeoTransform>"
        '<PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>',
        encoding="ascii",
    )
    write("south_up.tif", transform=Affine(30.0, 0.0, 0.0, 0.0, 30.0, 0.0), **tiled)
    write("sparse.tif", sparse_ok=True, **tiled)
    write("height.tif", crs="EPSG:3338+5703", **tiled)
    write("degrees.tif", crs="EPSG:4267", transform=Affine(0.001, 0, -150, 0, -0.001, 61), **tiled)
    write("image.img", driver="HFA")
    write("image.jp2", driver="JP2OpenJPEG", dtype="uint16", nodata=None, QUALITY="100", REVERSIBLE="YES")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        write("masked.tif", **tiled)
        with rasterio.open(root / "masked.tif", "r+") as target:
            target.write_mask(rng.integers(0, 2, (96, 80), dtype=np.uint8) * 255)
    write("damaged.tif", **tiled)
    with rasterio.open(root / "damaged.tif") as source:
        start = int(source.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    data = bytearray((root / "damaged.tif").read_bytes())
    data[start + 200 : start + 700] = b"\xff" * 500
    (root / "damaged.tif").write_bytes(data)
    (root / "grid.asc").write_text(
        "ncols 3\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 30\nNODATA_value -9999\n1 2 3\n4 5 -9999\n",
        encoding="ascii",
    )
    (root / "mosaic.vrt").write_text(
        '<VRTDataset rasterXSize="80" rasterYSize="96"><VRTRasterBand dataType="Int16" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">damaged.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        "</VRTRasterBand></VRTDataset>",
        encoding="ascii",
    )
    ring = shapely.box(336_000, 1_200_000, 337_000.123456789, 1_201_000)
    shapes = [ring.difference(shapely.box(336_200, 1_200_200, 336_400, 1_200_400)), shapely.MultiPolygon([ring])]
    table = {"glac_id": ["a", "b"], "name": ["Gla\u00e7ier K\u00e5re", "b"], "src_date": ["2004-08-01", "2008-09-02"]}
    frame = gpd.GeoDataFrame(table, geometry=shapes, crs="EPSG:3338")
    pyogrio.write_dataframe(frame, root / "shapes.gpkg", layer="shapes")
    pyogrio.write_dataframe(frame, root / "shapes.fgb", SPATIAL_INDEX="NO")
    pyogrio.write_dataframe(frame, root / "latin.shp", encoding="ISO-8859-1")
    pyogrio.write_dataframe(frame.to_crs(4326), root / "shapes.geojson")
    pyogrio.write_dataframe(frame, root / "index_lost.shp")
    (root / "index_lost.shx").unlink()
    return root


def _seen(files: Path, how: str, made: Path, **variables: str) -> dict[str, object]:
    made.mkdir()
    kept = {name: value for name, value in os.environ.items() if not is_gdal_option(name)}
    ran = subprocess.run(
        [sys.executable, "-c", _READ, str(files), how, str(made)],
        env={**kept, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    """Return what the files say where nothing is set, and nothing is dropped or fixed by the command."""
    return _seen(files, "as a command", tmp_path_factory.mktemp("made") / "files")


def test_the_files_say_what_gdals_defaults_say(files, undisturbed):
    """What is fixed changes nothing: rasterio and geopandas without this package read the same."""
    code = """
import sys, warnings, json; from pathlib import Path; import rasterio, geopandas
warnings.simplefilter("ignore")
for path in sorted(Path(sys.argv[1]).iterdir()):
    if path.suffix in {".tif", ".img", ".jp2", ".asc"}:
        with rasterio.open(path) as source: print(json.dumps([path.name, list(source.transform)[:6], source.nodata]))
"""
    plain = subprocess.run(
        [sys.executable, "-c", code, files], capture_output=True, text=True, check=True,
        env={name: value for name, value in os.environ.items() if not is_gdal_option(name)},
    )  # fmt: skip
    for line in plain.stdout.splitlines():
        name, transform, nodata = json.loads(line)
        said = str(undisturbed[name])
        assert name == "damaged.tif" or repr(transform) in said
        assert name == "damaged.tif" or f"({nodata!r}," in said
    assert "RasterioIOError" in str(undisturbed["damaged.tif"])
    assert "RasterioIOError" in str(undisturbed["mosaic.vrt"])


@pytest.mark.parametrize("values", ["YES", "NO", "awkward"])
def test_no_option_that_gdal_knows_changes_what_is_read_or_written(files, undisturbed, tmp_path, values):
    """Each is set at once, in the environment and in a file of settings."""
    options = dict.fromkeys(_known_options(), "0" if values == "awkward" else values)
    options |= _AWKWARD if values == "awkward" else {}
    assert len(options) > 1000
    (tmp_path / ".gdal").mkdir()
    lines = "".join(f"{name}={value}\n" for name, value in options.items() if name != "GDAL_CONFIG_FILE")
    (tmp_path / ".gdal" / "gdalrc").write_text(f"[configoptions]\n{lines}", encoding="ascii")
    options["GDAL_CONFIG_FILE"] = str(tmp_path / ".gdal" / "gdalrc")
    seen = _seen(files, "as a command", tmp_path / "made", **options)
    assert {name for name in seen if seen[name] != undisturbed[name]} == set()


@pytest.mark.parametrize("values", ["YES", "NO", "awkward"])
def test_what_is_fixed_holds_where_the_environment_is_left_alone(files, undisturbed, tmp_path, values):
    """A program that calls stages by itself keeps its environment."""
    fixed = {**RASTER_OPTIONS, **VECTOR_OPTIONS}
    options = {name: _AWKWARD.get(name, "NO") if values == "awkward" else values for name in fixed}
    seen = _seen(files, "as a library", tmp_path / "made", **options)
    assert {name for name in seen if seen[name] != undisturbed[name]} == set()


def test_without_any_of_this_the_options_would_change_results(files):
    """What the tests above look at does depend on the options."""
    with rasterio.open(files / "point.tif") as source:
        before = source.transform
    with rasterio.Env(GTIFF_POINT_GEO_IGNORE="TRUE"), rasterio.open(files / "point.tif") as source:
        assert (source.transform.c, source.transform.f) == (before.c + 15.0, before.f - 15.0)
    with rasterio.Env(GTIFF_IGNORE_READ_ERRORS="YES"), rasterio.open(files / "damaged.tif") as source:
        assert source.read(1).shape == (96, 80)


def test_a_file_of_settings_that_was_loaded_before_counts_no_more(tmp_path):
    """Where a program imports the libraries first, GDAL has read its files already."""
    (tmp_path / "rc").write_text("[configoptions]\nGTIFF_SRS_SOURCE=GEOKEYS\nSHAPE_ENCODING=CP437\n", encoding="ascii")
    code = f"""
import pyogrio, rasterio
from rasterio.env import get_gdal_config
with rasterio.Env(): before = get_gdal_config("GTIFF_SRS_SOURCE"), pyogrio.get_gdal_config_option("SHAPE_ENCODING")
from gcn_luigi.io.gdal import set_aside
print(before, set_aside() == ({str(tmp_path / "rc")!r},))
with rasterio.Env(): print(get_gdal_config("GTIFF_SRS_SOURCE"), pyogrio.get_gdal_config_option("SHAPE_ENCODING"))
"""
    environ = {**os.environ, "GDAL_CONFIG_FILE": str(tmp_path / "rc")}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["('GEOKEYS', 'CP437') True", "None None"]


def test_a_proj_that_was_misled_before_is_led_back(tmp_path):
    """rasterio looks where PROJ_DATA says when it is imported."""
    code = """
import rasterio
from gcn_luigi.io.gdal import set_aside
print(set_aside())
from rasterio.crs import CRS
print(CRS.from_epsg(3338).to_string())
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PROJ_DATA": str(tmp_path)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["('PROJ_DATA',)", "EPSG:3338"]


@pytest.mark.long
def test_tasks_of_a_program_without_the_command_read_the_same(tmp_path):
    tiny = make_tiny(tmp_path)
    for path in (tiny.sources / "optical").rglob("*.tif"):
        with rasterio.open(path, "r+") as tile:
            tile.update_tags(AREA_OR_POINT="Point")
    code = """
import sys
from gcn_luigi.tasks import TileInventory
task = TileInventory(region="tiny", output_root=sys.argv[1], config_dir=sys.argv[2], data_root="")
task.run()
"""
    for name, variables in (("plain", {}), ("disturbed", {"GTIFF_POINT_GEO_IGNORE": "TRUE", "PROJ_LIB": "/nowhere"})):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name), str(tiny.config)],
            env={**os.environ, **variables}, cwd=tmp_path, capture_output=True, check=True,
        )  # fmt: skip
    plain, disturbed = ((tmp_path / name / "tiny" / "inventory.json").read_bytes() for name in ("plain", "disturbed"))
    assert plain == disturbed


def test_the_command_names_what_it_ignores_once(commands, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    ended = commands.start(
        "gcn",
        "plan",
        "absent",
        PROJ_DATA=str(tmp_path / "elsewhere"),
        GTIFF_POINT_GEO_IGNORE="TRUE",
        CPL_TIMESTAMP="OFF",
    ).wait()
    note, *rest = ended.err.splitlines()
    assert note.endswith("ignored here: GTIFF_POINT_GEO_IGNORE, PROJ_DATA (PROJ_DATA of another installation)")
    assert not any("PROJ_DATA" in line for line in rest)


def test_what_only_sounds_like_an_option_is_kept():
    environ = {"RAW_DATA_DIR": "/data", "GDAL_VERSION": "3.10", "PROJ_DIR": "/opt/proj", "TAB_WIDTH": "4", "HOME": "/x"}
    before = dict(environ)
    assert set_aside(environ) == ()
    assert environ.items() >= before.items()


def test_what_bears_on_messages_is_kept():
    environ = {"CPL_DEBUG": "ON", "HOME": "/nowhere", "AWS_REGION": "x", "OGR_SKIP": "GPKG"}
    assert set_aside(environ) == ("OGR_SKIP",)
    assert {"CPL_DEBUG", "HOME", "AWS_REGION"} <= environ.keys()
    assert set_aside(environ) == ()


def test_an_installation_without_tables_of_its_own_keeps_the_variable_that_leads_to_them(monkeypatch):
    """As one from conda, whose activation sets it."""
    own = Path(rasterio.__file__).parent / "proj_data"
    monkeypatch.setattr(gdal, "_carries_tables", lambda: False)
    environ = {"PROJ_DATA": str(own), "HOME": "/nowhere"}
    assert set_aside(environ) == ()
    assert environ["PROJ_DATA"] == str(own)


def test_an_installation_whose_tables_are_not_found_is_told_by_name(tmp_path):
    code = """
from gcn_luigi.errors import ConfigError
from gcn_luigi.io import gdal
gdal._carries_tables = lambda: False
try:
    gdal.set_aside()
except ConfigError as error:
    print(error.where)
"""
    # As a new shell has it: in this process an earlier test may have set everything aside already.
    environ = {name: value for name, value in os.environ.items() if name != "GDAL_CONFIG_FILE"}

    ran = subprocess.run(
        [sys.executable, "-c", code], env={**environ, "PROJ_DATA": str(tmp_path)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip

    assert ran.stdout.strip() == f"PROJ_DATA={tmp_path}"


def test_the_note_says_what_it_is_about():
    assert told(("GTIFF_X",)) == "note: settings of GDAL and PROJ never reach a dataset; ignored here: GTIFF_X"
