"""Forks and open files: how pixels go wrong without an error, and that tasks and readers cannot do it."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import h5py
import luigi
import pytest
from rasterio.io import DatasetReader

from tests.integration.builds import build_inline, dataset

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at open files by /proc")
_ROOT = Path(__file__).resolve().parents[2]

# Strips of 16 kB, one a row, that follow each other in the file: GDAL seeks only where it does not believe to be.
_SHARED = """
import os, sys, warnings
import numpy as np, rasterio
from rasterio.windows import Window
warnings.simplefilter("ignore")
path, how = sys.argv[1:]
stored = np.repeat(np.arange(600, dtype=np.int32)[:, np.newaxis], 4096, axis=1)
with rasterio.open(path, "w", driver="GTiff", height=600, width=4096, count=1, dtype="int32", blockysize=1) as out:
    out.write(stored, 1)

def row(source, number):
    return int(source.read(1, window=Window(0, number, 4096, 1))[0, 0])

source = rasterio.open(path)
assert row(source, 10) == 10
child = os.fork()
if child == 0:
    row(source if how == "shared" else rasterio.open(path), 500)
    os._exit(0)
os.waitpid(child, 0)
print(*(row(source, number) - number for number in range(11, 31)))
"""

# A program that chose fork, and reads the very stacks and sources all the while that tasks read them.
_FORKING = """
import multiprocessing, os, sys, threading
multiprocessing.set_start_method("fork")
from pathlib import Path
import rasterio
from gcn_luigi.tasks import Dataset
from gcn_luigi.operate.build import build
region, output, config, sources, stacks = sys.argv[1:]
files = [*sorted(Path(stacks).glob("*.vrt")), *sorted(Path(sources).rglob("*.tif"))]
held = [rasterio.open(path) for path in files]
stop = threading.Event()

def read():
    while not stop.is_set():
        for source in held:
            source.read(1)

for source in held:
    source.read(1)
reader = threading.Thread(target=read)
reader.start()
root = Dataset(region=region, output_root=output, config_dir=config, data_root=sources)
result = build([root], workers=2, address=None)
stop.set()
reader.join()
print(len(held), result.exit_code, multiprocessing.get_start_method(), result.failures)
"""

_HOLDING = """
import multiprocessing, os, sys
multiprocessing.set_start_method(sys.argv.pop())
import h5py, luigi, rasterio
from gcn_luigi.operate.build import build
from tests.integration.test_fork import Descriptors
raster, shard, said = sys.argv[1:]
held = [rasterio.open(raster), h5py.File(shard)]
held[0].read(1)
number = os.open(raster, os.O_RDONLY)
os.set_inheritable(number, True)
build([Descriptors(path=said)], workers=2, address=None)
print(*(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")))
"""

# Children read while their parent does, all by way of one reader that was opened before.
_READING = """
import os, sys
import numpy as np
import gcn_luigi
reader = gcn_luigi.open_dataset(sys.argv[1]).chips("train", threads=int(sys.argv[2]))
count = len(reader)
expected = {name: np.array(values) for name, values in reader.batch(range(count)).items()}
go, ready = os.pipe()

def is_right(seed):
    order = np.random.default_rng(seed).permutation(count)
    return all(
        np.array_equal(values, expected[name][order[first : first + 5]])
        for first in range(0, count, 5)
        for name, values in reader.batch(order[first : first + 5]).items()
    )

children = []
for seed in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        os.read(go, 1)
        os._exit(0 if is_right(seed) else 1)
os.write(ready, b"...")
print(is_right(9), [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


class Descriptors(luigi.Task):
    """A task that lists the files its process has open."""

    path = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(self.path)

    def run(self):
        with Path(self.path).open("w") as said:
            said.write("\n".join(open_files()))


def open_files(below: Path = Path("/")) -> list[str]:
    """Return the names of the files below a directory that this process has open."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return sorted(link for link in links if link.startswith(str(below)))


def _python(program, *arguments):
    command = [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.fault
def test_a_dataset_shared_across_a_fork_shows_other_rows_without_any_error(tmp_path):
    # What the package has to keep clear of. Should this fail one day, GDAL no longer shares file offsets.
    moved = _python(_SHARED, tmp_path / "rows.tif", "shared").split()

    # As far as the child has moved the place in the file; a row or two may have been read before the fork.
    assert set(moved[2:]) == {"490"}


def test_a_dataset_of_each_process_shows_its_own_rows(tmp_path):
    assert set(_python(_SHARED, tmp_path / "rows.tif", "own").split()) == {"0"}


@pytest.mark.long
def test_a_program_that_forks_and_holds_the_very_stack_open_gets_the_right_bytes(tiny, tiny_output, tmp_path):
    made = tmp_path / "made"
    where = (tiny.region, made, tiny.config, tiny.sources)
    held, code, method, failures = _python(_FORKING, *where, tiny_output / "tiny/stacks").split(" ", 3)

    assert int(held) > 3
    assert (code, method, failures) == ("0", "fork", "{}")
    shards = sorted((tiny_output / "tiny").rglob("*.h5"))
    assert len(shards) == 3
    for path in (*shards, tiny_output / "tiny/label.tif", tiny_output / "tiny/distance.tif"):
        assert (made / "tiny" / path.relative_to(tiny_output / "tiny")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "method",
    ["fork", pytest.param("forkserver", marks=pytest.mark.long), pytest.param("spawn", marks=pytest.mark.long)],
)
def test_a_worker_holds_no_file_that_the_program_has_open(tiny, tiny_output, tmp_path, method):
    raster = next(tiny.sources.rglob("*.tif"))
    shard = next((tiny_output / "tiny").rglob("*.h5"))
    held = _python(_HOLDING, raster, shard, tmp_path / "said", method)

    assert str(raster) in held
    assert str(shard) in held
    said = (tmp_path / "said").read_text().splitlines()
    # Its own file at least: the listing works.
    assert str(tmp_path / "said") in said
    assert not {str(raster), str(shard)} & set(said)


def test_after_a_build_in_this_process_nothing_is_left_open(tiny, tmp_path):
    gc.collect()
    before = {id(item) for item in _open_rasters()}
    build_inline(dataset(tiny.region, tmp_path, tiny.sources, tiny.config))

    # Before garbage is collected: files are closed, not forgotten.
    assert open_files(tiny.sources) == []
    assert open_files(tmp_path) == []
    assert [item.name for item in _open_rasters() if id(item) not in before] == []


def _open_rasters():
    # By type: asking some objects of other libraries for their class makes them warn.
    return [item for item in gc.get_objects() if issubclass(type(item), DatasetReader) and not item.closed]


def test_no_module_holds_an_open_file(tiny_output):
    del tiny_output
    modules = [module for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == "gcn_luigi"]
    assert len(modules) > 50
    held = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, DatasetReader | h5py.File | h5py.Dataset)
    ]

    assert held == []


@pytest.mark.parametrize("threads", [1, 3])
def test_children_of_a_reader_read_beside_their_parent(tiny_output, threads):
    assert _python(_READING, tiny_output / "tiny", threads) == "True [0, 0, 0]"


def test_a_reader_opens_shards_anew_in_a_child(tiny_output):
    program = """
import os, sys
import gcn_luigi
from tests.integration.test_fork import open_files
reader = gcn_luigi.open_dataset(sys.argv[1]).chips("train")
reader.batch([0])
before = len(open_files(sys.argv[1]))
child = os.fork()
if child == 0:
    reader.batch([0])
    # Those of the parent, which the fork copied, and as many of its own.
    os._exit(0 if len(open_files(sys.argv[1])) == 2 * before else 1)
print(before > 0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert _python(program, tiny_output / "tiny") == "True 0"


def test_this_module_sees_open_files(tmp_path):
    number = os.open(tmp_path / "held", os.O_CREAT)
    try:
        assert open_files(tmp_path) == [str(tmp_path / "held")]
    finally:
        os.close(number)
