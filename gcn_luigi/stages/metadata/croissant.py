"""Write ``croissant.json``: the dataset for machines, as Croissant 1.1 with the RAI and GeoCroissant vocabularies.

Specifications: docs.mlcommons.org/croissant, "Croissant Format" 1.1, "Croissant RAI" 1.0 and "GeoCroissant" 1.0.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from gcn_luigi.settings import CreatorSettings
from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.facts import Facts

CONFORMS_TO = (
    "http://mlcommons.org/croissant/1.1",
    "http://mlcommons.org/croissant/RAI/1.0",
    "http://mlcommons.org/croissant/geo/1.0",
)
# Terms of the Croissant vocabulary, which stand without a prefix.
_PLAIN = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
    "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform",
)  # fmt: skip
_CONTEXT: Mapping[str, Any] = MappingProxyType({
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "geocr": "http://mlcommons.org/croissant/geo/",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _PLAIN},
})  # fmt: skip
_FORMATS = {".h5": "application/x-hdf5", ".parquet": "application/x-parquet", ".json": "application/json"}
# Arrow types of the tables, in words of Croissant. Geometries have none, and are left out.
_TYPES = {
    **dict.fromkeys(("string", "large_string", "string_view"), "sc:Text"),
    **{f"int{bits}": f"cr:Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"cr:UInt{bits}" for bits in (8, 16, 32, 64)},
    "float": "cr:Float32",
    "double": "cr:Float64",
    "bool": "sc:Boolean",
}
# What Croissant calls the splits.
_SPLITS = {"train": "cr:TrainingSplit", "dev": "cr:ValidationSplit", "test": "cr:TestSplit"}
_COLUMNS = {
    "chip_id": "Id of the chip.",
    "split": "Split of the chip or partition.",
    "fold": "Fold of the cross-validation, from 0; missing where there is none.",
    "shard": "HDF5 file that holds the chip.",
    "shard_row": "Row of the chip in the arrays of its shard, from 0.",
    "partition": "Id of the partition.",
    "row": "First row, in pixels: of a chip in its partition, of a partition on the lattice.",
    "col": "First column, in pixels: of a chip in its partition, of a partition on the lattice.",
    "height": "Rows, in pixels.",
    "width": "Columns, in pixels.",
    "year": "Year of the composite.",
    "year_gap": "Years between outline and composite; -1 if no outline has a date.",
    "left": "West edge, in metres of the CRS.",
    "right": "East edge, in metres of the CRS.",
    "top": "North edge, in metres of the CRS.",
    "bottom": "South edge, in metres of the CRS.",
    "valid_label": "Share of pixels with a label, 0 to 1.",
    "valid_optical": "Share of pixels with all optical bands, 0 to 1.",
    "valid_topo": "Share of pixels with all topographic bands, 0 to 1.",
    "valid_share": "Share of pixels with all image bands, 0 to 1.",
    "used": "Whether chips are cut from the partition.",
    "reason": "Why the partition is not used.",
    "glacier_share": "Share of the partition inside outlines, 0 to 1.",
    "n_outlines": "Number of outlines.",
    "rgi_ids": "Ids of the glaciers, separated by semicolons, largest first.",
}


def croissant_text(facts: Facts, box: list[float]) -> str:
    """Return the text of ``croissant.json``. Equal facts give equal bytes.

    `box` is west, south, east and north of all chips, in degrees. What nobody has said, such as a licence, is left out
    and never invented; a validator then warns of it.
    """
    content = {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": facts.title,
        "description": facts.description,
        **_published(facts),
        **_responsible(facts),
        **_geographic(facts, box),
        "distribution": [_file(facts, path) for path in _described(facts)],
        "recordSet": list(_record_sets(facts)),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _described(facts: Facts) -> list[str]:
    return [*sorted(path for path in facts.files if path not in facts.shards), *facts.shards]


def _published(facts: Facts) -> dict[str, Any]:
    dataset, settings = facts.settings.dataset, facts.settings
    page = f"https://doi.org/{dataset.doi}" if dataset.doi else None
    derived = [
        {"@type": "prov:Entity", "prov:label": source.title, **({"url": page} if page else {})}
        for _, source in words.sources(settings)
        if source is not None
        for page in [words.source_page(source)]
    ]
    given = {
        "creator": [_creator(one) for one in dataset.creators],
        "license": words.licence_page(dataset),
        "url": dataset.url or page,
        "identifier": page,
        "version": dataset.version,
        "datePublished": dataset.released,
        "citeAs": words.citation(dataset, facts.title),
        "creditText": "; ".join(words.credits(settings)),
        "prov:wasDerivedFrom": derived,
    }
    keywords = [*dataset.keywords, "glaciers", "remote sensing", "semantic segmentation"]
    return {
        "keywords": list(dict.fromkeys(keywords)),
        "temporalCoverage": f"{facts.years[0]}-01-01/{facts.years[-1]}-12-31",
        **{key: value for key, value in given.items() if value},
    }


def _creator(creator: CreatorSettings) -> dict[str, Any]:
    given = {
        "givenName": creator.given_names,
        "familyName": creator.family_names,
        "url": f"https://orcid.org/{creator.orcid}" if creator.orcid else None,
    }
    of = {"affiliation": {"@type": "sc:Organization", "name": creator.affiliation}} if creator.affiliation else {}
    return {
        "@type": "sc:Person" if creator.is_person else "sc:Organization",
        "name": creator.full_name,
        **{key: value for key, value in given.items() if value},
        **of,
    }


def _responsible(facts: Facts) -> dict[str, Any]:
    """Return the RAI vocabulary: what the build knows, and what people answered in ``[datasheet]``."""
    said, settings = facts.settings.datasheet, facts.settings
    answered = {
        "rai:dataUseCases": [text for text in (said.uses,) if text],
        "rai:dataBiases": [text for text in (said.biases,) if text],
        "rai:dataSocialImpact": said.impact,
        "rai:personalSensitiveInformation": [text for text in (said.personal,) if text],
        "rai:dataReleaseMaintenancePlan": said.maintenance,
    }
    collected = " ".join(text for text in (words.collection(facts), said.collection) if text)
    tools = [] if settings.label.made_from == "raster" else ["gcn_luigi"]
    limits = [*words.known_limits(facts), *(text for text in (said.limitations, said.not_for) if text)]
    return {
        "rai:dataCollection": collected,
        "rai:dataCollectionType": ["Secondary Data analysis", "Software Collection"],
        "rai:dataCollectionTimeframe": [f"{facts.years[0]}-01-01", f"{facts.years[-1]}-12-31"],
        "rai:dataPreprocessingProtocol": words.preprocessing(facts),
        "rai:dataImputationProtocol": words.missing(settings),
        "rai:dataAnnotationProtocol": [words.annotation(settings), *([said.annotation] if said.annotation else [])],
        "rai:dataLimitations": limits,
        **({"rai:machineAnnotationTools": tools} if tools else {}),
        **{key: value for key, value in answered.items() if value},
    }


def _geographic(facts: Facts, box: list[float]) -> dict[str, Any]:
    west, south, east, north = box
    steps = {later - earlier for earlier, later in zip(facts.years, facts.years[1:], strict=False)}
    names = [band.name for band in facts.settings.schema_bands.image]
    regular = {"geocr:temporalResolution": _quantity(steps.pop(), "year")} if len(steps) == 1 else {}
    return {
        "spatialCoverage": {
            "@type": "sc:Place",
            "geo": {"@type": "sc:GeoShape", "box": f"{south} {west} {north} {east}"},
        },
        "geocr:coordinateReferenceSystem": facts.crs,
        "geocr:spatialResolution": _quantity(facts.pixel_size, "m"),
        "geocr:bandConfiguration": {
            "@type": "geocr:BandConfiguration",
            "geocr:totalBands": len(names),
            "geocr:bandNameList": names,
        },
        "geocr:samplingStrategy": words.sampling(facts),
        "geocr:spatialBias": words.spatial_bias(facts, box),
        **regular,
    }


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"@type": "sc:QuantitativeValue", "value": value, "unitText": unit}


def _file(facts: Facts, path: str) -> dict[str, Any]:
    entry = facts.files[path]
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{entry.size} B",
        "encodingFormat": _FORMATS[PurePosixPath(path).suffix],
        "sha256": entry.sha256,
    }


def _record_sets(facts: Facts) -> Iterator[dict[str, Any]]:
    known = [split for split in facts.splits if split in _SPLITS]
    yield {
        **_head("splits", "The splits.", "cr:Split"),
        "key": {"@id": "splits/name"},
        "field": [_field("splits", "name", "sc:Text"), _field("splits", "url", "sc:URL")],
        "data": [{"splits/name": split, "splits/url": _SPLITS[split]} for split in known],
    }
    columns = {"name": "sc:Text", "value": "cr:UInt8", "title": "sc:Text", "glacier": "sc:Boolean"}
    classes = [{key: getattr(one, key) for key in columns} for one in facts.settings.class_table]
    yield _inline(
        "classes", "The classes of the label, by stored value; 255 is a pixel without a class.", columns, classes
    )
    columns = {"index": "cr:Int32", "name": "sc:Text", "role": "sc:Text", "unit": "sc:Text", "description": "sc:Text"}
    bands = [
        {"index": place, **{key: str(getattr(band, key)) for key in list(columns)[1:]}}
        for place, band in enumerate(facts.settings.schema_bands.image)
    ]
    yield _inline("bands", "The bands of the images, in the order in which the shards hold them.", columns, bands)
    yield _table(
        facts,
        "chips",
        "index.parquet",
        "chip_id",
        f"One record per chip. {words.pixels(facts.settings)} The column shard names the HDF5 file. "
        "Croissant cannot address arrays in HDF5, so they have no fields.",
    )
    yield _table(
        facts, "partitions", "catalog.parquet", "partition", "One record per partition, also those that are not used."
    )


def _head(name: str, description: str, data_type: str | None = None) -> dict[str, Any]:
    kind = {} if data_type is None else {"dataType": data_type}
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": description, **kind}


def _field(record_set: str, name: str, data_type: str) -> dict[str, Any]:
    about = _COLUMNS.get(name)
    if about is None and name.startswith("share_"):
        about = f"Share of pixels of the class {name.removeprefix('share_')}, 0 to 1."
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "dataType": data_type,
        **({"description": about} if about else {}),
    }


def _inline(name: str, about: str, columns: Mapping[str, str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_head(name, about),
        "key": {"@id": f"{name}/name"},
        "field": [_field(name, column, kind) for column, kind in columns.items()],
        "data": [{f"{name}/{key}": value for key, value in row.items()} for row in rows],
    }


def _table(facts: Facts, name: str, file: str, key: str, about: str) -> dict[str, Any]:
    """Return the records of a Parquet file: one field for each of its columns, except for geometries."""
    fields = []
    for column, kind in facts.columns[file].items():
        if kind not in _TYPES:
            continue
        field = _field(name, column, _TYPES[kind])
        field["source"] = {"fileObject": {"@id": file}, "extract": {"column": column}}
        if column == "split" and name == "chips":
            field["references"] = {"field": {"@id": "splits/name"}}
        fields.append(field)
    return {**_head(name, about), "key": {"@id": f"{name}/{key}"}, "field": fields}
