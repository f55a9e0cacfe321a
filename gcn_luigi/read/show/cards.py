"""Datasets and readers in a notebook: a table of facts, the classes in their colours, and a chip.

Nothing here needs matplotlib. Whatever cannot be read, for example because a shard is damaged, is left out with the
reason, and everything else is shown.
"""

import html
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.prepare.pictures import label_picture
from gcn_luigi.read.show.looks import look_of
from gcn_luigi.read.show.png import data_uri

if TYPE_CHECKING:
    import pandas as pd

    from gcn_luigi.read.dataset import Dataset
    from gcn_luigi.read.reader import ChipReader

# Edge of the two pictures of a chip, in CSS pixels, and the longest edge that is sent, in pixels of the chip.
_EDGE, _LONGEST = 160, 256
_TABLE = '<table style="text-align:left">'
# Names in a row, before the rest is only counted.
_MOST_NAMES = 40


def dataset_card(dataset: "Dataset", facts: Mapping[str, Any]) -> str:
    """Return the HTML of a dataset: `facts`, bands, chips by split, classes with their shares of train, and a chip."""

    def chips() -> str:
        counts = dataset.chip_table["split"].value_counts()
        return html.escape(", ".join(f"{int(counts.get(split, 0)):,} {split}" for split in dataset.splits))

    def shares() -> str:
        pixels = dataset.statistics["classes"]["pixels"]
        total = sum(pixels.values()) or 1
        return _classes(
            dataset, {name: count / total for name, count in pixels.items()}, "of the labelled pixels of train"
        )

    def chip() -> str:
        train = dataset.chips("train")
        return _pictures(dataset, train)

    more = {"chips": _told(chips), "bands": _told(lambda: _bands(dataset))}
    return f"{_table({**facts, **more})}{_told(shares)}{_told(chip)}"


def reader_card(reader: "ChipReader", dataset: "Dataset | None") -> str:
    """Return the HTML of a reader: its chips, shards and years, classes with their mean shares, and a chip.

    Without `dataset`, for example after the reader was sent to another process, only what the index says is shown.
    """
    table = reader.table
    years = sorted({int(year) for year in table["year"]}) if "year" in table else []
    where = f"{_count(table, 'shard')} and {_count(table, 'partition')}"
    facts: dict[str, Any] = {
        "chips": f"{len(reader):,} from {where}",
        "years": _names(map(str, years)),
    }
    if dataset is None:
        return _table(facts)
    facts["bands"] = _told(lambda: _bands(dataset))

    def shares() -> str:
        means = {name: float(table[f"share_{name}"].mean()) for name in dataset.class_names if f"share_{name}" in table}
        return _classes(dataset, means, "of the pixels of these chips") if len(table) else ""

    def chip() -> str:
        return _pictures(dataset, reader) if len(table) else "<p>No chip fulfils the conditions.</p>"

    return f"{_table(facts)}{_told(shares)}{_told(chip)}"


class _Html(str):
    """Text in which every name is escaped already."""

    __slots__ = ()


def _told(make: Callable[[], str]) -> _Html:
    """Return the HTML that `make` returns, or why something cannot be read."""
    try:
        return _Html(make())
    except GcnLuigiError as error:
        what = f"{error.what} ({error.where})"
    except (AttributeError, LookupError, TypeError, ValueError, OSError) as error:
        # A table or description with another content than this version knows must not hide the rest.
        what = f"{type(error).__name__}: {error}"
    return _Html(f"<p>not shown: {html.escape(what)}</p>")


def _table(rows: Mapping[str, Any]) -> str:
    """Return a table of names and values, which are text or `_Html`."""
    told = ((name, value if isinstance(value, _Html) else html.escape(str(value))) for name, value in rows.items())
    return f"{_TABLE}{''.join(f'<tr><th>{html.escape(name)}</th><td>{each}</td></tr>' for name, each in told)}</table>"


def _bands(dataset: "Dataset") -> str:
    named = (f"{band.name} ({band.unit})" if band.unit else band.name for band in dataset.bands)
    return html.escape(_names(named))


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(listed[:_MOST_NAMES]) + more


def _count(table: "pd.DataFrame", column: str) -> str:
    number = table[column].nunique() if column in table else 0
    return f"{number:,} {column}{'' if number == 1 else 's'}"


def _classes(dataset: "Dataset", shares: Mapping[str, float], of_what: str) -> str:
    """Return a line for each class: its colour, its name in words, and its share."""
    lines = []
    for each in dataset.classes:
        swatch = (
            f'<span style="display:inline-block;width:1em;height:1em;margin-right:.4em;border:1px solid #999;'
            f'vertical-align:-.15em;background:{html.escape(each.colour)}"></span>'
        )
        share = f"{shares[each.name]:.1%}" if each.name in shares else "?"
        lines.append(f"<tr><td>{swatch}{html.escape(each.title)}</td><td>{share}</td></tr>")
    return f"{_TABLE}<tr><th>class</th><th>share {of_what}</th></tr>{''.join(lines)}</table>"


def _pictures(dataset: "Dataset", chips: "ChipReader") -> str:
    """Return one chip and its label next to each other."""
    if dataset.shards.is_far:
        return "<p>No chip is shown, because the dataset is in a store: Dataset.plot shows one.</p>"
    position = _typical(dataset, chips)
    chip, shown = chips[position], look_of(dataset)
    thin = slice(None, None, -(-chip["label"].shape[-1] // _LONGEST))
    image, flags, label = chip["image"][:, thin, thin], chip["flags"][thin, thin], chip["label"][thin, thin]
    pictures = ((shown.picture(image, flags), shown.title), (label_picture(label, dataset.classes), "label"))
    style = f"width:{_EDGE}px;height:{_EDGE}px;image-rendering:pixelated;margin:0 4px 0 0"
    drawn = "".join(
        f'<img src="{data_uri(picture)}" alt="{html.escape(title)}" title="{html.escape(title)}" style="{style}">'
        for picture, title in pictures
    )
    return f"<div>{drawn}<br><small>{html.escape(chip['chip_id'])}: {html.escape(shown.title)}, and label</small></div>"


def _typical(dataset: "Dataset", chips: "ChipReader") -> int:
    """Return the position of the chip that shows most: nearly no missing pixel, and glacier on about half of it."""
    table = chips.table
    valid = table["valid_share"].to_numpy(float)
    glacier = table[[f"share_{name}" for name in dataset.classes.glacier]].to_numpy(float).sum(axis=1)
    cost = np.abs(glacier - 0.5 * valid) + np.where(valid >= 0.98 * valid.max(), 0, 1)
    return int(np.argmin(cost))
