"""Tables of vector files whose texts are not in the encoding that the file claims."""

import re
from pathlib import Path

import pandas as pd
import pyogrio

from gcn_luigi.errors import InputError

# In this order: UTF-8 accepts hardly any other text, the other one nearly every text.
_OTHERS = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}
# The table of a shapefile has one byte a letter, or a few; GDAL believes these claims and reads Chinese.
_IMPOSSIBLE = re.compile(r"(utf|ucs)[-_ ]?(2|4|16|32)", re.IGNORECASE)


def read_table(path: Path, layer: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read all rows and columns of a layer.

    The texts of a shapefile are in the encoding that its .cpg file names; where they are not, those of another one
    are tried. Other formats are UTF-8 by their own rule.

    Parameters
    ----------
    path : Path
        A vector file that pyogrio reads.
    layer : str or None
        The only one when None.

    Returns
    -------
    DataFrame, tuple of str
        With a geometry column where there is one; and a note where the encoding is another than claimed.

    Raises
    ------
    InputError
        A text of a file other than a shapefile is not UTF-8.
    """
    is_shapefile = path.suffix.lower() == ".shp"
    claim = _claim(path) if is_shapefile else ""
    try:
        if not _IMPOSSIBLE.match(claim):
            return _read(path, layer, None), ()
    except UnicodeDecodeError as error:
        if not is_shapefile:
            raise InputError(
                f"holds text that is not UTF-8, in {_undecodable(path, layer)}: {error}",
                where=str(path),
                fix="write the file again in UTF-8, or leave out what is named above",
            ) from error
    for encoding in _OTHERS:
        try:
            frame = _read(path, layer, encoding)
        except UnicodeDecodeError:
            continue
        return frame, (_note(frame, claim, encoding),)
    raise InputError(
        "no encoding fits the texts of its table", where=str(path), fix="write the file again in UTF-8, with its .cpg"
    )


def _read(path: Path, layer: str | None, encoding: str | None) -> pd.DataFrame:
    table: pd.DataFrame = pyogrio.read_dataframe(path, layer=layer, use_arrow=False, encoding=encoding)
    return table


def _undecodable(path: Path, layer: str | None) -> str:
    """Return which columns hold text that cannot be decoded."""
    bad = []
    try:
        for name in pyogrio.read_info(path, layer=layer)["fields"]:
            try:
                pyogrio.read_dataframe(path, layer=layer, columns=[name], read_geometry=False, use_arrow=False)
            except UnicodeDecodeError:
                bad.append(str(name))
    except UnicodeDecodeError:
        return "the names of its columns"
    return f"columns {', '.join(bad)}" if bad else "its table"


def _claim(path: Path) -> str:
    found = next((file for file in (path.with_suffix(".cpg"), path.with_suffix(".CPG")) if file.exists()), None)
    return "" if found is None else found.read_bytes()[:40].decode("ascii", "replace").strip()


def _note(frame: pd.DataFrame, claim: str, encoding: str) -> str:
    strange = [str(name) for name in frame.columns if any(_is_strange(value) for value in frame[name])]
    said = f"the .cpg file says {claim}: correct it" if claim else "its table says otherwise: add a .cpg file"
    columns = f"columns {', '.join(strange)}" if strange else "the table"
    return f"{columns} read as {_OTHERS[encoding]}, though {said} if these texts matter"


def _is_strange(value: object) -> bool:
    return isinstance(value, str) and not value.isascii()
