"""Write the data card (README.md) and CITATION.md of a dataset, with its figures and sources."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcn_luigi.errors import listed
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.settings import RegionSettings, SourceSettings
from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.citation import card_header
from gcn_luigi.stages.metadata.facts import default_title
from gcn_luigi.version import __version__

_RGI_7 = "RGI 7.0 Consortium (2023). Randolph Glacier Inventory 7.0. doi:10.5067/f6jmovy5navz"
_RGI_6 = "RGI Consortium (2017). Randolph Glacier Inventory 6.0. doi:10.7265/N5-RGI-60"
_STEM = "Hooper and Kennedy (2018), for the STEM classification. doi:10.1016/j.rse.2018.03.032"
_PAPER = (
    "Roberts-Pierel et al. (2022), for the method (GlacierCoverNet). Remote Sensing 14(18), 4582. "
    "doi:10.3390/rs14184582"
)
_AS_ASKED = "The optical composites and the elevation model that the tiles were made from, as their providers ask."

_STORED = {
    "chips": "`shards/*.h5`, one row of `image`, `label` and `flags` a chip",
    "windows": "`shards/*.h5`, one row of `image`, `label` and `flags` a partition; chip i lies in row `in_window[i]`, "
    "from `row[i]`, `col[i]` on",
}


def write_card(settings: RegionSettings, paths: DatasetPaths, readme_out: Path, citation_out: Path) -> None:
    """Write both Markdown pages from the index, the catalog, the statistics and the audit of the split."""
    statistics = json.loads(paths.statistics.read_text(encoding="utf-8"))
    index = read_geoparquet(paths.index)
    chips = {split: int((index["split"] == split).sum()) for split in settings.splits}
    readme_out.write_text(_readme(settings, paths, chips, statistics), encoding="utf-8")
    catalog = read_geoparquet(paths.catalog)
    ids = {name for names in catalog["rgi_ids"] for name in str(names).split(";")}
    citation_out.write_text(_citation(settings, ids), encoding="utf-8")


def _readme(settings: RegionSettings, paths: DatasetPaths, chips: dict[str, int], statistics: dict[str, Any]) -> str:
    audit = json.loads(paths.split_audit.read_text(encoding="utf-8"))
    size, bands, is_float = settings.chips.size, settings.schema_bands.image, settings.stack.dtype == "float32"
    rows = "\n".join(
        f"| {i} | {band.name} | {band.role} | {_number(statistics['bands'][band.name]['mean'], is_float=is_float)} "
        f"| {_number(statistics['bands'][band.name]['std'], is_float=is_float)} | {band.unit} |"
        for i, band in enumerate(bands)
    )
    pixels = statistics["classes"]["pixels"]
    classes = ", ".join(f"{name} {count:,}" for name, count in pixels.items())
    said = f"\n{settings.dataset.description}\n" if settings.dataset.description else ""
    return f"""{card_header(settings, chips)}
# {settings.dataset.title or default_title(settings)}
{said}
{_each({split: f"{n:,}" for split, n in chips.items()})} chips of {size} x {size} px in {len(bands)} bands, cut every
{settings.chips.step} px from partitions of {settings.grid.size} px. Made by gcn_luigi {__version__}.

Open it with

```python
import gcn_luigi

dataset = gcn_luigi.open_dataset(".")
chip = dataset.chips("train")[0]
chip["image"], chip["label"], chip["flags"]  # (band, y, x) {settings.stack.dtype}; (y, x) uint8; (y, x) uint8
```

or any HDF5 library: {_STORED[settings.shards.layout]}. `index.parquet` and `index.gpkg` say where each chip lies.

| band | name | role | mean | std | unit |
|---|---|---|---|---|---|
{rows}

Means and deviations are of valid train pixels, {words.once(settings)} (`statistics.json` has more).
Label: {settings.class_table.described()}, 255 ignore. Train pixels: {classes}.
Flags: bits 1 optical, 2 topo, 4 label, 8 outside the mosaic, 16 distance; a set bit means missing,
and missing image pixels hold {settings.nodata.fill} (mode `{settings.nodata.mode}`).
{_confidence(settings, statistics)}
## Input

{_out_of_range(paths, settings)}

## Split

Method `{settings.split.method}`: {_each({split: audit[f"n_{split}"] for split in settings.splits})} partitions,
{audit["n_unused"]} not used.
{_shared(audit, has_test=settings.has_test)}
"""


def _each(counts: Mapping[str, object]) -> str:
    """Return ``8 train and 2 dev``, or the same with a comma for three."""
    return listed(f"{count} {split}" for split, count in counts.items())


def _shared(audit: dict[str, Any], *, has_test: bool) -> str:
    """Return what the splits share; with a test split, what any two of them share."""
    glaciers = ", ".join(audit["shared_glaciers"]) or "none"
    both, between = ("two splits", "two splits") if has_test else ("both", "train and dev")
    distance = f"Least distance between {between}: {_metres(audit['least_distance_m'])}."
    return f"Pixels in {both}: {audit['shared_pixels']}. {distance}\nGlaciers in {both}: {glaciers}."


def _confidence(settings: RegionSettings, statistics: dict[str, Any]) -> str:
    """Return the paragraph about the confidence of the label; nothing if there is none."""
    label = settings.label
    if not label.confidence:
        return ""
    limit, of_train = label.min_confidence, statistics["confidence"]["train"]
    lines = [
        "",
        "Confidence: the array `confidence` (uint8) says how sure the label is, in percent; 255 where it is missing.",
        f"The least of its sources counts: {'; '.join(label.confidence_in_words)}.",
    ]
    if limit is not None:
        shares = ", ".join(
            f"{name} {found['uncertain'] / max(found['pixels'], 1):.1%}" for name, found in of_train.items()
        )
        lines.append(f"Bit 32 of the flags marks labels below {limit} percent: of the train pixels, {shares}.")
    return "\n".join(lines) + "\n"


def _citation(settings: RegionSettings, ids: set[str]) -> str:
    dataset = settings.dataset
    own = words.citation(dataset, dataset.title or default_title(settings))
    cited = (
        f"This dataset: {own}" if own else "The dataset itself: its authors are not named yet (`[[dataset.creators]]`)."
    )
    sources, named = [_PAPER], dict(words.sources(settings))
    # What the user says about a source counts more than what its ids and its kind suggest.
    if named.get("outlines") is None:
        if any(name.startswith("RGI60-") for name in ids):
            sources.append(_RGI_6)
        if any(name.startswith(("RGI2000-v7", "RGI70-")) for name in ids):
            sources.append(_RGI_7)
    if settings.label.stem is not None and named.get("label") is None:
        sources.append(_STEM)
    sources += [_of_source(source) for source in named.values() if source is not None]
    if any(kind in named and named[kind] is None for kind in ("optical", "topo")):
        sources.append(_AS_ASKED)
    listed = "\n".join(f"* {source}" for source in sources)
    return f"""# What to cite

{cited}

A publication that uses this dataset cites the sources it was made from:

{listed}

Made by gcn_luigi {__version__}.
"""


def _of_source(source: SourceSettings) -> str:
    page = words.source_page(source)
    given = [
        source.attribution or source.title,
        *([source.licence] if source.licence else []),
        *([page] if page else []),
    ]
    return ". ".join(given)


def _out_of_range(paths: DatasetPaths, settings: RegionSettings) -> str:
    """Return the text that says which tiles hold values out of the valid range."""
    lines = []
    for band in settings.checked_bands:
        content = json.loads(paths.tile_quality(band.name).read_text(encoding="utf-8"))
        tiles = sorted({row["path"] for row in content["tiles"] if row["out_of_range"]})
        if tiles:
            count = content["totals"]["out_of_range"]
            lines.append(f"* {band.name}: {count:,} values out of range in {', '.join(tiles[:10])}")
    if not lines:
        unchecked = [band.name for band in settings.checked_bands if band.valid_min is None and band.valid_max is None]
        if not unchecked:
            return "Every pixel of every tile was read; no value lies beyond its band's valid range."
        if len(unchecked) == len(settings.checked_bands):
            return "Every pixel of every tile was read. Values were not checked, because no band has a valid range."
        return (
            "Every pixel of every tile was read; no value lies beyond its band's valid range. No range is set for "
            f"{', '.join(unchecked)}."
        )
    return (
        "Values beyond their band's valid range are missing in the chips. They may betray damaged files:\n\n"
        + "\n".join(lines)
    )


def _number(value: float | None, *, is_float: bool) -> str:
    # Bands of whole numbers are thousands. Floats may be indices of -1 to 1.
    # Adding 0 turns -0.0 into 0.0.
    return "" if value is None else f"{value:.6g}" if is_float else f"{round(value, 1) + 0.0:,.1f}"


def _metres(value: float | None) -> str:
    return "not measured, one split is empty" if value is None else f"{value:,.0f} m"
