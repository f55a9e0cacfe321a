"""Refuse paths that are not on a file system of this machine. The program neither reads nor builds there."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from gcn_luigi.errors import ConfigError

# s3://bucket/x, and the same with one slash, because paths merge two slashes. A drive letter is not a scheme.
_SCHEME = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://|(?P<known>s3|gs|gcs|az|abfss?|https?|ftp|hdfs|oss|swift):/", re.IGNORECASE
)
# File systems inside GDAL: /vsis3/bucket/x.
_VIRTUAL = re.compile(r"/vsi(?P<store>[a-z0-9]+)(?:_streaming)?(?:/|$)", re.IGNORECASE)
# Commands that copy from and to a store.
COPY: Mapping[str, str] = MappingProxyType(
    {"s3": "aws s3 sync", "gs": "gcloud storage rsync -r", "gcs": "gcloud storage rsync -r", "az": "azcopy sync"}
)


def refuse_remote(text: str, *, where: str, is_source: bool = False) -> None:
    """Raise ConfigError for a path that names a store, a web address or a file system inside GDAL.

    `text` is the path as the user wrote it, `where` the option or key. `is_source` means that the path is read, not
    written.
    """
    found = _SCHEME.match(text) or _VIRTUAL.match(text)
    if found is None:
        return
    kind = next(name for name in found.groups() if name).lower()
    if kind == "file":
        fix = f"write only the path: /{text.partition(':')[2].lstrip('/')}"
    else:
        copy = COPY.get(kind, "rclone copy")
        store = text if "://" in text else "STORE"
        fetch = f"wget --recursive --no-parent {text}" if kind in ("http", "https") else f"{copy} {store} DIRECTORY"
        fix = (
            f"copy the files to this machine first, for example `{fetch}`, and name that directory"
            if is_source
            else f"name a directory on this machine, and copy the result afterwards, for example `{copy} "
            f"DIRECTORY {store}`"
        )
    what = "what is read must be" if is_source else "datasets must be built"
    raise ConfigError(f"{what} on a file system of this machine, but {text!r} is not on one", where=where, fix=fix)
