"""Sentences that several descriptions of a dataset share: how it was made, where its limits are, and how to cite it."""

from collections.abc import Iterator

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import listed
from gcn_luigi.licences import licence_url
from gcn_luigi.settings import SOURCE_KINDS, DatasetSettings, RegionSettings, SourceSettings
from gcn_luigi.stages.metadata.facts import Facts
from gcn_luigi.version import __version__

# Where the pixels of a chip are, by the layout of the shards.
_PIXELS = {
    "chips": "The pixels of a chip are row shard_row of the arrays image (chip, band, y, x), label and flags "
    "(chip, y, x).",
    "windows": "The arrays image (window, band, y, x), label and flags (window, y, x) hold whole partitions. A chip "
    "starts at its row and col in the row of these arrays that column in_window of the shard names.",
}
_SURE = " The array confidence, of the same shape as label, says how sure the label is."
# With these fill values, the published step turns a missing label into a class.
_LEGACY_CLASSES = (0, 1, 2)
KINDS = {
    "optical": "the optical composites",
    "topo": "the elevation model and what is derived from it",
    "outlines": "the glacier outlines",
    "label": "the raster that the label is made from",
    "debris": "the map of debris",
    "distance": "the raster of distances",
    "grid": "the grid of partitions",
}
_SOURCES_OF_DOUBT = {
    "votes": "the votes",
    "edge": "the distance to outlines",
    "years": "the years between outline and image",
}
_TOGETHER = (
    "Tiles were put together on one lattice of pixels. Files that are not on it were warped only where the "
    "configuration says so; inventory.json lists every file."
)
_MADE_FROM = {
    "votes": "The label is made from a raster of votes for debris-free ice and from glacier outlines: a pixel inside "
    "an outline with at least {min_votes} votes is debris-free ice, with fewer it is supraglacial debris.",
    "raster": "The label is a raster that was given, on the lattice of the images.",
    "outlines": "The label is made from the outlines alone{debris}.",
}


def pixels(settings: RegionSettings) -> str:
    """Return where the pixels of a chip are."""
    return _PIXELS[settings.shards.layout] + (_SURE if settings.label.confidence else "")


def collection(facts: Facts) -> str:
    """Return how the dataset was made from its sources."""
    settings = facts.settings
    before = "optical composites, topography" if settings.topo_bands else "optical composites"
    taken = "takes the composite whose year is closest to its outlines"
    if settings.year.rule == "all":
        taken = "is cut from every composite that is close enough to its outlines"
    return (
        f"The sources existed before: {before} and glacier outlines. gcn_luigi {__version__} made the chips from them, "
        f"and collected nothing new. Each partition of {settings.grid.size} pixels {taken}, by the rules in the "
        "configuration."
    )


def once(settings: RegionSettings) -> str:
    """Return how often a pixel counts in the statistics, although several chips show it."""
    return "once for each year" if settings.year.rule == "all" else "each once"


def splits(facts: Facts) -> str:
    """Return which splits and folds there are, and how they were made."""
    split, distance = facts.settings.split, facts.audit["least_distance_m"]
    whole = {"blocks": "", "glacier": ", which keeps glaciers whole", "regions": ", which keeps regions whole"}
    by = whole[split.unit] if split.method == "blocks" else ""
    between = " and ".join(facts.splits) if len(facts.splits) == 2 else "two of them"
    apart = "" if distance is None else f" The smallest distance between {between} is {distance:,.0f} m."
    folds = (
        f" {split.folds} folds of train and dev are for cross-validation; folds.csv lists them." if split.folds else ""
    )
    return (
        f"The dataset has the splits {', '.join(facts.splits)}, made by the method `{split.method}`{by}.{apart}{folds} "
        "split.json holds the audit."
    )


def preprocessing(facts: Facts) -> list[str]:
    """Return the steps from the sources to the chips, one sentence each."""
    settings = facts.settings
    return [
        _TOGETHER,
        f"Bands are stored as {settings.stack.dtype}; the configuration in dataset.json gives scale and offset.",
        sampling(facts),
        missing(settings),
    ]


def sampling(facts: Facts) -> str:
    """Return how chips were chosen."""
    chips = facts.settings.chips
    least = (
        f"{chips.min_valid_label_share:.0%} of the label, {chips.min_valid_optical_share:.0%} of the optical bands and "
        f"{chips.min_valid_topo_share:.0%} of topography"
    )
    glacier = f", and {chips.min_glacier_share:.0%} of its pixels are glacier" if chips.min_glacier_share else ""
    classes = "".join(f", and {share:.0%} are {name}" for name, share in sorted(chips.min_share.items()) if share)
    return (
        f"Chips of {chips.size} pixels were cut every {chips.step} pixels from partitions of "
        f"{facts.settings.grid.size} pixels. A chip is kept if at least {least} are not missing{glacier}{classes}. "
        f"{facts.audit['n_unused']:,} of {facts.n_partitions:,} partitions are not used; the catalog gives the reason "
        "for each."
    )


def missing(settings: RegionSettings) -> str:
    """Return what stands in place of missing pixels."""
    fill, label = settings.nodata.fill, f"{LABEL_IGNORE}"
    if settings.nodata.mode == "legacy" and fill in _LEGACY_CLASSES:
        # The published step filled the label like the other bands, but knew no chips beyond the edge.
        beyond = f" ({LABEL_IGNORE} beyond the edge of a partition)" if settings.chips.edge == "pad" else ""
        label = f"{fill}{beyond}"
    return (
        f"Missing pixels hold {fill} in the images and {label} in the label, and a flag says what is "
        f"missing. Nothing is interpolated (mode {settings.nodata.mode})."
    )


def annotation(settings: RegionSettings) -> str:
    """Return how the label was made."""
    debris = " and a map of debris" if settings.label.has_debris else ""
    made = _MADE_FROM[settings.label.made_from].format(min_votes=settings.label.min_votes, debris=debris)
    if not settings.label.confidence:
        return made
    sources = listed([_SOURCES_OF_DOUBT[source] for source in settings.label.confidence])
    return f"{made} The array confidence says how sure it is, by {sources}."


def known_limits(facts: Facts) -> Iterator[str]:
    """Yield the limits that the build measured, one sentence each."""
    gap, audit = facts.largest_gap, facts.audit
    if gap is None:
        yield "No outline has a date, so nobody knows how many years lie between outlines and images."
    elif gap:
        yield f"Outlines and images are up to {_count(gap, 'year')} apart; the column year_gap says it for each chip."
    if shared := audit["shared_glaciers"]:
        lie = "lies" if len(shared) == 1 else "lie"
        yield f"{_count(len(shared), 'glacier')} {lie} in more than one split; split.json has the ids."
    if audit["shared_pixels"]:
        yield f"The splits share {_count(audit['shared_pixels'], 'pixel')}."
    yield from _uncertain(facts)
    pixels = facts.statistics["classes"]["pixels"]
    total = sum(pixels.values())
    if total:
        shares = ", ".join(f"{name} {count / total:.1%}" for name, count in pixels.items())
        yield f"The classes are not balanced: of the labelled pixels of train, {shares}."


def _uncertain(facts: Facts) -> Iterator[str]:
    """Yield which share of the labels is uncertain, if a limit is set."""
    limit = facts.settings.label.min_confidence
    if limit is None:
        return
    of_train = facts.statistics["confidence"]["train"]
    shares = ", ".join(f"{name} {found['uncertain'] / max(found['pixels'], 1):.1%}" for name, found in of_train.items())
    yield f"Labels below {limit}% confidence are uncertain: of the labelled pixels of train, {shares}."


def spatial_bias(facts: Facts, box: list[float]) -> str:
    """Return where the chips lie, and what is not represented."""
    west, south, east, north = box
    return (
        f"All chips lie between {_degrees(south, 'SN')} and {_degrees(north, 'SN')}, and between "
        f"{_degrees(west, 'WE')} and {_degrees(east, 'WE')}. Only cells that passed the rules of the "
        f"configuration are used: {facts.n_partitions - facts.audit['n_unused']:,} of {facts.n_partitions:,}."
    )


def citation(dataset: DatasetSettings, title: str) -> str | None:
    """Return how to cite the dataset; None without creators, because a citation needs them."""
    if not dataset.creators:
        return None
    names = "; ".join(
        f"{creator.family_names}, {creator.given_names}" if creator.family_names else creator.full_name
        for creator in dataset.creators
    )
    year = f" ({dataset.released[:4]})" if dataset.released else ""
    version = f", version {dataset.version}" if dataset.version else ""
    place = f". https://doi.org/{dataset.doi}" if dataset.doi else f". {dataset.url}" if dataset.url else ""
    return f"{names}{year}: {title}{version} [data set]{place}"


def licence_page(dataset: DatasetSettings) -> str | None:
    """Return the address of the dataset's licence; None if none is given, or if it has no address."""
    return licence_url(dataset.licence, dataset.licence_url or dataset.url) if dataset.licence else None


def source_page(source: SourceSettings) -> str | None:
    """Return the address of a source: its DOI, else its page."""
    return f"https://doi.org/{source.doi}" if source.doi else source.url


def sources(settings: RegionSettings) -> Iterator[tuple[str, SourceSettings | None]]:
    """Yield each kind of source that is read with what is said about it, then the bands with a table of their own."""
    for kind in settings.source_kinds:
        yield kind, settings.sources.get(kind)
    for name, source in settings.sources.items():
        if name not in SOURCE_KINDS:
            yield name, source


def credits(settings: RegionSettings) -> list[str]:  # noqa: A001  their usual name
    """Return what the providers of the sources ask to be named as, each once, in order."""
    return list(dict.fromkeys(one.attribution for _, one in sources(settings) if one and one.attribution))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _degrees(value: float, signs: str) -> str:
    return f"{abs(value):.2f}° {signs[value >= 0]}"
