"""Serves the pages of a dataset over HTTP, for this machine only; the links in Luigi's page lead here."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from gcn_luigi.errors import GcnLuigiError, SchedulerError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.render import small_page
from gcn_luigi.report.served.pages import page_of

LOOPBACK = "127.0.0.1"
# Pages are self-contained: they may load nothing, and no other page may embed them.
_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@contextmanager
def serve_pages(paths: DatasetPaths, port: int = 0, composite: Sequence[str] = ()) -> Iterator[str]:
    """Serve the pages of a dataset, which need not be finished, on this machine's loopback while the block runs.

    Port 0 takes any free port. The function yields the address; ``<address>/<region>/`` lists the pages. The address
    contains a secret word, because other users of the machine can also reach its loopback. The server only sends the
    pages that `page_of` knows, with pictures of the bands `composite`, never a file by its name. Raises SchedulerError
    if the port is taken.
    """
    word = secrets.token_urlsafe(12)
    try:
        server = _Server((LOOPBACK, port), partial(_Handler, paths, word, composite))
    except OSError as error:
        raise SchedulerError(
            f"the pages cannot be served: {error.strerror}",
            where=f"http://{LOOPBACK}:{port}",
            fix="choose another port; 0 takes any free port",
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="gcn-pages", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}/{word}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """A server that ends with the program, and does not report browsers that close the connection."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: an error in a page is shown on the page."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the pages of a dataset."""

    server_version, sys_version = "gcn_luigi", ""
    # A client that sends nothing must not occupy a thread for ever.
    timeout = 30

    def __init__(self, paths: DatasetPaths, word: str, composite: Sequence[str], *args: Any) -> None:
        self._paths, self._word, self._composite = paths, word, composite
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send a page."""
        self._answer(self.wfile.write)

    def do_HEAD(self) -> None:
        """Send the headers of a page."""
        self._answer(lambda _: None)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Print nothing: the terminal belongs to the build."""

    def _answer(self, send: Callable[[bytes], Any]) -> None:
        status, text = self._page()
        content = text.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        send(content)

    def _page(self) -> tuple[HTTPStatus, str]:
        """Return the status and the requested page."""
        # A page on the network whose own host name leads here must not read our pages.
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in {LOOPBACK, "localhost"}:
            return HTTPStatus.FORBIDDEN, _message("Not for this address", "Use 127.0.0.1 or localhost in the address.")
        word, _, rest = urlsplit(self.path).path.lstrip("/").partition("/")
        region, _, name = rest.partition("/")
        if not secrets.compare_digest(word.encode(), self._word.encode()) or region != self._paths.root.name:
            return HTTPStatus.NOT_FOUND, _message("No such page", "Use the whole address, including its secret word.")
        try:
            text = page_of(self._paths, name, self._composite)
        except (GcnLuigiError, OSError) as error:
            # The file is being rebuilt, or was just removed.
            return HTTPStatus.SERVICE_UNAVAILABLE, _message("This page cannot be shown now", str(error))
        if text is None:
            return HTTPStatus.NOT_FOUND, _message(
                "No such page", "The page has not been made yet, or it has another name."
            )
        return HTTPStatus.OK, text


def _message(title: str, line: str) -> str:
    return small_page(title, lines=(line,))
