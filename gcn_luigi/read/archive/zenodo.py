"""Lay out a dataset for a record of Zenodo, which holds files without directories and asks for metadata."""

import html
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcn_luigi.errors import listed
from gcn_luigi.io.publish.atomic import atomic_write, digest, sync
from gcn_luigi.io.publish.manifest import CHECKSUMS, ManifestEntry
from gcn_luigi.read.archive.packing import TAR, Packed, Say, check_free, checksums, pack
from gcn_luigi.read.dataset import Dataset

METADATA = "zenodo.json"
# What people read before they download the archive; each is also inside it.
_BESIDE = ("README.md", "CITATION.md", "CITATION.cff", "croissant.json", "datasheet.md")
# Zenodo's limit of one record without a request for more, in bytes.
MOST_BYTES = 50_000_000_000


def lay_out(directory: Path, out: Path, say: Say, *, with_pages: bool = False) -> tuple[Packed, list[str]]:
    """Write a directory of files that can be uploaded to one record of Zenodo as they are.

    It holds ``<region>.tar`` (see `gcn_luigi.read.archive.packing.pack`), the texts that people read first,
    ``zenodo.json`` with what the dataset knows of the record's metadata, and the checksums of all these files.

    Parameters
    ----------
    directory, out, say, with_pages
        See `gcn_luigi.read.archive.packing.pack`; `out` is a directory.

    Returns
    -------
    Packed, list of str
        What is in the tar file, and notes about what the record still lacks.

    Raises
    ------
    ConfigError, ShardError, PublishError
        As `gcn_luigi.read.archive.packing.pack` raises them.
    """
    root = Path(directory).resolve()
    check_free(out, root)
    description = Dataset(root).description
    with atomic_write(out) as temporary:
        temporary.mkdir()
        packed = pack(root, temporary / f"{description['region']}{TAR}", say, with_pages=with_pages)
        names = [file.path for file in packed.files if file.path in _BESIDE]
        if with_pages:
            names.append("report.html")
        for name in names:
            shutil.copyfile(root / name, temporary / name)
            sync(temporary / name)
        content, notes = deposit(description["configuration"], packed.digest)
        (temporary / METADATA).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        made = sorted(path for path in temporary.iterdir() if path.is_file())
        files = [ManifestEntry(path.name, path.stat().st_size, digest(path)) for path in made]
        (temporary / CHECKSUMS).write_text(checksums(files), encoding="utf-8")
    if packed.size > MOST_BYTES:
        notes.append(
            f"the archive has {packed.size / 1e9:,.1f} GB, and a record of Zenodo may hold {MOST_BYTES / 1e9:.0f} GB: "
            "ask Zenodo for more space before you upload it"
        )
    return packed, notes


def deposit(configuration: Mapping[str, Any], dataset_digest: str) -> tuple[dict[str, Any], list[str]]:
    """Return the metadata of a record as Zenodo's deposit API names them, and notes about what is not known.

    Nothing is invented: a field that neither ``[dataset]`` nor ``[sources]`` of the configuration gives is left out.

    Parameters
    ----------
    configuration : mapping
        The settings that the dataset was built with, from ``dataset.json``.
    dataset_digest : str
        Digest of the whole dataset, for the description.
    """
    said: Mapping[str, Any] = configuration.get("dataset", {})
    text = f"<p>{html.escape(said['description'])}</p>" if "description" in said else ""
    metadata: dict[str, Any] = {
        "upload_type": "dataset",
        **{key: said[key] for key in ("title", "version") if key in said},
        "description": f"{text}<p>Digest of gcn_luigi: {dataset_digest}</p>",
    }
    if creators := said.get("creators", ()):
        metadata["creators"] = [_creator(creator) for creator in creators]
    if "licence" in said and not said["licence"].startswith("LicenseRef-"):
        metadata["license"] = said["licence"].lower()
    if keywords := said.get("keywords", ()):
        metadata["keywords"] = list(keywords)
    if "released" in said:
        metadata["publication_date"] = said["released"]
    if "doi" in said:
        metadata["doi"] = said["doi"]
    if related := _related(configuration.get("sources", {})):
        metadata["related_identifiers"] = related
    wanted = {"title": "title", "creators": "creators", "license": "licence", "description": "description"}
    lacking = [key for field, key in wanted.items() if field not in metadata or (field == "description" and not text)]
    notes = [f"Zenodo asks for {listed(lacking)}: set them in [dataset], or fill them in"] if lacking else []
    return {"metadata": metadata}, notes


def _creator(said: Mapping[str, Any]) -> dict[str, str]:
    """Return a creator: Zenodo wants the family name of a person first."""
    is_person = "family_names" in said
    name = f"{said['family_names']}, {said['given_names']}" if is_person else said["name"]
    return {"name": name, **{key: said[key] for key in ("affiliation", "orcid") if key in said}}


def _related(sources: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the sources that have a DOI or an address, each once; the dataset is derived from them."""
    found = {str(said.get("doi") or said.get("url") or "") for said in sources.values()} - {""}
    return [{"identifier": one, "relation": "isDerivedFrom", "resource_type": "dataset"} for one in sorted(found)]
