"""A shard for which there is no room is refused wherever the room ends, and nothing crashes."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.reference.shards import write_shard

# Larger than HDF5 keeps in a header, as in a shard of ten bands.
_TABLES = {"statistics": {"histogram": np.random.default_rng(7).integers(0, 1 << 40, (3, 65536))}}
_REFUSED = 7
_ROOT = Path(__file__).resolve().parents[4]


def write_within(path, limit):
    """Write a shard in a process whose files may have `limit` bytes, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write_shard(path, 40, tables=_TABLES)
    except OSError:
        os._exit(_REFUSED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of the whole shard."""
    path = tmp_path_factory.mktemp("whole") / "shard.h5"
    write_shard(path, 40, tables=_TABLES)
    return path.stat().st_size


@pytest.mark.fault
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.75, 0.85, 0.95, 0.999])
def test_the_library_does_not_crash(tmp_path, whole, share):
    path = tmp_path / "shard.h5"
    code = f"from {__name__} import write_within; write_within({str(path)!r}, {int(share * whole)})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == _REFUSED, ended.stderr
