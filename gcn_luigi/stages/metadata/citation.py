"""Write ``CITATION.cff`` (Citation File Format 1.2.0) and the header of the dataset card on Hugging Face."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from gcn_luigi.licences import hugging_face_licence, is_listed
from gcn_luigi.settings import CreatorSettings, RegionSettings, SourceSettings
from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.facts import GAP, default_title
from gcn_luigi.stages.metadata.yaml import yaml_text

_ARTICLE = {
    "type": "article",
    "title": "Changes over the Last 35 Years in Alaska's Glaciated Landscape: A Novel Deep Learning Approach to "
    "Mapping Glaciers at Fine Temporal Granularity",
    "authors": [
        {"family-names": "Roberts-Pierel", "given-names": "Ben M."},
        {"family-names": "Kirchner", "given-names": "Peter B."},
        {"family-names": "Kilbride", "given-names": "John B."},
        {"family-names": "Kennedy", "given-names": "Robert E."},
    ],
    "journal": "Remote Sensing",
    "year": 2022,
    "volume": "14",
    "issue": "18",
    "start": "4582",
    "doi": "10.3390/rs14184582",
}
# Numbers of chips between which Hugging Face distinguishes.
_SIZES = (0, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "n>10M")


def citation_text(settings: RegionSettings) -> str:
    """Return the text of ``CITATION.cff``: the dataset, its sources, and the paper whose method it follows.

    The format needs authors. If nobody is named, a text that says so stands in their place.
    """
    dataset = settings.dataset
    given = {
        "version": dataset.version,
        "date-released": dataset.released,
        "doi": dataset.doi,
        "url": dataset.url,
        "license": dataset.licence if dataset.licence and is_listed(dataset.licence) else None,
        "license-url": dataset.licence_url,
        "keywords": list(dataset.keywords),
        "abstract": dataset.description,
    }
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this dataset, please cite it, and the sources below that it was made from.",
        "type": "dataset",
        "title": dataset.title or default_title(settings),
        "authors": [_author(one) for one in dataset.creators] or [{"name": f"{GAP}: creators"}],
        **{key: value for key, value in given.items() if value},
        "references": [
            *(_reference(source) for _, source in words.sources(settings) if source is not None),
            _ARTICLE,
        ],
    }
    return yaml_text(content)


def _author(creator: CreatorSettings) -> dict[str, str]:
    orcid = f"https://orcid.org/{creator.orcid}" if creator.orcid else None
    if creator.family_names is None:
        given = {"name": creator.full_name, "orcid": orcid}
    else:
        given = {
            "family-names": creator.family_names,
            "given-names": creator.given_names,
            "orcid": orcid,
            "affiliation": creator.affiliation,
        }
    return {key: value for key, value in given.items() if value}


def _reference(source: SourceSettings) -> dict[str, Any]:
    given = {
        "doi": source.doi,
        "url": source.url,
        "license": source.licence if source.licence and is_listed(source.licence) else None,
    }
    return {
        "type": "data",
        "title": source.title,
        # The format needs an author.
        "authors": [{"name": source.attribution or source.title}],
        **{key: value for key, value in given.items() if value},
    }


def card_header(settings: RegionSettings, n_chips: Mapping[str, int]) -> str:
    """Return the YAML between two lines of dashes that Hugging Face reads at the start of ``README.md``.

    `n_chips` is the number of chips of each split. What nobody has said, such as a licence, is left out.
    """
    dataset, total = settings.dataset, sum(n_chips.values())
    size = next((name for name, (_, end) in zip(_NAMES, pairwise(_SIZES), strict=False) if total < end), _NAMES[-1])
    licence: dict[str, Any] = {}
    if dataset.licence is not None:
        licence["license"] = hugging_face_licence(dataset.licence)
        if licence["license"] == "other":
            licence["license_name"] = dataset.licence.lower()
            if page := words.licence_page(dataset):
                licence["license_link"] = page
    content = {
        **licence,
        "pretty_name": dataset.title or default_title(settings),
        "task_categories": ["image-segmentation"],
        "tags": list(dict.fromkeys([*dataset.keywords, "glaciers", "remote-sensing", "geospatial", "hdf5"])),
        "size_categories": [size],
        # Without this, the viewer would look for images.
        "configs": [
            {"config_name": "chips", "data_files": [{"split": "index", "path": "index.parquet"}], "default": True},
            {"config_name": "partitions", "data_files": [{"split": "catalog", "path": "catalog.parquet"}]},
        ],
    }
    return f"---\n{yaml_text(content)}---\n"
