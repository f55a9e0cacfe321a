"""Show how the split decides the score: ``python examples/compare_splits.py output/every --make --range-m 2180 11000``.

The same small network learns from equally many chips and is measured on two sets: on dev, which the split made, and on
test, a region that was held back first, with a wide buffer. The dev score should foretell the test score; dev - test is
the optimism of the split. Four ways to split the partitions that test leaves are compared:

* random chips: chips overlap, so train and dev show the same pixels;
* random partitions: no shared pixel, but most dev partitions touch a train partition;
* blocks of partitions;
* blocks with a buffer for each `--range-m`, the range of a variogram, rounded up to whole partitions.

Shards are not built again: chips are only assigned in other ways. Each seed has a test region, splits and a network of
its own. The files scores.csv (every run), summary.md and optimism.svg are written.
"""
# ruff: noqa: INP001, T201  a script that tells how far it is

import argparse
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import pandas as pd
import shapely
from matplotlib.figure import Figure
from numpy.typing import NDArray

import gcn_luigi
from gcn_luigi import Dataset
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.prepare.appearance import SPLIT_COLOURS
from gcn_luigi.prepare.split.leakage import count_shared
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import SplitSettings
from gcn_luigi.synthetic import make_demo

try:
    import torch
    from torch.nn import functional
    from train import Normalised, network
except ImportError as missing:
    sys.exit(f"This experiment trains networks with torch, which cannot be imported ({missing}): pip install torch")

Positions = NDArray[np.int64]
# The share of the partitions that becomes test, and the share of those left that becomes dev.
HELD_SHARE = 0.2
# The demo with cells of half the edge, all of them in use: the split in its shards does not matter here.
FINER = (
    ('region = "demo"', 'region = "{region}"'),
    ('data_root = "../output/demo-input"', 'data_root = "../demo-input"'),
    ("size = 256", "size = 128"),
    ("\nsize = 128\nstep = 32", "\nsize = 64\nstep = 32"),
    ('method = "blocks"', 'method = "legacy"'),
)


@dataclass(frozen=True)
class Chips:
    """All chips of a dataset in memory, in the order of `table`: image (chip, band, y, x), the others (chip, y, x)."""

    dataset: Dataset
    table: pd.DataFrame
    # (chip, 4): first row and column on the lattice, and the row and column after the last.
    windows: NDArray[np.int64]
    image: torch.Tensor
    label: torch.Tensor
    flags: torch.Tensor


@dataclass(frozen=True)
class Plan:
    """Which chips are train, dev and test: positions in the table of `Chips`."""

    seed: int
    name: str
    train: Positions
    dev: Positions
    test: Positions
    notes: tuple[str, ...] = ()


def make(directory: Path) -> None:
    """Build the made-up region with finer cells into `directory`, unless it is already there."""
    if (directory / "dataset.json").exists():
        return
    output, text = directory.parent, (files("gcn_luigi") / "demo.toml").read_text(encoding="utf-8")
    for old, new in FINER:
        text = text.replace(old, new.format(region=directory.name))
    make_demo(output / "demo-input")
    config = output / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / f"{directory.name}.toml").write_text(text, encoding="utf-8")
    asked = ["run", directory.name, "--config-dir", str(config), "--output", str(output), "--local-scheduler"]
    subprocess.run([sys.executable, "-c", "from gcn_luigi.command import main; main()", *asked], check=True)  # noqa: S603


def load(dataset: Dataset) -> Chips:
    """Read all chips into memory."""
    tables, batches = [], []
    for split in dataset.splits:
        tables.append(dataset.chip_table[dataset.chip_table["split"] == split])
        batches.append(dataset.chips(split).batch(range(len(tables[-1]))))
    table = pd.concat(tables, ignore_index=True)
    cells = dataset.partition_table.set_index("partition").loc[table["partition"]]
    corner = cells[["row", "col"]].to_numpy(np.int64)
    first = corner + table[["row", "col"]].to_numpy(np.int64)
    arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in ("image", "label", "flags")}
    # A chip may hang over its partition, where it shows no pixels.
    end = np.minimum(first + arrays["label"].shape[1:], corner + cells[["height", "width"]].to_numpy(np.int64))
    return Chips(dataset, table, np.hstack([first, end]), **{name: torch.from_numpy(a) for name, a in arrays.items()})


def plans(chips: Chips, seed: int, buffers: dict[str, int], block: int) -> list[Plan]:
    """Return all ways to split for one seed; `buffers` are names and widths in partitions, the widest one for test."""
    catalog = chips.dataset.partition_table
    ids = catalog["rgi_ids"].str.split(";")
    pairs = [(cell, one) for cell, several in zip(catalog["partition"], ids, strict=True) for one in several if one]
    joined = pd.DataFrame(pairs, columns=["cell", "outline"]).assign(area_m2=1.0)

    def assign(among: set[str], method: str, width: int = 0) -> tuple[gpd.GeoDataFrame, list[str]]:
        used = catalog["partition"].isin(among)
        cells = catalog.assign(used=used, reason=np.where(used, "", "not asked for"))
        # Glaciers do not tie blocks, so that only the buffer differs.
        sizes = {"block_partitions": block, "buffer_partitions": width}
        settings = SplitSettings(method=method, dev_share=HELD_SHARE, seed=seed, by_glacier=False, **sizes)
        return assign_split(cells, joined, settings)

    def of(cells: gpd.GeoDataFrame, split: str) -> Positions:
        names = cells.loc[cells["split"] == split, "partition"]
        return np.flatnonzero(chips.table["partition"].isin(names)).astype(np.int64)

    whole, notes = assign(set(chips.table["partition"]), "blocks", max(buffers.values()))
    test, rest = of(whole, "dev"), of(whole, "train")
    left = set(chips.table["partition"].iloc[rest])
    mixed = np.random.default_rng([seed, 1]).permutation(rest)
    n_dev = round(HELD_SHARE * len(mixed))
    made = [Plan(seed, "random chips", mixed[n_dev:], mixed[:n_dev], test, tuple(notes))]
    for name, method, width in (("random partitions", "legacy", 0), *((n, "blocks", w) for n, w in buffers.items())):
        cells, told = assign(left, method, width)
        made.append(Plan(seed, name, of(cells, "train"), of(cells, "dev"), test, tuple(told)))
    return made


def thinned(made: Sequence[Plan]) -> list[Plan]:
    """Return the plans with as many train chips as the smallest has, drawn at random."""
    count = min(len(plan.train) for plan in made)
    rng = np.random.default_rng(count)
    return [Plan(p.seed, p.name, rng.permutation(p.train)[:count], p.dev, p.test, p.notes) for p in made]


def separation(chips: Chips, one: Positions, other: Positions) -> tuple[int, float]:
    """Return the number of pixels that two sets of chips share, and the least distance between them in metres."""
    edges = chips.table[["left", "bottom", "right", "top"]].to_numpy(float)
    boxes, others = (shapely.box(*edges[side].T) for side in (one, other))
    _, distance = shapely.STRtree(boxes).query_nearest(others, return_distance=True)
    return count_shared(chips.windows[one], chips.windows[other]), float(distance.min())


def learn(chips: Chips, plan: Plan, kept: list[int], *, steps: int, size: int) -> tuple[Any, Any]:
    """Train on the train chips of a plan; return the scaling and the network. Only train decides the scaling."""
    torch.manual_seed(plan.seed)
    n_classes = len(chips.dataset.classes)
    scale = Normalised(chips.dataset)
    image, missing = chips.image[plan.train].float(), (chips.flags[plan.train].unsqueeze(1) & scale.bits) != 0
    counts = (~missing).sum((0, 2, 3)).clamp(min=1)
    mean = image.masked_fill(missing, 0).sum((0, 2, 3)) / counts
    scale.mean = mean[:, None, None]
    square = ((image - scale.mean) ** 2).masked_fill(missing, 0).sum((0, 2, 3)) / counts
    scale.std = square.sqrt().clamp(min=1e-6)[:, None, None]
    place = scale.places[chips.label[plan.train].long()]
    seen = torch.bincount(place[place != LABEL_IGNORE], minlength=n_classes).clamp(min=1).float()
    model = network(len(kept), n_classes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for position in batches(plan, steps, size):
        found = model(scale(chips.image[position], chips.flags[position])[:, kept])
        target = scale.places[chips.label[position].long()]
        loss = functional.cross_entropy(found, target, seen.median() / seen, ignore_index=LABEL_IGNORE)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return scale, model.eval()


def batches(plan: Plan, steps: int, size: int) -> Iterator[Positions]:
    """Yield the chips of each step: all train chips in a random order, then all again in another one."""
    rng = np.random.default_rng([plan.seed, 2])
    rounds = math.ceil(steps * size / len(plan.train))
    order = np.concatenate([rng.permutation(plan.train) for _ in range(rounds)])
    return (order[first : first + size] for first in range(0, steps * size, size))


@torch.no_grad()
def scores(chips: Chips, positions: Positions, kept: list[int], scale: Any, model: Any) -> dict[str, float]:
    """Return the intersection over union of each class over all labelled pixels, and its mean as ``mean``."""
    names = chips.dataset.class_names
    hits = torch.zeros(len(names) ** 2, dtype=torch.int64)
    for position in np.array_split(positions, math.ceil(len(positions) / 32)):
        found = model(scale(chips.image[position], chips.flags[position])[:, kept]).argmax(1)
        place = scale.places[chips.label[position].long()]
        valid = place != LABEL_IGNORE
        hits += torch.bincount(place[valid] * len(names) + found[valid], minlength=len(hits))
    table = hits.reshape(len(names), len(names))
    each = (table.diagonal() / (table.sum(0) + table.sum(1) - table.diagonal()).clamp(min=1)).tolist()
    return {"mean": sum(each) / len(each), **dict(zip(names, each, strict=True))}


def markdown(runs: pd.DataFrame, classes: Sequence[str]) -> str:
    """Return a table for a page with mean ± standard deviation over the seeds, splits in the order of the runs."""
    columns = [f"{what}_{name}" for name in classes for what in ("dev", "test", "optimism")]
    head = ["split", "train to dev", "dev chips", *(" ".join(column.split("_")) for column in columns)]
    lines = [head, ["---"] * len(head)]
    for name, some in runs.groupby("split", sort=False):
        apart = "shared pixels" if some["shared_train_dev"].any() else f"{some['distance_m'].min():,.0f} m"
        values = [f"{some[column].mean():.3f} ± {some[column].std():.3f}" for column in columns]
        lines.append([str(name), apart, f"{some['n_dev'].mean():.0f}", *values])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(runs: pd.DataFrame, classes: Sequence[str], path: Path) -> None:
    """Draw dev and test scores of every run, and their means, for each split."""
    style = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "gcn_luigi"}
    style |= {f"axes.spines.{side}": False for side in ("top", "right", "left")}
    names = list(dict.fromkeys(runs["split"]))[::-1]
    place = runs["split"].map(names.index)
    with mpl.rc_context(style):
        figure = Figure((8.6, 1.1 + 0.5 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(classes), sharey=True, squeeze=False)[0]
        for (axes, name), (side, up) in itertools.product(
            zip(panels, classes, strict=True), (("dev", 0.14), ("test", -0.14))
        ):
            values, colour = runs[f"{side}_{name}"], SPLIT_COLOURS[side]
            axes.plot(values, place + up, "o", color=colour, markersize=4, alpha=0.4, markeredgewidth=0)
            mean = values.groupby(place).mean()
            axes.plot(mean, mean.index + up, "|", color=colour, markersize=13, markeredgewidth=2.4, label=side)
            title = "mean of the classes" if name == "mean" else name
            axes.set_title(f"intersection over union, {title}", fontsize=9.5, loc="left")
            axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
            axes.tick_params(axis="y", length=0)
            axes.locator_params(axis="x", nbins=6)
        panels[0].set_yticks(range(len(names)), names)
        told = "a dot is a run, a bar the mean of the seeds"
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False, title=told
        )
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("dataset", nargs="?", type=Path, default=Path("output/demo"), help="directory of a finished dataset")
    add("--make", action="store_true", help="build it first: the demo's made-up region, with smaller cells, all in use")
    add("--range-m", type=float, nargs="+", default=[2000.0], help="measured ranges in metres, one buffer for each")
    add("--block", type=int, default=2, help="partitions along the edge of a block (2)")
    add("--seeds", type=int, default=6, help="number of repetitions (6)")
    add("--steps", type=int, default=120, help="steps of each training (120)")
    add("--size", type=int, default=8, help="chips of a batch (8)")
    without = "bands that the network does not see (distance: it tells what is near a glacier)"
    add("--leave-out", nargs="*", default=["distance"], help=without)
    add("--threads", type=int, default=1, help="threads of torch (1)")
    add("--output", type=Path, default=Path("output/compare-splits"), help="directory for tables and figure")
    return parser


def planned(chips: Chips, ranges: Sequence[float], block: int, seeds: int) -> list[Plan]:
    """Return the plans of all seeds, with equally many train chips; leave with a message if a split is empty."""
    catalog = chips.dataset.partition_table
    edge = float((catalog["right"] - catalog["left"]).max())
    buffers = {"blocks": 0} | {f"blocks, buffer for {metres:,.0f} m": math.ceil(metres / edge) for metres in ranges}
    made = [plan for seed in range(seeds) for plan in plans(chips, seed, buffers, block)]
    for plan in made:
        if not min(len(plan.train), len(plan.dev), len(plan.test)):
            count = chips.table["partition"].nunique()
            sys.exit(
                f"{count} partitions with chips are too few for {plan.name!r}: {'; '.join(plan.notes)}. "
                "Give a smaller --range-m or --block, or a larger dataset, or --make one"
            )
    return thinned(made)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the experiment, and write its tables and figure."""
    asked = command_line().parse_args(arguments)
    torch.set_num_threads(asked.threads)
    if asked.make:
        make(asked.dataset)
    chips = load(gcn_luigi.open_dataset(asked.dataset))
    kept = [place for place, band in enumerate(chips.dataset.bands) if band.name not in asked.leave_out]
    made = planned(chips, asked.range_m, asked.block, asked.seeds)
    classes = ["mean", *(name for name in chips.dataset.class_names if name == "debris")]
    asked.output.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = []
    for plan in made:
        began = time.process_time()
        scale, model = learn(chips, plan, kept, steps=asked.steps, size=asked.size)
        dev, test = (scores(chips, side, kept, scale, model) for side in (plan.dev, plan.test))
        sides = itertools.combinations((plan.train, plan.dev, plan.test), 2)
        (shared, metres), (with_test, to_test), (dev_test, _) = (separation(chips, *pair) for pair in sides)
        run = {"seed": plan.seed, "split": plan.name}
        run |= {"n_train": len(plan.train), "n_dev": len(plan.dev), "n_test": len(plan.test)}
        run |= {"shared_train_dev": shared, "shared_train_test": with_test, "shared_dev_test": dev_test}
        run |= {"distance_m": metres, "distance_to_test_m": to_test}
        for name in classes:
            run |= {f"dev_{name}": dev[name], f"test_{name}": test[name], f"optimism_{name}": dev[name] - test[name]}
        runs.append(run | {"cpu_s": round(time.process_time() - began, 1), "notes": "; ".join(plan.notes)})
        told = f"mean IoU {dev['mean']:.3f} on dev, {test['mean']:.3f} on test"
        print(f"{len(runs)} of {len(made)}: {plan.name}, seed {plan.seed}: {told}", flush=True)
        # After each run, so that an interrupted experiment keeps what it measured.
        pd.DataFrame(runs).to_csv(asked.output / "scores.csv", index=False, float_format="%.4f")
    found = pd.DataFrame(runs)
    text = markdown(found, classes)
    (asked.output / "summary.md").write_text(text, encoding="utf-8")
    draw(found, classes, asked.output / "optimism.svg")
    print(text + f"{found['cpu_s'].sum() / 60:.1f} minutes of processor time; files in {asked.output}")


if __name__ == "__main__":
    main()
