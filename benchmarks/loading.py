"""A torch DataLoader over our shards, against one over the published files of one tensor a chip."""

from collections.abc import Iterator
from typing import Any

from benchmarks import ours, peer_files
from benchmarks.peer_files import PeerFiles
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, first_line, judged
from benchmarks.timing import Contestant, Race, race
from gcn_luigi.errors import GcnLuigiError

CORES = 2
BATCH = 64
WORKERS = (0, 2)
_LAYOUTS = ("windows", "chips")
# Band statistics are no part of what is compared: any numbers do.
_MEAN, _STD = 500.0, 700.0


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    if not peer_files.has_torch():
        reason = dict.fromkeys(_names(), "torch is not installed")
        return judged(_claims({}), Race({}), reason, "")
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    files = peer_files.make(ground, iter(()))
    contestants, missing = list(_published(files)), {}
    for layout in _LAYOUTS:
        try:
            contestants += _ours(ground, layout)
        except (LeftOut, GcnLuigiError) as reason:
            missing.update({name: first_line(reason) for name in _names() if name.startswith(layout)})
    run = race(contestants, ground.plan.rounds)
    best = {kind: _best(run, kind, missing) for kind in ("pt", *(f"{layout} {form}" for layout, form in _kinds()))}
    return judged(_claims(best), run, missing, "")


def _kinds() -> Iterator[tuple[str, str]]:
    for layout in _LAYOUTS:
        for form in ("int16", "float32"):
            yield layout, form


def _names() -> Iterator[str]:
    for workers in WORKERS:
        yield f"pt {workers}"
        for layout, form in _kinds():
            yield f"{layout} {form} {workers}"


def _best(run: Race, kind: str, missing: dict[str, str]) -> int:
    """Return the number of workers that suits a kind best."""
    there = [workers for workers in WORKERS if f"{kind} {workers}" not in missing]
    return max(there, key=lambda workers: run.rate(f"{kind} {workers}"), default=WORKERS[0])


def _claims(best: dict[str, int]) -> Iterator[Claim]:
    """Compare each with the number of workers that suits it best."""
    theirs = f"pt {best.get('pt', WORKERS[0])}"
    for layout, form in _kinds():
        name = f"{layout} {form} {best.get(f'{layout} {form}', WORKERS[0])}"
        what = f"DataLoader, layout {layout}, {_FORMS[form]}, {name[-1]} workers"
        target = 5.0 if (layout, form) == ("windows", "int16") else None
        yield Claim(
            f"loader-{layout}-{form}", what, f"DataLoader over .pt files, {theirs[-1]} workers", name, theirs, target
        )


_FORMS = {"int16": "int16 to be normalised on the device", "float32": "float32, normalised by the loader"}


def _as_int16(arrays: dict[str, Any]) -> Any:
    import torch  # noqa: PLC0415

    return torch.from_numpy(arrays["image"]), torch.from_numpy(arrays["label"])


def _as_float32(arrays: dict[str, Any]) -> Any:
    image, label = _as_int16(arrays)
    return image.float().sub_(_MEAN).div_(_STD), label


def _ours(ground: Ground, layout: str) -> list[Contestant]:
    place = ground.listed(ground.plan.read_partitions, f"read-{layout}-{ours.DEFAULT_CODEC}")
    settings = ours.variant(ground.settings, layout, ours.DEFAULT_CODEC)
    if not place.dataset.is_file():
        ours.finish(place, settings)
    forms = {"int16": _as_int16, "float32": _as_float32}
    contestants = []
    for workers in WORKERS:
        for form, collate in forms.items():
            loader = ours.loader_of(place, collate, workers, BATCH)
            contestants.append(Contestant(f"{layout} {form} {workers}", _Epoch(loader)))
    return contestants


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

    for workers in WORKERS:
        loader = DataLoader(
            Tensors(), batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        yield Contestant(f"pt {workers}", _Epoch(loader))


class _Epoch:
    """One pass over all chips; workers stay from epoch to epoch and were started by the one that is thrown away."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __call__(self) -> int:
        return sum(len(image) for image, _ in self._loader)
