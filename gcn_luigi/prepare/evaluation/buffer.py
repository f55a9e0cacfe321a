"""Compare the buffer between splits with measured ranges, and say which setting would cover them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcn_luigi.errors import listed


@dataclass(frozen=True)
class Buffer:
    """What separates the splits.

    Attributes
    ----------
    metres : float or None
        Least distance between partitions of different splits, edge to edge; None if only one split has partitions.
    partition_m : float
        Edge of a partition, in metres.
    method : str
        ``[split] method``. Only ``blocks`` makes a buffer.
    """

    metres: float | None
    partition_m: float
    method: str

    def partitions_for(self, metres: float) -> int:
        """Return the least ``[split] buffer_partitions`` that gives at least this distance, in metres."""
        return math.ceil(metres / self.partition_m)


def compare_with_buffer(layers: Sequence[Mapping[str, Any]], buffer: Buffer) -> dict[str, Any]:
    """Return which layers have a longer range than the buffer, what would cover them, and the same in sentences.

    Parameters
    ----------
    layers : sequence of mapping
        ``name``, ``kind`` (label, or the role of a band), ``range_m`` (None if there is none) and ``longer_than_m``
        (None unless there is no plateau).
    buffer : Buffer
        What separates the splits.

    Returns
    -------
    dict
        ``longer``: names of layers whose range exceeds the buffer; ``no_plateau``: names of layers whose range exceeds
        the sampled distances; ``label`` and ``all``: for the classes of the label, and for all layers with a range, the
        longest range with its layer and the ``buffer_partitions`` that covers it (None without a range); ``hints``:
        sentences.
    """
    measured = [layer for layer in layers if layer["range_m"] is not None]
    open_ended = [layer for layer in layers if layer["longer_than_m"] is not None]
    longer = [layer for layer in measured if buffer.metres is not None and layer["range_m"] > buffer.metres]
    found = {
        "label": _longest([layer for layer in measured if layer["kind"] == "label"], buffer),
        "all": _longest(measured, buffer),
    }
    return {
        **found,
        "longer": [layer["name"] for layer in longer],
        "no_plateau": [layer["name"] for layer in open_ended],
        "hints": list(_hints(found, longer, open_ended, buffer)),
    }


def _longest(layers: Sequence[Mapping[str, Any]], buffer: Buffer) -> dict[str, Any] | None:
    if not layers:
        return None
    layer = max(layers, key=lambda layer: float(layer["range_m"]))
    needed = buffer.partitions_for(layer["range_m"])
    return {"layer": layer["name"], "range_m": layer["range_m"], "buffer_partitions": needed}


def _hints(
    found: Mapping[str, Any],
    longer: Sequence[Mapping[str, Any]],
    open_ended: Sequence[Mapping[str, Any]],
    buffer: Buffer,
) -> Iterator[str]:
    if buffer.metres is None:
        yield "Only one split has partitions, so there is no distance between splits to compare with."
    elif longer:
        yield (
            f"The splits are {buffer.metres:,.0f} m apart, which is less than the range of "
            f"{listed([layer['name'] for layer in longer])}."
        )
        is_label = any(layer["kind"] == "label" for layer in longer)
        chosen = {found[key]["buffer_partitions"]: found[key] for key in (("label", "all") if is_label else ("all",))}
        for number, longest in sorted(chosen.items()):
            whose = "every measured range" if longest == found["all"] else "the ranges of the label"
            yield (
                f"[split] buffer_partitions = {number} covers {whose}, up to {longest['range_m']:,.0f} m "
                f"({longest['layer']}): the splits would be at least {number * buffer.partition_m:,.0f} m apart."
            )
        if buffer.method != "blocks":
            yield f'A buffer needs [split] method = "blocks"; this dataset has "{buffer.method}".'
    elif found["all"] is not None:
        yield f"The splits are {buffer.metres:,.0f} m apart, which is no less than any measured range."
    if open_ended:
        farthest = max(float(layer["longer_than_m"]) for layer in open_ended)
        yield (
            f"No range was found for {listed([layer['name'] for layer in open_ended])}: the differences still grow at "
            f"the longest distance that was examined, up to {farthest:,.0f} m. No buffer can be derived from them."
        )
