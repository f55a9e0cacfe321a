"""The page: figures, tables and checks in one HTML file that needs nothing else."""

from pathlib import Path
from typing import Any

from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.prepare import appearance
from gcn_luigi.report import tables
from gcn_luigi.report.quality import durations, left_out, provenance, tiles
from gcn_luigi.report.quality import inputs as sources
from gcn_luigi.report.quality import tables as leak_audit
from gcn_luigi.report.quality.checks import make_findings
from gcn_luigi.report.quality.data import Evidence, read_evidence
from gcn_luigi.report.quality.provenance import Provenance
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import number
from gcn_luigi.settings import RegionSettings
from gcn_luigi.version import __version__


def write_report(settings: RegionSettings, paths: DatasetPaths, out: Path, origin: Provenance | None = None) -> None:
    """Write the quality page of a dataset.

    Equal datasets give equal bytes, but for what stands between the comments ``times``. No more than a dozen chips and
    decimated rasters are held in memory; of shards of windows, one window more.

    Parameters
    ----------
    settings : RegionSettings
        What the dataset was made by.
    paths : DatasetPaths
        Where its files are; shards, index, catalog, statistics, audit and rasters must be there.
    out : Path
        The HTML file; the caller publishes it.
    origin : Provenance, optional
        Tasks, digests and versions; without it the page says that they are not known.

    Raises
    ------
    InputError
        A file of the dataset is missing or damaged.
    """
    evidence = read_evidence(settings, paths)
    out.write_text(render("page.html", _content(evidence, paths, origin or Provenance())), encoding="utf-8")


def _content(evidence: Evidence, paths: DatasetPaths, origin: Provenance) -> dict[str, Any]:
    # Here, so that the other tasks start without matplotlib, which takes a second and may scan for fonts.
    from gcn_luigi.report import drawing  # noqa: PLC0415
    from gcn_luigi.report.quality import chips as quicklooks  # noqa: PLC0415
    from gcn_luigi.report.quality import distributions, figures, maps, missing, share_maps  # noqa: PLC0415

    with drawing.drawing_style():
        drawings = {
            "split": maps.split_map(evidence, paths),
            "year": maps.year_map(evidence, paths),
            "share_map": share_maps.share_map(evidence, paths),
            "reason": share_maps.reason_map(evidence, paths),
            "years": distributions.year_figure(evidence),
            "shares": distributions.share_figure(evidence),
            "causes": missing.cause_figure(evidence),
            "classes": figures.class_figure(evidence),
            "bands": figures.band_figure(evidence),
            "missing": figures.missing_figure(evidence),
            "grids": figures.grid_figure(evidence),
        }
    shown = [evidence.bands[position].name for position in appearance.colour_bands(evidence.bands)]
    return {
        "region": evidence.settings.region,
        "version": __version__,
        "lattice": evidence.inventory.lattice,
        "facts": _facts(evidence),
        "findings": make_findings(evidence),
        "drawings": drawings,
        "examples": quicklooks.make_examples(evidence, paths),
        "shown": shown,
        "class_colours": appearance.CLASS_COLOURS,
        "missing_colours": {
            name: ink
            for name, ink in appearance.MISSING_COLOURS.items()
            if name in {"present", "several", "outside", *(role.value for role in evidence.roles)}
        },
        "tables": {
            "leaks": leak_audit.leak_table(evidence),
            "repeats": leak_audit.repeat_table(evidence),
            "stages": left_out.stage_table(evidence),
            "inputs": left_out.input_table(evidence),
            "files": provenance.file_table(origin),
            "shards": provenance.shard_table(origin),
            "unused": tables.unused_table(evidence),
            "verdicts": tables.verdict_table(evidence),
            "classes": tables.class_table(evidence),
            "bands": tables.band_table(evidence),
            "shares": distributions.share_table(evidence),
            "causes": missing.cause_table(evidence),
            "ranges": tables.range_table(evidence),
            "grids": tables.grid_table(evidence),
            "settings": sources.band_settings(evidence),
            "tiles": tiles.tile_table(evidence),
            "wild": tiles.wild_table(evidence),
            "suspect": tiles.suspect_table(evidence),
        },
        "inventory": sources.inventory_tables(evidence),
        "notes": sources.note_lists(evidence),
        "shared_glaciers": sources.first_of(evidence.leaks.shared_glaciers, "split.json"),
        "repeats": leak_audit.repeat_examples(evidence),
        "versions": provenance.version_line(origin),
        "durations": durations.make_durations(origin.tasks),
        "configuration": sources.configuration(evidence),
    }


def _facts(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return the key figures: name, value, remark."""
    audit, chips = evidence.audit, evidence.settings.chips
    pixels = evidence.described("train")["classes"]["pixels"]
    total = max(sum(pixels.values()), 1)
    pixel_km2 = (evidence.inventory.lattice.pixel_size / 1000) ** 2
    ground = sum(sum(evidence.described(split)["classes"]["pixels"].values()) for split in SPLITS) * pixel_km2
    leaks = evidence.leaks
    gap, shared = leaks.least_distance_m, len(leaks.shared_glaciers)
    return [
        ("Train chips", number(evidence.n_chips("train")), f"{chips.size} px across, every {chips.step} px"),
        ("Dev chips", number(evidence.n_chips("dev")), f"{len(evidence.bands)} bands"),
        (
            "Partitions used",
            number(audit["n_train"] + audit["n_dev"]),
            f"of {number(len(evidence.catalog))}; {number(audit['n_train'])} train, {number(audit['n_dev'])} dev",
        ),
        ("Labelled ground", f"{number(ground)} km²", "seen by at least one chip"),
        ("Debris", f"{pixels['debris'] / total:.1%}", "of labelled train pixels"),
        ("Debris-free ice", f"{pixels['ice'] / total:.1%}", "of labelled train pixels"),
        (
            "Train to dev",
            "not measured" if gap is None else f"{number(gap)} m",
            "least distance of chips, edge to edge",
        ),
        ("Shared", number(shared), f"glaciers in both splits; {number(leaks.shared_pixels)} pixels"),
    ]
