"""Servers on loopback from which datasets are read: files by ranges over HTTP, with faults, and S3 as moto makes it."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

CODES = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 416: "InvalidRange", 503: "SlowDown"}
KEY, SECRET = "AKIATESTKEYOFNOBODY", "very-secret-text-of-nobody"


@dataclass
class FileServer:
    """A web server of the files below a directory, which notes each request and can misbehave.

    Attributes
    ----------
    asked : list
        Name, first byte and number of bytes of each request, in order.
    fault : str
        ``cut`` ends every body after half, ``cut once`` the first one; ``stall`` sends half and then nothing until the
        server ends; ``403`` and ``503`` are answered as such; ``whole`` ignores ranges; ``bare`` names no ETag,
        ``weak`` a weak one, and both ignore conditions.
    """

    root: Path
    port: int = 0
    fault: str = ""
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bytes_of(self, name: str) -> int:
        return sum(size for asked, _, size in self.asked if asked.endswith(name))


@contextmanager
def serving(root: Path) -> Iterator[FileServer]:
    """Serve the files below a directory until the end of the block."""
    state = FileServer(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            answer(self, state)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Whatever proxy is set, it is not for this machine.
            patch.setenv("no_proxy", "127.0.0.1")
            patch.setenv("NO_PROXY", "127.0.0.1")
            yield state
    finally:
        state.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def answer(to: BaseHTTPRequestHandler, state: FileServer) -> None:
    """Answer one request as RFC 9110 says, except for the fault that is wanted."""
    name = unquote(to.path).lstrip("/")
    path = state.root / name
    if state.fault in ("403", "503") or not path.is_file():
        state.asked.append((name, 0, 0))
        return short(to, int(state.fault) if state.fault in ("403", "503") else 404)
    content, changed = path.read_bytes(), path.stat().st_mtime
    etag = f'{"W/" if state.fault == "weak" else ""}"{path.stat().st_mtime_ns:x}-{len(content):x}"'
    condition = to.headers.get("If-Match")
    if condition and condition != etag and state.fault not in ("bare", "weak"):
        return short(to, 412)
    header = "" if state.fault == "whole" else to.headers.get("Range") or ""
    first, end = wanted(header, len(content))
    state.asked.append((name, first, end - first))
    if header and first >= end:
        return short(to, 416)
    to.send_response(206 if header else 200)
    to.send_header("Content-Length", str(end - first))
    if header:
        to.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(content)}")
    to.send_header("Last-Modified", formatdate(changed, usegmt=True))
    if state.fault != "bare":
        to.send_header("ETag", etag)
    to.end_headers()
    if state.fault == "stall":
        to.wfile.write(content[first : (first + end) // 2])
        to.wfile.flush()
        state.ended.wait()
        to.close_connection = True
        return None
    if state.fault.startswith("cut"):
        to.wfile.write(content[first : (first + end) // 2])
        to.close_connection = True
        state.fault = state.fault.removesuffix(" once") if state.fault == "cut" else ""
        return None
    to.wfile.write(content[first:end])
    return None


def short(to: BaseHTTPRequestHandler, code: int) -> None:
    """Answer with a code, and a text as of S3 with the key of the user."""
    text = f"<Error><Code>{CODES[code]}</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId>{SECRET}</Error>".encode()
    to.send_response(code)
    to.send_header("Content-Length", str(len(text)))
    to.end_headers()
    to.wfile.write(text)


def wanted(header: str, size: int) -> tuple[int, int]:
    """Return the first byte and the end that a header asks for."""
    if not header:
        return 0, size
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


@contextmanager
def s3(patch: pytest.MonkeyPatch) -> Iterator["object"]:
    """Run moto's S3 on loopback, and set the environment as a user would. Yield a client."""
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    patch.setenv("AWS_ACCESS_KEY_ID", KEY)
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("AWS_REGION", "us-east-1")
    patch.setenv("AWS_ALLOW_HTTP", "true")
    patch.setenv("no_proxy", "127.0.0.1")
    patch.setenv("NO_PROXY", "127.0.0.1")
    logger = logging.getLogger("werkzeug")
    before = logger.level
    logger.setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        yield boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    finally:
        running.stop()
        logger.setLevel(before)


def upload(client: object, root: Path, bucket: str, prefix: str) -> None:
    """Copy the files of a dataset into a bucket, which is made."""
    client.create_bucket(Bucket=bucket)
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix in (".h5", ".parquet", ".json"):
            client.put_object(
                Bucket=bucket, Key=f"{prefix}/{path.relative_to(root).as_posix()}", Body=path.read_bytes()
            )
