"""Places that are on no file system: nothing is built or read there, and a directory of such a name is never meant."""

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
    """Refuse a path that names a store, a web address or a file system inside GDAL.

    Parameters
    ----------
    text : str
        A path as the user wrote it.
    where : str
        The option or key.
    is_source : bool
        Whether something is read from there, not made.

    Raises
    ------
    ConfigError
        It is no path of this machine's file system.
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
