"""What lies outside the pixels of a shard is guarded for every reader of HDF5, but for one small heap."""

import re
import struct

import h5py
import numpy as np
import pytest

from gcn_luigi.io.shard.reader import ShardReader
from tests.reference.shards import write_shard
from tests.unit.io.shard.test_footer import footer_of, pixel_bytes

pytestmark = pytest.mark.fault


def everything(path):
    """Return all that plain h5py reads in a file, by object and attribute."""
    found = {}

    def note(name, node):
        # References are compared as what they lead to, below.
        for key in set(node.attrs) - {"DIMENSION_LIST", "REFERENCE_LIST"}:
            found[f"{name}@{key}"] = np.asarray(node.attrs[key])
        if isinstance(node, h5py.Dataset):
            found[name] = node[...]
            found[f"{name} axes"] = np.array([[scale.name for scale in axis.values()] for axis in node.dims], object)

    with h5py.File(path) as file:
        note("", file)
        file.visititems(note)
    return found


def is_equal(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


def heap_bytes(content):
    """Return which bytes are of the heap of texts and references of variable length, which has no checksum."""
    covered = np.zeros(len(content), bool)
    for match in re.finditer(rb"GCOL\x01", content):
        (size,) = struct.unpack_from("<Q", content, match.start() + 8)
        covered[match.start() : match.start() + size] = True
    return covered


@pytest.mark.parametrize("codec", ["deflate", "none"])
def test_plain_h5py_shows_nothing_else_after_a_flipped_bit_outside_the_pixels(tmp_path, codec):
    path = tmp_path / "train-00000-of-00002.h5"
    write_shard(path, 12, codec=codec)
    expected, whole = everything(path), path.read_bytes()
    heap = heap_bytes(whole)
    guarded = np.flatnonzero(~pixel_bytes(path) & ~heap)
    guarded = guarded[guarded < footer_of(whole)[2]]
    rng = np.random.default_rng(6)
    n_noticed, silent = 0, []

    # A heap damaged at random can keep HDF5 busy for ever, which is one more reason for the footer.
    assert 0 < heap.sum() <= 4096
    for place in rng.choice(guarded, 300, replace=False).tolist():
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        try:
            found = everything(path)
        except (OSError, RuntimeError, KeyError):
            n_noticed += 1
            continue
        if not is_equal(found, expected):
            silent.append(place)

    assert silent == []
    # The rest lies in what HDF5 keeps free.
    assert n_noticed > 250


def test_in_the_heap_stand_names_alone_and_our_reader_guards_it(tmp_path):
    path = tmp_path / "train-00000-of-00002.h5"
    write_shard(path, 12)
    content = bytearray(path.read_bytes())
    heap = np.flatnonzero(heap_bytes(bytes(content)))
    texts = bytes(content[heap[0] : heap[-1] + 1])

    assert all(name in texts for name in (b"b1", b"b2", b"b3"))
    assert all(said not in texts for said in (b"alps", b"PROJCRS", b"gcn_luigi", b"strict"))
    content[heap[0] + texts.index(b"b2")] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="damaged outside its pixels"):
        ShardReader(path)
