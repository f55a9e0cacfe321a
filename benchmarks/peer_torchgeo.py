"""Chips by torchgeo's GridGeoSampler, in the peers' environment: ``python peer_torchgeo.py STACK STEP COUNT [SAVE]``.

Prints JSON: chips, wall seconds, versions. Imports nothing of the benchmark.
"""

import itertools
import json
import sys
import time
import warnings

import numpy as np
import torch

warnings.simplefilter("ignore")
# torchvision's compiled operators may not load beside a CPU build of torch. None is used here, but two must be known.
_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchgeo  # noqa: E402
from torchgeo.datasets import RasterDataset  # noqa: E402
from torchgeo.samplers import GridGeoSampler  # noqa: E402


def main() -> None:
    """Time the first `count` chips; the sampler is made before, as it is once for an epoch."""
    stack, step, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)

    class Stack(RasterDataset):
        filename_glob = "*.tif"

    dataset = Stack(stack)
    sampler = GridGeoSampler(dataset, size=128, stride=step)
    start = time.perf_counter()
    seen = 0
    for query in itertools.islice(sampler, count):
        chip = dataset[query]["image"]
        seen += 1
    seconds = time.perf_counter() - start
    if len(sys.argv) > 4:
        np.save(sys.argv[4], chip.numpy().astype(np.int16))
    versions = {"torchgeo": torchgeo.__version__, "torch": torch.__version__}
    sys.stdout.write(json.dumps({"chips": seen, "seconds": seconds, "versions": versions}) + "\n")


if __name__ == "__main__":
    main()
