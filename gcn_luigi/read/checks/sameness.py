"""Two datasets: the same, or what is not."""

from collections.abc import Iterator

from gcn_luigi.io.publish.manifest import DATA_DIGEST, DIGEST
from gcn_luigi.read.checks.files import listed
from gcn_luigi.read.dataset import Dataset


def differences(one: Dataset, other: Dataset) -> Iterator[str]:
    """Yield one sentence for each file, and each key of ``dataset.json``, in which two datasets differ.

    Nothing is yielded where they are the same to the last bit, wherever they lie: their digests are equal then, and
    only then. Two that differ may hold the same chips nevertheless: `Dataset.data_digest` is equal then. What their
    directories hold is not looked at; `gcn_luigi.read.validate` does.

    Parameters
    ----------
    one, other : Dataset
        Any two.
    """
    if one.digest == other.digest:
        return
    files, others = listed(one), listed(other)
    for name in sorted(files.keys() | others.keys()):
        if name not in others:
            yield f"{name}: only in the first"
        elif name not in files:
            yield f"{name}: only in the second"
        elif files[name] != others[name]:
            yield f"{name}: other bytes"
    for key in sorted((one.description.keys() | other.description.keys()) - {"files", DIGEST, DATA_DIGEST}):
        if one.description.get(key) != other.description.get(key):
            yield f"dataset.json: another {key}"
