"""The checks of the page: what a reader should look at before trusting the dataset, each with its limit."""

from collections.abc import Iterator
from dataclasses import dataclass

from gcn_luigi.errors import few
from gcn_luigi.io.inputs.inventory import NOTE_KINDS
from gcn_luigi.prepare.layers.vote_counts import is_much_outside, share_outside
from gcn_luigi.prepare.outlines.columns import COLUMN_CHOSEN
from gcn_luigi.prepare.partitions.overview import unused_years
from gcn_luigi.report.quality.data import ReportData
from gcn_luigi.report.tables import counted, number

_RARE, _FAR, _FEW_DEV, _MUCH = 0.05, 0.2, 0.05, 0.5
# Classes that are named as rare, and composites that are named as unused.
_MOST_RARE = _MOST_YEARS = 8


@dataclass(frozen=True)
class Check:
    """The question, the answer, and False if a person should look at it."""

    question: str
    answer: str
    is_fine: bool


def make_checks(data: ReportData) -> list[Check]:
    """Return all checks, in the order of the page."""
    return [*_of_split(data), *_of_chips(data), *_of_bands(data), *_of_inputs(data)]


def _of_split(data: ReportData) -> Iterator[Check]:
    leaks, edge = data.leaks, data.settings.chips.size * data.inventory.lattice.pixel_size
    pixels, glaciers, gap = leaks.shared_pixels, len(leaks.shared_glaciers), leaks.least_distance_m
    sides = "train and dev" if len(data.splits) == 2 else "any two splits"
    yield Check(f"Do {sides} share pixels?", counted(pixels, "pixel") if pixels else "no", not pixels)
    yield Check(f"Do {sides} share glaciers?", counted(glaciers, "glacier") if glaciers else "no", not glaciers)
    apart = "not measured, one split is empty" if gap is None else f"{number(gap)} m"
    all_sides = sides.replace("any two", "all")
    question = f"Are {all_sides} at least one chip apart ({number(edge)} m)?"
    yield Check(question, apart, gap is not None and gap >= edge)
    repeats = "; ".join(
        f"{counted(found.n_sets, 'set')} of chips with the same {what}"
        for what, found in (("bytes", data.same_bytes), ("footprint and year", data.same_place))
        if found.n_sets
    )
    yield Check("Does every chip occur only once?", repeats or "yes", not repeats)
    total = len(data.index)
    for split in data.splits[1:]:
        held = data.n_chips(split)
        answer = f"{number(held)} of {number(total)} chips"
        is_enough = held >= _FEW_DEV * total and held > 0
        yield Check(f"Are at least {_FEW_DEV:.0%} of the chips in {split}?", answer, is_enough)


def _of_chips(data: ReportData) -> Iterator[Check]:
    rare = []
    # Many classes cannot all have many pixels.
    least = min(_RARE, 0.5 / len(data.classes))
    for split in data.splits:
        pixels = data.of_split(split)["classes"]["pixels"]
        total = max(sum(pixels.values()), 1)
        rare += [f"{name} {pixels[name] / total:.1%} of {split}" for name in pixels if pixels[name] < least * total]
    question = f"Does every class have at least {100 * least:.2g}% of the pixels?"
    yield Check(question, few(rare, _MOST_RARE).replace(", ", "; ") or "yes", not rare)
    rejected = {}
    for split in data.splits:
        outcomes = data.statistics["chips"][split]
        rejected[split] = 1 - outcomes.get("kept", 0) / max(sum(outcomes.values()), 1)
    answer = ", ".join(f"{split} {share:.0%} rejected" for split, share in rejected.items())
    yield Check(f"Are at least {_MUCH:.0%} of the candidate chips kept?", answer, max(rejected.values()) <= _MUCH)
    below = int((data.index["valid_share"] < _MUCH).sum())
    answer = f"{counted(below, 'chip')} below" if below else "yes"
    yield Check(f"Is at least {_MUCH:.0%} of every chip valid in all bands?", answer, not below)


def _of_bands(data: ReportData) -> Iterator[Check]:
    distances = {band.name: data.distance(position) for position, band in enumerate(data.bands)}
    unlike = [f"{name} {value:.2f}" for name, value in distances.items() if value is not None and value > _FAR]
    unlike += [f"{name} has no valid pixel in one split" for name, value in distances.items() if value is None]
    question = f"Are train and dev similar in every band (Kolmogorov-Smirnov distance, KS, at most {_FAR:g})?"
    yield Check(question, ", ".join(unlike) or "yes", not unlike)
    counts = data.statistics["out_of_range"]
    beyond = _listed({band.name: sum(counts[split][band.name] for split in data.splits) for band in data.bands})
    unchecked = [band.name for band in data.bands if band.valid_min is None and band.valid_max is None]
    question = "Are all pixels of the used partitions in the valid range of their band?"
    yield _of_ranges(question, beyond, unchecked, len(data.bands))


def _of_inputs(data: ReportData) -> Iterator[Check]:
    unused, total = data.audit["n_unused"], len(data.catalog)
    used = f"{number(total - unused)} of {number(total)}"
    yield Check(f"Are at least {_MUCH:.0%} of the partitions used?", used, unused <= _MUCH * total)
    yield _of_years(data)
    yield from _of_votes(data)
    notes = _listed({kind: len(getattr(data.inventory, kind)) for kind in NOTE_KINDS})
    # About the files as such; the next two are about their pixels.
    yield Check("Are all tile files there, used once, and laid out as expected?", notes or "yes", not notes)
    yield _of_tiles(data)
    suspect = {name: {row["path"] for row in found.get("suspect", ())} for name, found in data.tile_quality.items()}
    answer = ", ".join(f"{name} in {counted(len(paths), 'file')}" for name, paths in suspect.items() if paths)
    answer = f"perhaps not: {answer}" if answer else ""
    yield Check("Are all pixels that look missing declared as missing?", answer or "yes", not answer)
    # A note about the column that was read is not about a changed outline.
    repaired = sum(COLUMN_CHOSEN not in note for note in data.audit["notes"].get("outlines", []))
    answer = counted(repaired, "note") if repaired else "yes"
    yield Check("Were all outlines read without a repair or other change?", answer, not repaired)


def _of_tiles(data: ReportData) -> Check:
    tiles = data.tile_quality
    beyond = _listed({name: int(found["totals"]["out_of_range"]) for name, found in tiles.items()}, " out of range")
    # The values of these bands cannot be out of range.
    unchecked = [name for name, found in tiles.items() if found["valid_min"] is None and found["valid_max"] is None]
    return _of_ranges("Are all values of the tiles in the valid range of their band?", beyond, unchecked, len(tiles))


def _of_ranges(question: str, beyond: str, unchecked: list[str], n_bands: int) -> Check:
    """Return a check of valid ranges; bands without one are not checked."""
    is_checked = len(unchecked) < n_bands
    answers = [beyond or ("yes" if is_checked else "not checked")]
    if unchecked:
        answers.append(f"no range is set for {', '.join(unchecked)}")
    return Check(question, "; ".join(answers), is_checked and not beyond)


def _of_years(data: ReportData) -> Check:
    unused = unused_years(data.catalog, data.settings.years)
    answer = f"not used: {few(map(str, unused), _MOST_YEARS)}" if unused else "yes"
    return Check("Is a partition cut from every composite?", answer, not unused)


def _of_votes(data: ReportData) -> Iterator[Check]:
    """Yield whether the ice of the votes lies inside the outlines, for a label that is made from both."""
    notes = data.label_notes or {}
    share = share_outside(notes)
    if data.settings.label.stem is not None and share is not None:
        becomes = data.settings.label.ice_outside
        answer = f"{share:.1%} lie outside; the label gives them the class {becomes}" if share else "yes"
        is_fine = becomes != "none" or not is_much_outside(notes)
        yield Check("Do the pixels with enough votes for ice lie inside the outlines?", answer, is_fine)


def _listed(counts: dict[str, int], more: str = "") -> str:
    """Return the counts that are not zero, in one line."""
    return ", ".join(f"{name} {number(count)}{more}" for name, count in counts.items() if count)
