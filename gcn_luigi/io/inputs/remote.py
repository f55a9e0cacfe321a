"""Paths that are on no file system of this machine: nothing is built or read there."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from gcn_luigi.errors import ConfigError

# s3://bucket/x; also with the one slash that is left of two in a path. A drive letter is no scheme.
_SCHEME = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://|(?P<known>s3|gs|gcs|az|abfss?|https?|ftp|hdfs|oss|swift):/", re.IGNORECASE
)
# File systems inside GDAL: /vsis3/bucket/x.
_VIRTUAL = re.compile(r"/vsi(?P<store>[a-z0-9]+)(?:_streaming)?(?:/|$)", re.IGNORECASE)
_COPY: Mapping[str, str] = MappingProxyType(
    {"s3": "aws s3 sync", "gs": "gcloud storage rsync -r", "gcs": "gcloud storage rsync -r", "az": "azcopy sync"}
)


def refuse_remote(text: str, *, where: str, is_source: bool = False) -> None:
    """Raise ConfigError for a path that names a store, a web address or a file system inside GDAL.

    `text` is the path as the user wrote it, `where` the option or key; `is_source` says that it is read, not written.
    """
    found = _SCHEME.match(text) or _VIRTUAL.match(text)
    if found is None:
        return
    kind = next(name for name in found.groups() if name).lower()
    if kind == "file":
        fix = f"write the path alone: /{text.partition(':')[2].lstrip('/')}"
    else:
        copy = _COPY.get(kind, "rclone copy")
        store = text if "://" in text else "STORE"
        fix = (
            f"copy the files here first, for example `{copy} {store} DIRECTORY`, and name that directory"
            if is_source
            else f"name a directory of this machine, and copy what is made there afterwards, for example `{copy} "
            f"DIRECTORY {store}`"
        )
    what = "sources are read from" if is_source else "datasets are made on"
    raise ConfigError(f"{what} a file system of this machine, and {text!r} is on none", where=where, fix=fix)
