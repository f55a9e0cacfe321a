"""Tables of vector files whose texts are not in the encoding that the file claims."""

from pathlib import Path

import pandas as pd
import pyogrio

from gcn_luigi.errors import InputError

# In this order: UTF-8 accepts hardly any other text, ISO 8859-1 every one.
_OTHERS = ("utf-8", "cp1252", "iso-8859-1")
_NAMES = {"utf-8": "UTF-8", "cp1252": "Windows-1252", "iso-8859-1": "ISO 8859-1"}


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
    try:
        return _read(path, layer, None), ()
    except (UnicodeDecodeError, KeyError) as error:
        # KeyError: names of columns were decoded to others.
        if path.suffix.lower() != ".shp":
            raise InputError(
                f"holds text that is not UTF-8: {error}",
                where=str(path),
                fix="write the file again in UTF-8, or leave out the column",
            ) from error
    for encoding in _OTHERS:
        try:
            frame = _read(path, layer, encoding)
        except (UnicodeDecodeError, KeyError):
            continue
        return frame, (_note(frame, path, encoding),)
    raise InputError(
        "no encoding fits the texts of its table", where=str(path), fix="write the file again in UTF-8, with its .cpg"
    )


def _read(path: Path, layer: str | None, encoding: str | None) -> pd.DataFrame:
    table: pd.DataFrame = pyogrio.read_dataframe(path, layer=layer, use_arrow=False, encoding=encoding)
    return table


def _note(frame: pd.DataFrame, path: Path, encoding: str) -> str:
    texts = frame.select_dtypes(["object", "string"])
    strange = [
        str(name)
        for name in texts.columns
        if any(isinstance(value, str) and not value.isascii() for value in texts[name])
    ]
    cpg = next((file for file in (path.with_suffix(".cpg"), path.with_suffix(".CPG")) if file.exists()), None)
    claim = cpg.read_bytes()[:40].decode("ascii", "replace").strip() if cpg is not None else ""
    wrong = f"{cpg.name} says {claim}" if cpg is not None else "its table says otherwise"
    where = f"columns {', '.join(strange)}" if strange else "the table"
    return f"{where} read as {_NAMES[encoding]}, though {wrong}: correct the .cpg if these texts matter"
