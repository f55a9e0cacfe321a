"""The texts of all descriptions of a dataset, by path."""

from collections.abc import Iterable
from pathlib import Path

from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.metadata.citation import citation_text
from gcn_luigi.stages.metadata.croissant import croissant_text
from gcn_luigi.stages.metadata.datasheet import datasheet_text
from gcn_luigi.stages.metadata.facts import collect_facts, shard_footprints, whole_box
from gcn_luigi.stages.metadata.stac import collection_text, item_text


def description_texts(settings: RegionSettings, paths: DatasetPaths, files: Iterable[ManifestEntry]) -> dict[Path, str]:
    """Return the texts of ``croissant.json``, ``datasheet.md`` and ``CITATION.cff``.

    `files` are size and digest of all shards, the index, the catalog and the statistics.
    """
    facts = collect_facts(settings, paths, files)
    box = whole_box(shard_footprints(facts))
    return {
        paths.croissant: croissant_text(facts, box),
        paths.datasheet: datasheet_text(facts, box),
        paths.citation_file: citation_text(settings),
    }


def stac_texts(settings: RegionSettings, paths: DatasetPaths, files: Iterable[ManifestEntry]) -> dict[Path, str]:
    """Return the texts of the STAC collection and of the item of each shard.

    `files` are size and digest of all shards, the index, the catalog and the statistics.
    """
    facts = collect_facts(settings, paths, files)
    footprints = shard_footprints(facts)
    items = {paths.stac_item(paths.root / shard): item_text(facts, shard, footprints) for shard in facts.shards}
    return {paths.stac: collection_text(facts, footprints), **items}


def write_all(settings: RegionSettings, paths: DatasetPaths, files: Iterable[ManifestEntry]) -> None:
    """Write all descriptions of a dataset at their own paths, for a copy of it that nobody reads yet."""
    named = tuple(files)
    texts = {**description_texts(settings, paths, named), **stac_texts(settings, paths, named)}
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
