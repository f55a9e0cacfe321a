"""The quality page: figures, tables and checks of a dataset in one self-contained HTML file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import Record
from gcn_luigi.prepare.appearance import MISSING_COLOURS, look
from gcn_luigi.report.graph_picture import TaskTime
from gcn_luigi.report.quality import inputs, tables
from gcn_luigi.report.quality.checks import make_checks
from gcn_luigi.report.quality.data import ReportData, read_report_data
from gcn_luigi.report.quality.durations import make_durations
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Cell, Table, number
from gcn_luigi.settings import RegionSettings
from gcn_luigi.version import __version__

# Classes whose share is a key figure.
_MOST_FACTS = 6
_SHARDS = "shards/"


@dataclass(frozen=True)
class Provenance:
    """What made a dataset; the caller passes it, because this module does not know the tasks.

    Attributes
    ----------
    tasks : tuple of TaskTime
        All tasks of the dataset.
    records : mapping
        By path in the dataset: the sidecar's record of each file that the page is made from; None if it is gone.
    versions : mapping
        Versions of the libraries that were used, by name.
    """

    tasks: tuple[TaskTime, ...] = ()
    records: Mapping[str, Record | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def write_report(settings: RegionSettings, paths: DatasetPaths, out: Path, origin: Provenance | None = None) -> None:
    """Write the quality page of a dataset; without `origin` it says that tasks, digests and versions are not known.

    Equal datasets give equal bytes, except for the part between the comments ``times``. At most a dozen chips and
    decimated rasters are in memory at a time; for shards of windows, one window more. Raises InputError if a file of
    the dataset is missing or damaged.
    """
    data, origin = read_report_data(settings, paths), origin or Provenance()
    content = {
        "region": settings.region,
        "version": __version__,
        "lattice": data.inventory.lattice,
        "facts": _facts(data),
        "checks": make_checks(data),
        "look": look(data.bands, data.shown),
        "shown": [data.bands[position].name for position in data.shown],
        "class_colours": data.classes.colours,
        "classes": data.classes,
        "shown_classes": [each.name for each in data.shown_classes(_MOST_FACTS)],
        "missing_colours": {
            name: ink
            for name, ink in MISSING_COLOURS.items()
            if name in {"present", "several", "outside", *(role.value for role in data.roles)}
        },
        "inventory": list(inputs.inventory_tables(data)),
        "notes": inputs.note_lists(data),
        "shared_glaciers": inputs.first_names(data.leaks.shared_glaciers, "split.json"),
        "repeats": tables.repeat_examples(data),
        "versions": ", ".join(f"{name} {version}" for name, version in origin.versions.items()),
        "durations": make_durations(origin.tasks),
        "configuration": inputs.configuration(data),
        **_drawn(data, paths),
    }
    content["tables"] = {
        **content["tables"],
        "leakage": tables.leakage_table(data),
        "repeats": tables.repeat_table(data),
        "candidates": tables.candidate_table(data),
        "unused": tables.unused_table(data),
        "classes": tables.class_table(data),
        "bands": tables.band_table(data),
        "ranges": tables.range_table(data),
        "grids": tables.grid_table(data),
        "stages": inputs.stage_table(data),
        "inputs": inputs.input_table(data),
        "tiles": inputs.tile_table(data),
        "out_of_range": inputs.out_of_range_table(data),
        "suspect": inputs.suspect_table(data),
        "settings": inputs.band_settings(data),
        "files": digest_table("Files that this page is made from", origin, are_shards=False),
        "shards": digest_table("Shards, in the directory shards", origin, are_shards=True),
    }
    out.write_text(render("page.html", content), encoding="utf-8")


def _drawn(data: ReportData, paths: DatasetPaths) -> dict[str, Any]:
    """Return the figures, the example chips, and the tables that belong to figures."""
    # Imported here, so that the other tasks start without matplotlib, which takes a second and may scan for fonts.
    from gcn_luigi.report.drawing import drawing_style  # noqa: PLC0415
    from gcn_luigi.report.evaluation.autocorrelation import autocorrelation_section  # noqa: PLC0415
    from gcn_luigi.report.evaluation.confidence import confidence_section  # noqa: PLC0415
    from gcn_luigi.report.evaluation.distances import distance_section  # noqa: PLC0415
    from gcn_luigi.report.evaluation.folds import fold_section  # noqa: PLC0415
    from gcn_luigi.report.evaluation.strata import read_strata, strata_section  # noqa: PLC0415
    from gcn_luigi.report.quality import chips, figures, maps, missing  # noqa: PLC0415

    relief = maps.read_relief(data, paths)
    with drawing_style():
        drawings = {
            "split": maps.split_map(data, relief),
            "year": maps.year_map(data, relief),
            "share_map": maps.share_map(data, relief),
            "reason": maps.reason_map(data, relief),
            "years": figures.year_figure(data),
            "shares": figures.share_figure(data),
            "classes": figures.class_figure(data),
            "bands": figures.band_figure(data),
            "grids": figures.grid_figure(data),
            "causes": missing.cause_figure(data),
            "missing": missing.missing_figure(data),
        }
        sections = {
            "folds": fold_section(data.catalog, data.index, data.folds, data.audit.get("folds", ())),
            "autocorrelation": autocorrelation_section(data.autocorrelation),
            "distances": distance_section(json.loads(paths.distances.read_text(encoding="utf-8"))),
            "strata": strata_section(
                read_strata(paths.strata),
                [each.name for each in data.shown_classes(_MOST_FACTS)],
                data.classes.colours,
            ),
            "confidence": confidence_section(data.statistics, data.settings.label, data.classes.names),
        }
    return {
        "drawings": drawings,
        "sections": sections,
        "examples": chips.make_examples(data, paths),
        "tables": {"shares": figures.share_table(data), "causes": missing.cause_table(data)},
    }


def _facts(data: ReportData) -> list[tuple[str, str, str]]:
    """Return the key figures: name, value, remark."""
    audit, chips, leaks = data.audit, data.settings.chips, data.leaks
    pixels = {split: data.of_split(split)["classes"]["pixels"] for split in data.splits}
    train = {name: count / max(sum(pixels["train"].values()), 1) for name, count in pixels["train"].items()}
    pixel_km2 = (data.inventory.lattice.pixel_size / 1000) ** 2
    ground = sum(sum(pixels[split].values()) for split in data.splits) * pixel_km2
    planned = {split: audit[f"n_{split}"] for split in data.splits}
    n_used = number(sum(planned.values()))
    listed = ", ".join(f"{number(count)} {split}" for split, count in planned.items())
    used_of = f"of {number(len(data.catalog))}; {listed}"
    has_test = len(data.splits) > 2
    gap = leaks.least_distance_m
    return [
        ("Train chips", number(data.n_chips("train")), f"{chips.size} px across, every {chips.step} px"),
        ("Dev chips", number(data.n_chips("dev")), f"{len(data.bands)} bands"),
        *([("Test chips", number(data.n_chips("test")), "for the final test only")] if has_test else []),
        ("Partitions used", n_used, used_of),
        ("Labelled ground", f"{number(ground)} km²", "in at least one chip"),
        *(
            (each.heading, f"{train[each.name]:.1%}", "of labelled train pixels")
            for each in data.shown_classes(_MOST_FACTS)
        ),
        (
            "Between splits" if has_test else "From train to dev",
            "not measured" if gap is None else f"{number(gap)} m",
            "least distance between chips, edge to edge",
        ),
        (
            "Shared",
            number(len(leaks.shared_glaciers)),
            f"glaciers, in {'two' if has_test else 'both'} splits; {number(leaks.shared_pixels)} pixels",
        ),
    ]


def digest_table(caption: str, origin: Provenance, *, are_shards: bool) -> Table:
    """Return size, digest and fingerprint of the shards, or of the other files that the page is made from."""
    rows: list[tuple[Cell, ...]] = []
    for path, record in sorted(origin.records.items()):
        if path.startswith(_SHARDS) == are_shards:
            known = (number(record.size), record.sha256, record.fingerprint) if record else (NONE,) * 3
            rows.append((path.removeprefix(_SHARDS), *known))
    return Table(caption, ("file", "#bytes", "SHA-256", "fingerprint"), tuple(rows))
