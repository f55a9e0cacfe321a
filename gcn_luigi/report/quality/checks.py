"""What a reader should look at before trusting the dataset; every rule is stated with its limit."""

from collections.abc import Iterator
from dataclasses import dataclass

from gcn_luigi.bands import CLASS_NAMES
from gcn_luigi.io.inputs.inventory import NOTE_KINDS
from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.quality.tiles import suspect_bands, unchecked_bands, wild_bands
from gcn_luigi.report.tables import number

_RARE, _FAR, _FEW_DEV, _MUCH = 0.05, 0.2, 0.05, 0.5


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes
    ----------
    question : str
        What was asked.
    answer : str
        What was found.
    is_fine : bool
        False where a person should look.
    """

    question: str
    answer: str
    is_fine: bool


def make_findings(evidence: Evidence) -> list[Finding]:
    """Return all checks, in the order of the page."""
    return [*_of_split(evidence), *_of_chips(evidence), *_of_bands(evidence), *_of_sources(evidence)]


def _of_split(evidence: Evidence) -> Iterator[Finding]:
    leaks, settings = evidence.leaks, evidence.settings
    pixels, glaciers, gap = leaks.shared_pixels, len(leaks.shared_glaciers), leaks.least_distance_m
    yield Finding("Do train and dev share pixels?", _counted(pixels, "pixel") if pixels else "none", pixels == 0)
    yield Finding(
        "Do train and dev share glaciers?", _counted(glaciers, "outline") if glaciers else "none", glaciers == 0
    )
    edge = settings.chips.size * evidence.inventory.lattice.pixel_size
    apart = "not measured, one split is empty" if gap is None else f"{number(gap)} m"
    is_far = gap is not None and gap >= edge
    yield Finding(f"Are train and dev a chip apart ({number(edge)} m)?", apart, is_far)
    yield _of_repeats(evidence)
    dev, all_ = evidence.n_chips("dev"), len(evidence.index)
    is_enough = dev >= _FEW_DEV * all_ and dev > 0
    yield Finding(
        f"Is at least {_FEW_DEV:.0%} of the chips held back?", f"{number(dev)} of {number(all_)} chips", is_enough
    )


def _of_repeats(evidence: Evidence) -> Finding:
    bytes_, place = evidence.same_bytes, evidence.same_place
    said = [
        f"{_counted(found.n_sets, 'set')} of chips with the same {what}"
        for what, found in (("bytes", bytes_), ("footprint and year", place))
        if found.n_sets
    ]
    return Finding("Is every chip there once?", "; ".join(said) or "yes", not said)


def _of_chips(evidence: Evidence) -> Iterator[Finding]:
    rare = []
    for split in SPLITS:
        pixels = evidence.described(split)["classes"]["pixels"]
        total = max(sum(pixels.values()), 1)
        rare += [
            f"{name} {pixels[name] / total:.1%} of {split}" for name in CLASS_NAMES if pixels[name] < _RARE * total
        ]
    yield Finding(f"Does every class have {_RARE:.0%} of the pixels?", "; ".join(rare) or "yes", not rare)
    thrown = {}
    for split in SPLITS:
        verdicts = evidence.statistics["chips"][split]
        thrown[split] = 1 - verdicts.get("kept", 0) / max(sum(verdicts.values()), 1)
    said = ", ".join(f"{split} {share:.0%} rejected" for split, share in thrown.items())
    yield Finding(f"Are at least {_MUCH:.0%} of the candidate chips kept?", said, max(thrown.values()) <= _MUCH)
    valid = evidence.index["valid_share"]
    half = int((valid < _MUCH).sum())
    yield Finding(
        f"Is {_MUCH:.0%} of every chip valid in all bands?",
        f"{_counted(half, 'chip')} below" if half else "yes",
        half == 0,
    )


def _of_bands(evidence: Evidence) -> Iterator[Finding]:
    distances = {band.name: evidence.distance(position) for position, band in enumerate(evidence.bands)}
    far = [f"{name} {value:.2f}" for name, value in distances.items() if value is not None and value > _FAR]
    empty = [f"{name} holds nothing in one split" for name, value in distances.items() if value is None]
    asked = f"Are train and dev alike in every band (KS at most {_FAR:g})?"
    yield Finding(asked, ", ".join((*far, *empty)) or "yes", not (far or empty))
    counts = evidence.statistics["out_of_range"]
    beyond = {band.name: sum(counts[split][band.name] for split in SPLITS) for band in evidence.bands}
    said = ", ".join(f"{name} {number(count)}" for name, count in beyond.items() if count)
    yield Finding("Are all samples within the valid range of their band?", said or "yes", not said)


def _of_sources(evidence: Evidence) -> Iterator[Finding]:
    unused, total = evidence.audit["n_unused"], len(evidence.catalog)
    said = f"{number(total - unused)} of {number(total)}"
    yield Finding(f"Are at least {_MUCH:.0%} of the partitions used?", said, unused <= _MUCH * total)
    notes = {kind: len(getattr(evidence.inventory, kind)) for kind in NOTE_KINDS}
    told = ", ".join(f"{kind} {number(count)}" for kind, count in notes.items() if count)
    yield Finding("Did the scan of the tiles find nothing to remark?", told or "nothing", not told)
    yield _of_tiles(evidence)
    suspect = ", ".join(f"{name} {_counted(count, 'file')}" for name, count in suspect_bands(evidence).items())
    yield Finding("Is every pixel that looks missing declared so?", suspect or "yes", not suspect)
    repaired = len(evidence.audit["notes"].get("outlines", []))
    answer = _counted(repaired, "note") if repaired else "yes"
    yield Finding("Were all outlines read as they are?", answer, repaired == 0)


def _of_tiles(evidence: Evidence) -> Finding:
    wild, unchecked = wild_bands(evidence), unchecked_bands(evidence)
    said = ", ".join(f"{name} {number(count)} beyond" for name, count in wild.items())
    told = f"no range is set for {', '.join(unchecked)}" if unchecked else ""
    is_checked = len(unchecked) < len(evidence.tile_quality)
    answer = "; ".join(filter(None, (said or ("yes" if is_checked else "not checked"), told)))
    return Finding("Does every value of the tiles lie in its valid range?", answer, is_checked and not wild)


def _counted(count: int, thing: str) -> str:
    return f"{number(count)} {thing}" if count == 1 else f"{number(count)} {thing}s"
