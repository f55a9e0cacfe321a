"""Write ``datasheet.md``: questions and answers about a dataset, after Gebru et al. (2021).

The sections are those of "Datasheets for Datasets", Communications of the ACM 64(12), doi:10.1145/3458723. The build
answers what it knows, ``[datasheet]`` of the TOML file what only people know, and the rest is marked as a gap.
"""

from collections.abc import Iterator

from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.facts import GAP, Facts
from gcn_luigi.version import __version__

_QUESTIONS = {
    "purpose": "why the dataset was made, and for which task",
    "funding": "who paid for it, with grant numbers",
    "collection": "who acquired the sources, how and when",
    "annotation": "who drew or classified what the label is made from, and how well they agree",
    "personal": "whether anything in it is confidential, or concerns people or sites that need protection",
    "biases": "which glaciers, seasons and surfaces are missing or too frequent",
    "limitations": "which errors you know of that the build cannot see",
    "uses": "what it has been used for, and what else it suits",
    "not_for": "what it should not be used for",
    "impact": "who may be affected by maps that are made with it",
    "maintenance": "who keeps it, for how long, and how errors are reported and corrected",
}


def datasheet_text(facts: Facts, box: list[float]) -> str:
    """Return the text of ``datasheet.md``. `box` is west, south, east and north of all chips, in degrees."""
    parts = {
        "Motivation": _motivation(facts),
        "Composition": _composition(facts, box),
        "Collection process": _collection(facts),
        "Preprocessing, cleaning and labelling": _preprocessing(facts),
        "Uses": _uses(facts),
        "Distribution": _distribution(facts),
        "Maintenance": _maintenance(facts),
    }
    body = "\n\n".join("\n\n".join([f"## {heading}", *lines]) for heading, lines in parts.items())
    n_gaps = body.count(GAP)
    gaps = (
        f"{n_gaps} answers are missing. Each is marked `{GAP}`; write it into the TOML file of the region, and run the "
        "build again."
        if n_gaps
        else "All questions are answered."
    )
    return f"""# Datasheet: {facts.title}

The sections follow Gebru et al. (2021), [Datasheets for Datasets](https://doi.org/10.1145/3458723).
gcn_luigi {__version__} wrote this file and knows the figures; the rest is from the TOML file of the region.
{gaps}

{body}
"""


def _answer(facts: Facts, key: str) -> str:
    """Return what ``[datasheet]`` says, or a marked gap."""
    return getattr(facts.settings.datasheet, key) or f"{GAP}: {_QUESTIONS[key]} (`[datasheet] {key}`)."


def _motivation(facts: Facts) -> Iterator[str]:
    creators = facts.settings.dataset.creators
    yield f"**Purpose.** {_answer(facts, 'purpose')}"
    names = [f"{one.full_name}{f' ({one.affiliation})' if one.affiliation else ''}" for one in creators]
    made = "; ".join(names) or f"{GAP}: who made the dataset (`[[dataset.creators]]`)"
    yield f"**Creators.** {made}."
    yield f"**Funding.** {_answer(facts, 'funding')}"


def _composition(facts: Facts, box: list[float]) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {split}" for split, count in facts.n_chips.items())
    yield f"**What one example is.** {facts.summary}"
    yield f"**How many.** Chips: {counts}. Neighbouring chips may overlap, if their step is smaller than their size."
    pixels = facts.statistics["classes"]["pixels"]
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in pixels.items())
    once = words.once(facts.settings)
    yield f"**Classes.** Labelled pixels of the train split, {once}:\n\n| class | pixels |\n|---|---|\n{rows}"
    yield f"**Is it a sample?** {words.sampling(facts)}"
    yield f"**Where.** {words.spatial_bias(facts, box)}"
    yield f"**Missing values.** {words.missing(facts.settings)}"
    yield f"**Recommended splits.** {words.splits(facts)}"
    limits = " ".join(words.known_limits(facts))
    if limits:
        yield f"**Errors and noise that the build measured.** {limits}"
    yield f"**Other errors.** {_answer(facts, 'limitations')}"
    yield f"**Biases.** {_answer(facts, 'biases')}"
    yield f"**Confidential or sensitive content.** {_answer(facts, 'personal')}"


def _collection(facts: Facts) -> Iterator[str]:
    yield f"**How the chips were made.** {words.collection(facts)}"
    yield f"**How the sources were acquired.** {_answer(facts, 'collection')}"
    yield f"**Time frame.** The images are composites of {', '.join(map(str, facts.years))}."
    rows = []
    for kind, source in words.sources(facts.settings):
        what = words.KINDS.get(kind, f"band {kind}")
        if source is None:
            rows.append(f"| {what} | {GAP}: `[sources.{kind}]` | | | |")
            continue
        licence = source.licence or f"{GAP}: `[sources.{kind}] licence`"
        rows.append(
            f"| {what} | {_cell(source.title)} | {licence} | {_cell(source.attribution or '')} "
            f"| {words.source_page(source) or ''} |"
        )
    yield "**Sources.**\n\n| source | title | licence | attribution | address |\n|---|---|---|---|---|\n" + "\n".join(
        rows
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _preprocessing(facts: Facts) -> Iterator[str]:
    yield "**Steps.** " + " ".join(words.preprocessing(facts))
    yield f"**Labels.** {words.annotation(facts.settings)} {_answer(facts, 'annotation')}"
    yield "**Raw data.** The sources are not part of the dataset. dataset.json holds all settings and versions."


def _uses(facts: Facts) -> Iterator[str]:
    yield f"**Uses.** {_answer(facts, 'uses')}"
    yield f"**Not for.** {_answer(facts, 'not_for')}"
    yield f"**Impact.** {_answer(facts, 'impact')}"


def _distribution(facts: Facts) -> Iterator[str]:
    dataset = facts.settings.dataset
    page = words.licence_page(dataset)
    licence = f"{dataset.licence}{f' ({page})' if page else ''}" if dataset.licence else None
    yield f"**Licence.** {licence or f'{GAP}: on which terms it may be used (`[dataset] licence`)'}."
    yield f"**DOI.** {dataset.doi or f'{GAP}: reserve one, and write it into `[dataset] doi`'}."
    cite = words.citation(dataset, facts.title)
    yield f"**How to cite.** {cite or f'{GAP}: needs the creators (`[[dataset.creators]]`)'}."
    credit = words.credits(facts.settings)
    if credit:
        yield "**Credit of the sources.** " + " ".join(credit)


def _maintenance(facts: Facts) -> Iterator[str]:
    dataset = facts.settings.dataset
    yield f"**Contact.** {dataset.contact or f'{GAP}: an address for questions (`[dataset] contact`)'}."
    yield f"**Version.** {dataset.version or f'{GAP}: a number (`[dataset] version`)'}."
    yield f"**Plan.** {_answer(facts, 'maintenance')}"
