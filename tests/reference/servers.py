"""Servers on the loopback that are no scheduler."""

import socketserver
import threading
from contextlib import contextmanager

LOOPBACK = "127.0.0.1"


class Mail(socketserver.BaseRequestHandler):
    """Answers as a mail server does, which is no HTTP."""

    def handle(self):
        self.request.recv(100)
        self.request.sendall(b"220 mail.example.org ESMTP\r\n")


@contextmanager
def served(handler):
    """Serve on a free port while the block lasts; yield the port."""
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
