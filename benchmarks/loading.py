"""A torch DataLoader over our shards, against one over the published files of one tensor a chip."""

from collections.abc import Iterator
from typing import Any

from benchmarks import ours, peer_files
from benchmarks.peer_files import PeerFiles
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, evaluate, first_line
from benchmarks.timing import Contestant, Race, race
from gcn_luigi.errors import GcnLuigiError

CORES = 2
BATCH = 64
_LAYOUTS = ("windows", "chips")
_PUBLISHED = ("0 workers", "2 workers")
_WAYS = (*_PUBLISHED, "stream")
_FORMS = {"int16": "int16 to be normalised on the device", "float32": "float32, normalised by the loader"}
# Band statistics are no part of what is compared: any numbers do.
_MEAN, _STD = 500.0, 700.0


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    if not peer_files.has_torch():
        return evaluate(_claims({}), Race({}), dict.fromkeys(("pt", *_kinds()), "torch is not installed"), "")
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    files = peer_files.make(ground, iter(()))
    contestants, missing = list(_published(files)), {}
    for layout in _LAYOUTS:
        try:
            contestants += _ours(ground, layout)
        except (LeftOut, GcnLuigiError) as reason:
            missing.update({kind: first_line(reason) for kind in _kinds() if kind.startswith(layout)})
    run = race(contestants, ground.plan.rounds)
    best = {kind: _best(run, kind) for kind in ("pt", *_kinds()) if kind not in missing}
    return evaluate(_claims(best), run, missing, "")


def _kinds() -> Iterator[str]:
    for layout in _LAYOUTS:
        for form in _FORMS:
            yield f"{layout} {form}"


def _best(run: Race, kind: str) -> str:
    """Return the name of the way that suits a kind best."""
    there = [name for name in run.samples if name.startswith(kind)]
    return max(there, key=run.rate)


def _claims(best: dict[str, str]) -> Iterator[Claim]:
    """Compare each with the way that suits it best; by the kind alone where it did not run."""
    theirs = best.get("pt", "pt")
    for kind in _kinds():
        layout, form = kind.split()
        name = best.get(kind, kind)
        what = f"DataLoader, layout {layout}, {_FORMS[form]}{name.removeprefix(kind)}"
        reference = f"DataLoader over .pt files{theirs.removeprefix('pt')}"
        yield Claim(f"loader-{layout}-{form}", what, reference, name, theirs, 5.0 if kind == "windows int16" else None)


def _as_int16(tensors: dict[str, Any]) -> Any:
    return tensors["image"], tensors["label"]


def _as_float32(tensors: dict[str, Any]) -> Any:
    return tensors["image"].float().sub_(_MEAN).div_(_STD), tensors["label"]


def _ours(ground: Ground, layout: str) -> Iterator[Contestant]:
    place = ground.listed(ground.plan.read_partitions, f"read-{layout}-{ours.DEFAULT_CODEC}")
    settings = ours.variant(ground.settings, layout, ours.DEFAULT_CODEC)
    if not place.dataset.is_file():
        ours.finish(place, settings)
    # The layout windows is meant to be held in memory; chips are not.
    reader = ours.Reader(place, preload=layout == "windows")
    for way in _WAYS:
        for form, change in (("int16", _as_int16), ("float32", _as_float32)):
            loader = ours.loader_of(reader, way, BATCH, change)
            yield Contestant(f"{layout} {form}, {way}", _Epoch(loader))


def _published(files: PeerFiles) -> Iterator[Contestant]:
    import torch  # noqa: PLC0415
    from torch.utils.data import DataLoader, Dataset  # noqa: PLC0415

    class Tensors(Dataset[Any]):
        """As published: one file a chip, the last band is the label."""

        def __len__(self) -> int:
            return files.file_count

        def __getitem__(self, number: int) -> Any:
            chip = torch.load(files.tensor(number))
            return chip[:-1], chip[-1].to(torch.uint8)

    for way in _PUBLISHED:
        workers = int(way.split(maxsplit=1)[0])
        loader = DataLoader(
            Tensors(), batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        yield Contestant(f"pt, {way}", _Epoch(loader))


class _Epoch:
    """One pass over all chips; workers stay from epoch to epoch and were started by the one that is thrown away."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __call__(self) -> int:
        return sum(len(image) for image, _ in self._loader)
