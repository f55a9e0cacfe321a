"""Headers are read each once, by several threads, and what was refused is refused when it is asked for."""

import threading

import numpy as np
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster import header
from gcn_luigi.io.raster.header import header_reader, read_header
from tests.reference.tile_tree import write_tif


@pytest.fixture
def files(tmp_path):
    """Return many small files of different widths."""
    paths = [tmp_path / f"{number:03d}.tif" for number in range(150)]
    for number, path in enumerate(paths):
        write_tif(path, np.zeros((4, 16 + number), "int16"))
    return paths


def test_each_file_has_its_own_header(files):
    read = header_reader(files)

    for path in files:
        assert read(path) == read_header(path, is_lattice=False)


def test_a_file_that_occurs_twice_is_read_once_and_several_threads_read(files, monkeypatch):
    asked, threads = [], set()
    together = threading.Barrier(3, timeout=30)

    def counted(path, **options):
        if threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            together.wait()
        asked.append(path)
        return read_header(path, **options)

    monkeypatch.setattr(header, "read_header", counted)
    header_reader([*files, *files])

    assert sorted(asked) == files
    assert len(threads) == 3


def test_a_refused_file_stops_no_other_and_is_refused_when_asked_for(files):
    files[3].write_bytes(b"no raster")
    read = header_reader(files)

    assert read(files[4]).placement.width == 20
    with pytest.raises(InputError, match="003"):
        read(files[3])


def test_of_no_files_there_is_nothing_to_read():
    assert callable(header_reader([]))
