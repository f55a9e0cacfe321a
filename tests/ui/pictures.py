"""Pictures for the documentation: the same that the tests look at, kept where GCN_PICTURES says."""

import os
from pathlib import Path


def keep(name: str, content: bytes) -> None:
    """Write a picture, if pictures are asked for: `make pictures`."""
    directory = os.environ.get("GCN_PICTURES")
    if directory:
        path = Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
