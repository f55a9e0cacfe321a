"""Parquet tables read without their shapes, which needs pyarrow and pandas alone."""

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gcn_luigi.errors import InputError

# Columns of GeoParquet that hold shapes.
_SHAPES = ("geometry", "bbox")


def read_columns(path: Path | io.BytesIO) -> pd.DataFrame:
    """Read all columns of a table but its shapes, from a file or its bytes; raise InputError if it is no Parquet."""
    try:
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name not in _SHAPES]
        # By its pandas metadata, numbers and texts get the types that they were written with.
        table = file.read(names)
        table.validate(full=True)
        found: pd.DataFrame = table.to_pandas()
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        where = str(path) if isinstance(path, Path) else "a table from a store"
        raise InputError(f"not a Parquet file: {error}", where=where, fix="build the table again") from error
    return found


def write_columns(path: Path, frame: pd.DataFrame, metadata: Mapping[str, str]) -> None:
    """Write a table with zstd, without its index, and with texts as metadata of the file, by key. NaN becomes null."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    pq.write_table(table, path, compression="zstd")


def read_metadata(path: Path, key: str) -> str:
    """Return a text that `write_columns` stored with a table; raise InputError if the file has none."""
    try:
        return str(pq.read_schema(path).metadata[key.encode()].decode())
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise InputError(f"has no metadata {key!r}: {error}", where=str(path), fix="build the table again") from error
