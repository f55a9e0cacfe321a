"""Parquet tables read without their shapes, which needs pyarrow and pandas alone."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gcn_luigi.errors import InputError

# Columns of GeoParquet that hold shapes.
_SHAPES = ("geometry", "bbox")


def read_columns(path: Path) -> pd.DataFrame:
    """Read all columns of a table but its shapes; raise InputError if it is no Parquet file."""
    try:
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name not in _SHAPES]
        # By its pandas metadata, numbers and texts get the types that they were written with.
        table = file.read(names)
        table.validate(full=True)
        found: pd.DataFrame = table.to_pandas()
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise InputError(f"not a Parquet file: {error}", where=str(path), fix="build the table again") from error
    return found
