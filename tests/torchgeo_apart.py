"""Make torchgeo importable where torch is the build for the CPU.

On Linux, PyPI has torchvision only for torch with CUDA. Its operators cannot be loaded next to torch for the CPU, and
then torchvision, which torchgeo imports, cannot be imported either, and Lightning would trip over it. So CI installs
torchgeo, torchvision and einops in a directory of their own, and these tests declare the operators that torchvision
misses. What is tested, torchgeo's own classes and functions, is the real library; nothing here calls these operators.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

APART = Path(sys.prefix) / "apart"
_WHY = "torchgeo is not installed: pip install --no-deps --target .venv/apart torchgeo torchvision einops"


def import_torchgeo():
    """Return torchgeo.datasets, or skip the tests of this module."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if find_spec("torchgeo") is None and APART.is_dir():
        # At the end, so that it hides nothing.
        sys.path.append(str(APART))
    if find_spec("torchgeo") is None:
        pytest.skip(_WHY, allow_module_level=True)
    if "torchvision" not in sys.modules and torch.version.cuda is None:
        for operator in ("nms", "qnms"):
            declared = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            # Kept in a module, because a library that is deleted takes its declarations along.
            _DECLARED.append(torch.library.Library("torchvision", "FRAGMENT"))
            _DECLARED[-1].define(declared)
    return pytest.importorskip("torchgeo.datasets", reason=_WHY)


_DECLARED: list[object] = []
