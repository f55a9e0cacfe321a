"""Chips by xbatcher over rioxarray, in the peers' environment: ``python peer_xbatcher.py STACK STEP COUNT [SAVE]``.

Prints JSON: chips, wall seconds, versions. Imports nothing of the benchmark.
"""

import itertools
import json
import sys
import time
import warnings

import numpy as np
import rioxarray
import xbatcher

warnings.simplefilter("ignore")


def main() -> None:
    """Time the first `count` chips of the lazily opened stack; the generator is made once, before."""
    stack, step, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with rioxarray.open_rasterio(stack, cache=False) as opened:
        chips = xbatcher.BatchGenerator(
            opened,
            input_dims={"band": opened.sizes["band"], "y": 128, "x": 128},
            input_overlap={"y": 128 - step, "x": 128 - step},
        )
        start = time.perf_counter()
        seen = 0
        for batch in itertools.islice(chips, count):
            chip = batch.to_numpy()
            seen += 1
        seconds = time.perf_counter() - start
    if len(sys.argv) > 4:
        np.save(sys.argv[4], chip.reshape(-1, 128, 128))
    versions = {"xbatcher": xbatcher.__version__, "rioxarray": rioxarray.__version__}
    sys.stdout.write(json.dumps({"chips": seen, "seconds": seconds, "versions": versions}) + "\n")


if __name__ == "__main__":
    main()
