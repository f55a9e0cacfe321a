"""Commands that messages name for missing pixels are run as they are printed, and then the file is read right."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy

from gcn_luigi.errors import InputError
from tests.reference.tile_tree import write_tif
from tests.unit.stages.layers.test_missing_as_written import quality

BANDS = [{"name": "dem", "role": "topo", "suffix": "dem_temp"}, {"name": "a", "role": "optical"}]


def run(command, *files):
    """Run a command of a message, its words FILE and NEW replaced."""
    names = dict(zip(("FILE", "NEW"), files, strict=False))
    words = [str(names.get(word, word)) for word in shlex.split(command)]
    subprocess.run([Path(sys.executable).parent / words[0], *words[1:]], check=True, timeout=60)


def commands(fix):
    """Return the commands of a message: tag what is missing, tag another value, copy."""
    return re.findall(r"rio [a-z-]+ [^,;:]*", fix)


@pytest.fixture
def tree(tmp_path):
    measured = np.random.default_rng(0).integers(1, 200, (2, 64, 64)).astype(np.uint8)
    write_tif(tmp_path / "optical/0007/x_0007_a.tif", measured, nodata=None)
    write_tif(tmp_path / "topo/0007/x_0007_dem_temp.tif", measured[0].astype(np.float32) + 500, nodata=-9999)
    return tmp_path


def spoil(path, value):
    with rasterio.open(path, "r+") as file:
        values = file.read()
        values[:, :, :9] = value
        file.write(values)
        file.nodata = None
    return values


@pytest.mark.parametrize("value", [np.finfo(np.float32).min, np.float32(1234567.8), np.float32(12345678), -9998.75])
def test_a_tag_of_the_named_value_is_equal_to_the_pixels(tree, value):
    path = tree / "topo/0007/x_0007_dem_temp.tif"
    spoil(path, value)
    with pytest.raises(InputError, match="hold one value so often") as caught:
        quality(tree, BANDS)

    run(commands(caught.value.fix)[0], path)

    assert quality(tree, BANDS)["totals"]["missing"] == 9 * 64
    with rasterio.open(path) as file:
        assert (file.read_masks(1) == 0).sum() == 9 * 64


def test_a_measured_value_of_bytes_stays_where_another_is_tagged(tree):
    path = tree / "optical/0007/x_0007_a.tif"
    spoil(path, 0)
    with pytest.raises(InputError, match="hold one value so often") as caught:
        quality(tree)

    run(commands(caught.value.fix)[1], path)

    assert quality(tree)["totals"]["missing"] == 0


def test_a_cloud_optimised_file_is_copied_first(tree):
    path, plain = tree / "optical/0007/x_0007_a.tif", tree / "plain.tif"
    values = spoil(path, 0)
    path.rename(plain)
    copy(plain, path, driver="COG")
    with pytest.raises(InputError, match="hold one value so often") as caught:
        quality(tree)
    tag, _, duplicate = commands(caught.value.fix)

    with pytest.raises(subprocess.CalledProcessError):
        run(tag, path)
    run(duplicate, path, tree / "new.tif")
    (tree / "new.tif").replace(path)
    run(tag, path)

    assert quality(tree)["totals"]["missing"] == 2 * 9 * 64
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(), values)
