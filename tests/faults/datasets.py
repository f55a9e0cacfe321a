"""Broken shards, tables and seals of a finished dataset, and whole builds of broken sources."""

from pathlib import Path

import numpy as np

import gcn_luigi
from gcn_luigi.errors import GcnLuigiError, ShardError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.sidecar import read_record
from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import unlisted, validate
from gcn_luigi.stages.dataset.convert import convert_dataset
from tests.faults.kind import Kind, Sample, made_once, must
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny

_LAYOUTS = ("chips", "windows")
_REGION = "tiny"
_SHARD = "shards/dev-00000-of-00001.h5"
_TABLES = (
    "index.parquet",
    "catalog.parquet",
    "statistics.json",
    "dataset.json",
    "inventory.json",
    ".gcn/index.parquet.json",
    ".gcn/dataset.json.json",
    ".gcn/shards/dev-00000-of-00001.h5.json",
)


def _sources(lasting: Path) -> Path:
    return made_once(lasting / "sources", lambda draft: make_tiny(draft) and None)


def _build(sources: Path, output: Path, config: Path) -> Path:
    build_inline(dataset(_REGION, output, sources, config))
    return output / _REGION


def _finished(lasting: Path) -> Path:
    """Return a small finished dataset, in every layout and by every codec, one directory each."""

    def make(draft: Path) -> None:
        sources = _sources(lasting)
        built = _build(sources / "input", draft / "built", sources / "config")
        for layout in _LAYOUTS:
            for codec in CODECS:
                convert_dataset(built, draft / f"{layout}-{codec}", layout, codec, lambda _line, _share: None)

    return made_once(lasting / "finished", make)


def _shard_samples(lasting: Path) -> list[Sample]:
    finished = _finished(lasting)
    names = [f"{layout}-{codec}" for layout in _LAYOUTS for codec in CODECS]
    return [Sample(name, _SHARD, (finished / name / _SHARD).read_bytes()) for name in names]


def _shard(lasting: Path, tree: Path, sample: Sample) -> None:
    """Read every chip of the split: each is what it was, or the shard is refused."""
    sound = lasting / "finished" / sample.name
    for source in (sound / "dataset.json", sound / "index.parquet", *(sound / "shards").glob("train-*")):
        (tree / source.relative_to(sound)).symlink_to(source)
    truth = made_once(lasting / f"truth-{sample.name}", lambda draft: _save(sound, draft))
    read = gcn_luigi.open_dataset(tree)
    try:
        chips = read.chips("dev").batch(range(len(read.chips("dev"))))
    except GcnLuigiError as error:
        must(isinstance(error, ShardError), f"refused by {error!r}")
        raise
    for name in ("image", "label", "flags"):
        wrong = np.argwhere(chips[name] != np.load(truth / f"{name}.npy"))
        must(
            not len(wrong), f"{len(wrong)} values of {name} are other than what was stored, first {wrong[:1].tolist()}"
        )


def _save(sound: Path, draft: Path) -> None:
    read = gcn_luigi.open_dataset(sound)
    chips = read.chips("dev").batch(range(len(read.chips("dev"))))
    for name in ("image", "label", "flags"):
        np.save(draft / f"{name}.npy", chips[name])


def _table_samples(lasting: Path) -> list[Sample]:
    built = _finished(lasting) / "built" / _REGION
    return [Sample(name, f"{_REGION}/{name}", (built / name).read_bytes()) for name in _TABLES]


def _table(lasting: Path, tree: Path, sample: Sample) -> None:
    """Open the dataset and look it through: what is part of it must be refused or reported."""
    built, root = lasting / "finished" / "built" / _REGION, tree / _REGION
    for source in built.rglob("*"):
        target = root / source.relative_to(built)
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
    broken = root / sample.name
    if sample.name.startswith(".gcn/"):
        record = read_record(broken)
        must(record is None, "a broken sidecar is believed")
        must(list(validate(root)) == [], "a broken sidecar is not a part of the dataset")
        raise ShardError("void", where=str(broken), fix="the task runs again")
    if sample.name == "inventory.json":
        inventory = Inventory.from_json(broken.read_text(encoding="utf-8", errors="surrogateescape"))
        must(isinstance(inventory.windows, tuple), "an inventory without windows")
    refusals: list[str] = []
    refusal: GcnLuigiError | None = None
    try:
        refusals += validate(root)
        list(unlisted(root))
    except ShardError as error:
        refusal = error
    must(refusal or refusals or sample.name == "inventory.json", "nothing is said of it")
    try:
        read = Dataset(root)
        repr(read), read.partition_table, read.statistics, read.bands
        read.chips("dev").batch(range(len(read.chips("dev"))))
    except GcnLuigiError as error:
        refusal = error
    if refusal is None and refusals:
        refusal = ShardError(refusals[0], where=str(root), fix="build it again")
    if refusal is not None:
        raise refusal


def _graph_samples(lasting: Path) -> list[Sample]:
    sources = _sources(lasting)
    wanted = [
        *sorted((sources / "input").rglob("*.tif")),
        sources / "input/rgi/outlines.gpkg",
        sources / "config/tiny.toml",
    ]
    used = ("_ndsi.tif", "_dem_cubic_temp.tif", "_rmse.tif", "_votes.tif", ".gpkg", ".toml")
    return [
        Sample(path.name, path.relative_to(sources).as_posix(), path.read_bytes())
        for path in wanted
        if path.name.endswith(used)
    ]


def _graph(lasting: Path, tree: Path, _: Sample) -> None:
    """Build the whole dataset of sources of which one is broken."""
    sources = lasting / "sources"
    for source in sources.rglob("*"):
        target = tree / source.relative_to(sources)
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
    built = _build(tree / "input", tree / "output", tree / "config")
    problems = list(validate(built))
    must(not problems, f"the dataset is not whole: {problems}")


SHARD = Kind(_shard_samples, _shard)
DATASET = Kind(_table_samples, _table)
GRAPH = Kind(_graph_samples, _graph, limit_s=180.0)
