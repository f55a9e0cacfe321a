"""The address of a dataset in an object store, and which addresses can be read."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.objects.remote import COPY

# A drive letter is not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# A path merges two slashes into one, so an address that was made a path is no longer an address.
_MERGED = re.compile(r"(s3|gs|https?|file|memory):/(?!/)", re.IGNORECASE)
# File systems inside GDAL: /vsis3/bucket/x.
_VIRTUAL = re.compile(r"/vsi[a-z0-9_]+(?:/|$)", re.IGNORECASE)
_SCHEMES = ("s3", "gs", "https", "http")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OPENED = "s3://BUCKET/REGION, gs://BUCKET/REGION, https://SERVER/REGION, or a directory on this machine"


@dataclass(frozen=True)
class Address:
    """Where a dataset is in a store, such as ``s3://bucket/region``. It holds no user name, password or signature.

    Attributes
    ----------
    scheme : {"s3", "gs", "https", "http"}
        How the store is asked.
    url : str
        The whole address, without a slash at its end.
    """

    scheme: str
    url: str

    def __str__(self) -> str:
        return self.url

    def of(self, name: str) -> str:
        """Return the address of a file of the dataset, which has forward slashes in its name."""
        return f"{self.url}/{name}"

    @property
    def copying(self) -> str:
        """A command that copies the dataset to a directory on this machine."""
        if self.scheme in COPY:
            return f"{COPY[self.scheme]} {self.url} DIRECTORY"
        return f"wget --recursive --no-parent --no-host-directories {self.url}/"


def address_of(text: str, *, where: str) -> Address | str:
    """Return the address that `text` is, or a path on this machine: `text` itself, or that of a ``file://`` address.

    `where` is the function or option that got the text. Nothing is asked of a store.

    Raises
    ------
    ConfigError
        The address is of another kind, or incomplete; it holds a password, a key or a signature; or it is ``http://``
        of another machine.
    """
    found = _SCHEME.match(text)
    if found is None:
        _refuse_lookalike(text, where)
        return text
    scheme = found.group(1).lower()
    try:
        parts = urlsplit(text)
        host, path, has_secret = parts.hostname or "", parts.path.rstrip("/"), "@" in parts.netloc
    except ValueError as error:
        raise ConfigError(f"this {scheme}:// address cannot be understood", where=where, fix=_OPENED) from error
    if scheme == "file":
        if host not in ("", "localhost"):
            raise ConfigError(
                f"{host} is another machine", where=where, fix="write file:///DIRECTORY, or only the path"
            )
        return unquote(parts.path)
    if scheme not in _SCHEMES:
        raise ConfigError(f"datasets cannot be read from {scheme}://", where=where, fix=f"name {_OPENED}")
    if has_secret or parts.query or parts.fragment:
        # The text is not repeated, because a message may end in a log.
        raise ConfigError(
            f"the {scheme}:// address of {host.rpartition('@')[2]} has a user name, a password, ? or #",
            where=where,
            fix="give the address alone; credentials are taken from the environment",
        )
    if not host or any(part in (".", "..") for part in path.split("/")) or not path.isprintable():
        raise ConfigError(f"this {scheme}:// address cannot be understood", where=where, fix=f"name {_OPENED}")
    if scheme == "http" and host not in _LOOPBACK:
        raise ConfigError(
            "http:// is not protected: anyone on the way can put other chips in the place of yours",
            where=where,
            fix=f"use https://{parts.netloc}{path}, or copy the dataset to this machine first",
        )
    return Address(scheme, f"{scheme}://{parts.netloc}{path}")


def _refuse_lookalike(text: str, where: str) -> None:
    if _VIRTUAL.match(text):
        raise ConfigError(f"{text!r} is a place inside GDAL", where=where, fix=f"name {_OPENED}")
    if merged := _MERGED.match(text):
        raise ConfigError(
            f"{merged.group()}... is an address that lost one of its two slashes",
            where=where,
            fix="give the address as a text: a Path merges its slashes",
        )
