"""Ask a store with obstore, and turn its errors into ours. The only module that imports obstore."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np

from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError, StoreError
from gcn_luigi.io.objects.address import Address
from gcn_luigi.io.objects.answers import Answer, Options, Version, changed, cut_short

# The process that first opened a store. The threads of obstore do not survive a fork, after which it waits forever.
_LOADED_IN = os.getpid()
# A failed request is repeated so often; a body that was cut is continued where it ended.
_RETRIES: Mapping[str, Any] = MappingProxyType({"max_retries": 3, "retry_timeout": timedelta(minutes=3)})
# However slow a network is, a request goes on as long as bytes come.
_CLIENT: Mapping[str, Any] = MappingProxyType({"timeout": "6h", "read_timeout": "20s", "connect_timeout": "5s"})
_ALLOW_HTTP: Mapping[str, str] = MappingProxyType({"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP"})
_CLASSES: Mapping[str, str] = MappingProxyType(
    {"s3": "S3Store", "gs": "GCSStore", "https": "HTTPStore", "http": "HTTPStore"}
)
# What is repeated of an error of the library: these, and no text of its own, which may name accounts and signatures.
_STATUS = re.compile(r"status(?: code)?:? (\d{3})\b")
_CODE = re.compile(r"<Code>([A-Za-z]{1,40})</Code>")
_PUBLIC = "ask whoever runs the server: only public files can be read by https://"
_OWN_MACHINE = ("169.254.169.254", "/latest/api/token", "/latest/meta-data", "/computeMetadata")
_CREDENTIALS: Mapping[str, str] = MappingProxyType({
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or AWS_SKIP_SIGNATURE=true for a "
    "public bucket",
    "gs": "set GOOGLE_SERVICE_ACCOUNT to the file of a key, or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
})  # fmt: skip


def works_here() -> bool:
    """Return whether obstore can be used in this process: not if a parent may have used it before a fork."""
    return os.getpid() == _LOADED_IN


class DirectAsker:
    """Asks a store in this process. Several threads can use it.

    Raises
    ------
    ConfigError
        obstore is not installed.
    StoreError
        The settings in the environment cannot be used.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._library, self._store = _opened(address)

    def ask(self, name: str, options: Options) -> Answer:
        """Return what the store answers."""
        with self._in_own_words(name):
            result = self._library.get(self._store, name, options=options)
            meta = result.meta
            version = Version(int(meta["size"]), meta["e_tag"], meta["last_modified"])
            return Answer(np.frombuffer(result.bytes(), np.uint8), int(result.range[0]), version)

    def close(self) -> None:
        """Do nothing: nothing runs between two requests."""

    @contextmanager
    def _in_own_words(self, name: str) -> Iterator[None]:
        """Raise errors of the library as ours. Their own text, which may name accounts and signatures, is dropped."""
        try:
            yield
        except (FileNotFoundError, self._library.exceptions.BaseError) as error:
            raise self._own_error(name, error) from None

    def _own_error(self, name: str, error: BaseException) -> GcnLuigiError:
        kinds, text, where = self._library.exceptions, str(error), self._address.of(name)
        code, status = _CODE.search(text), _STATUS.search(text)
        said = f" ({code.group(1)})" if code else f" (HTTP status {status.group(1)})" if status else ""
        if isinstance(error, FileNotFoundError):
            return _missing(is_bucket=code is not None and code.group(1) == "NoSuchBucket", where=where)
        if isinstance(error, kinds.PreconditionError):
            return changed(where)
        if status and status.group(1) == "416":
            return cut_short(where, "bytes are needed that are beyond its end")
        what = "the store cannot be reached, or its answer was cut off"
        more = ", AWS_REGION and AWS_ENDPOINT_URL" if self._address.scheme == "s3" else ""
        fix = f"check the network, the address{more}, and try again"
        # If the environment has no credentials, the library asks the machine itself for some.
        has_none = any(place in text for place in _OWN_MACHINE)
        if has_none or isinstance(error, (kinds.PermissionDeniedError, kinds.UnauthenticatedError)):
            what = "the store does not permit reading"
            fix = _CREDENTIALS.get(self._address.scheme, _PUBLIC)
            said = ": the environment has no credentials" if has_none else said
        elif isinstance(error, kinds.NotSupportedError):
            what = "the server sends whole files only, no ranges of bytes"
            fix = f"copy the dataset to this machine first: {self._address.copying}"
        return StoreError(f"{what}{said}", where=where, fix=fix)


def _missing(*, is_bucket: bool, where: str) -> GcnLuigiError:
    if is_bucket:
        return StoreError("there is no such bucket", where=where, fix="correct the address")
    return ShardError("there is no such object", where=where, fix="correct the address, or copy the file to the store")


def _opened(address: Address) -> tuple[Any, Any]:
    """Return the library, and its store for an address. Credentials are what the library finds in the environment."""
    try:
        library, stores = import_module("obstore"), import_module("obstore.store")
    except ImportError as error:
        raise ConfigError(
            f"reading from a store needs obstore, which is not installed ({error})",
            where=str(address),
            fix=f'pip install "gcn-luigi[remote]", or copy the dataset to this machine first: {address.copying}',
        ) from error
    allows_http = address.scheme == "http" or os.environ.get(_ALLOW_HTTP.get(address.scheme, ""), "").lower() == "true"
    kind = getattr(stores, _CLASSES[address.scheme])
    try:
        made = kind.from_url(
            address.url, client_options={**_CLIENT, "allow_http": allows_http}, retry_config=dict(_RETRIES)
        )
    except (library.exceptions.BaseError, ValueError):
        # Its text may hold what it found in the environment.
        raise StoreError(
            "the store cannot be opened with the settings in the environment",
            where=str(address),
            fix="check the address, the variables AWS_... or GOOGLE_..., and that obstore is 0.11 or newer",
        ) from None
    return library, made
