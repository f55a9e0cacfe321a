"""Whatever the number and the size of chips and bands, a shard gives them back bit for bit."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.io.shard.format import PIXELS
from gcn_luigi.io.shard.reader import ShardReader
from tests.reference.shards import make_columns, write_shard

counts, bands, sizes = st.integers(0, 6), st.integers(1, 12), st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(counts, bands, sizes, st.sampled_from(CODECS), st.integers(1, 4), st.booleans())
@example(1, 1, 1, "deflate", 1, False)
@example(0, 3, 17, "none", 1, False)
def test_a_shard_gives_back_every_chip(count, n_bands, size, codec, batches, threaded):
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(3) as pool:
        path = Path(directory, "a.h5")
        pixels = write_shard(
            path, count, bands=n_bands, size=size, codec=codec, batches=batches, pool=pool if threaded else None
        )

        with ShardReader(path) as shard:
            shard.check()
            assert len(shard) == count
            for name in PIXELS:
                back = [shard.pixels(name, row) for row in range(count)]
                np.testing.assert_array_equal(np.array(back).reshape(pixels[name].shape), pixels[name])
            for name, values in make_columns(count, size).items():
                np.testing.assert_array_equal(shard.column(name), values.astype(shard.column(name).dtype))
        with h5py.File(path) as file:
            assert file["image"].shape == (count, n_bands, size, size)
