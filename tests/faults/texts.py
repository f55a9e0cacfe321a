"""Broken settings: refused by key, or every key of the file is in force."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luigi.configuration import LuigiConfigParser
from pydantic import BaseModel

from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError
from gcn_luigi.luigi_host.cfg_check import check_files, known_sections
from gcn_luigi.params import import_params
from tests.faults.kind import Kind, Sample, must
from tests.integration.builds import CONFIG

_PARAMS = {
    "projection": "EPSG:3338",
    "resolution": "30",
    "image_chip_size": "128",
    "chip_step": 32,
    "image_tiles_dir": "data/optical",
    "topo_tiles_dir": "data/topo",
    "class_label_raster": "data/label.tif",
    "distance_raster": "data/distance.tif",
    "grid": "data/grid.shp",
    "rejects": "data/rejects.csv",
    "train_grid": "",
    "output_dir": "out",
    "vrt_dir": None,
    "colour": [1, 2.5, {"a": "ä\u0007"}],
}


def _toml_samples(_: Path) -> list[Sample]:
    return [Sample(path.stem, path.name, path.read_bytes()) for path in sorted(CONFIG.glob("*.toml"))]


def _toml(_: Path, tree: Path, sample: Sample) -> None:
    path = tree / sample.place
    settings = load_region(path).settings
    represented(tomllib.loads(path.read_text(encoding="utf-8")), settings, "")
    must(settings.region == path.stem, f"region {settings.region} in {path.name}")


def represented(said: Mapping[str, Any], held: BaseModel, place: str) -> None:
    """Raise WrongError unless every key that a file says is a setting, with the value that the file says."""
    for key, value in said.items():
        must(key in type(held).model_fields, f"{place}{key} is no setting and was accepted")
        _same(value, getattr(held, key), f"{place}{key}")


def _same(said: Any, held: Any, place: str) -> None:
    if isinstance(held, BaseModel):
        must(isinstance(said, Mapping), f"{place} = {said!r} became {held!r}")
        represented(said, held, f"{place}.")
    elif isinstance(said, Mapping):
        must(set(said) == set(held), f"{place} = {said!r} became {held!r}")
        for key, value in said.items():
            _same(value, held[key], f"{place}.{key}")
    elif isinstance(said, Sequence) and not isinstance(said, str):
        must(len(said) == len(held), f"{place} = {said!r} became {held!r}")
        for number, (one, other) in enumerate(zip(said, held, strict=True)):
            _same(one, other, f"{place}.{number}")
    elif isinstance(said, str) and not isinstance(held, str):
        # A number in quotes is understood.
        must(float(said) == float(held), f"{place} = {said!r} became {held!r}")
    else:
        must(said == held and isinstance(said, bool) == isinstance(held, bool), f"{place} = {said!r} became {held!r}")


def _params_samples(_: Path) -> list[Sample]:
    small = {key: _PARAMS[key] for key in ("projection", "resolution", "class_label_raster")}
    return [
        Sample("all keys", "params.json", json.dumps(_PARAMS, indent=2).encode()),
        Sample("few keys", "params.json", json.dumps(small).encode("utf-8-sig")),
    ]


def _params(_: Path, tree: Path, sample: Sample) -> None:
    text = import_params(tree / sample.place, "taken")
    path = tree / "taken.toml"
    path.write_text(text, encoding="utf-8")
    try:
        settings = load_region(path).settings
    except ConfigError as error:
        must(False, f"what was imported cannot be loaded: {error}")
        raise
    represented(tomllib.loads(text), settings, "")
    plain = json.loads((tree / sample.place).read_text(encoding="utf-8-sig"))
    for key, held in (("resolution", settings.lattice.pixel_size), ("image_chip_size", settings.chips.size)):
        if plain.get(key):
            must(float(plain[key]) == held, f"{key} = {plain[key]!r} became {held!r}")


def _luigi_samples(_: Path) -> list[Sample]:
    text = (CONFIG.parent / "luigi.cfg").read_text(encoding="utf-8")
    short = "[core]\nlog_level=INFO\n[gcn]\noutput_root = out\nthreads = 2\n[resources]\nio = 4\n"
    return [Sample("shipped", "luigi.cfg", text.encode()), Sample("short", "luigi.cfg", short.encode())]


def _luigi_cfg(_: Path, tree: Path, sample: Sample) -> None:
    path = tree / sample.place
    check_files([path])
    # Luigi's own reader: no section or option that it will hear is beyond what is known.
    heard = LuigiConfigParser()
    must(heard.read(path), "Luigi cannot read what was accepted")
    known = known_sections()
    for section in heard.sections():
        for option in heard.options(section) if section in known else ():
            must(option.replace("-", "_") in known[section], f"[{section}] {option} was accepted")


TOML = Kind(_toml_samples, _toml)
LUIGI_CFG = Kind(_luigi_samples, _luigi_cfg)
PARAMS = Kind(_params_samples, _params)
