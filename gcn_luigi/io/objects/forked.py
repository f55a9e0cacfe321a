"""Ask a store in a forked process, where obstore does not work: a helper process, started anew, asks for it.

The helper gets one line of JSON per request and answers with one line of JSON and the bytes, in any order. It ends when
the process that started it does, because then its input ends.
"""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError, StoreError
from gcn_luigi.io.objects.address import Address
from gcn_luigi.io.objects.answers import LANES, Answer, Options, Version

_ERRORS: Mapping[str, type[GcnLuigiError]] = MappingProxyType(
    {kind.__name__: kind for kind in (ConfigError, ShardError, StoreError)}
)
_PROGRAM = "from gcn_luigi.io.objects.forked import serve; serve()"


class HelperAsker:
    """Asks a store by way of a process that was not forked. Several threads can use it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        # Modules come from where this process has them, and not from the working directory.
        places = os.pathsep.join(place for place in sys.path if place)
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and program
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": places},
            # Ctrl-C is for the process that reads; without it, the helper ends.
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise self._lost()
        self._to, self._lock = self._process.stdin, threading.Lock()
        self._waiting: dict[int, Future[Answer]] = {}
        self._numbers = itertools.count()
        self._send({"scheme": address.scheme, "url": address.url})
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def ask(self, name: str, options: Options) -> Answer:
        """Return what the store answers."""
        future: Future[Answer] = Future()
        number = next(self._numbers)
        self._waiting[number] = future
        if self._process.poll() is not None:
            raise self._lost()
        self._send({"number": number, "name": name, "options": options})
        return future.result()

    def close(self) -> None:
        """End the helper."""
        self._to.close()
        self._process.wait()

    def _send(self, content: Mapping[str, Any]) -> None:
        try:
            with self._lock:
                self._to.write(json.dumps(content).encode() + b"\n")
                self._to.flush()
        except OSError as error:
            raise self._lost() from error

    def _listen(self, answers: IO[bytes]) -> None:
        with answers:
            for line in answers:
                said = json.loads(line)
                future = self._waiting.pop(said["number"])
                if "error" in said:
                    kind, what, where, fix = said["error"]
                    future.set_exception(_ERRORS[kind](what, where=where, fix=fix))
                    continue
                content = np.frombuffer(answers.read(said["bytes"]), np.uint8)
                if len(content) != said["bytes"]:
                    future.set_exception(self._lost())
                    break
                version = Version(said["size"], said["etag"], datetime.fromisoformat(said["changed"]))
                future.set_result(Answer(content, said["start"], version))
        while self._waiting:
            self._waiting.popitem()[1].set_exception(self._lost())

    def _lost(self) -> StoreError:
        return StoreError(
            "the process that asks the store for this forked process ended",
            where=str(self._address),
            fix='run it again; a DataLoader with multiprocessing_context="spawn" needs no such process',
        )


def serve() -> None:
    """Answer requests of the process that started this one, until its end."""
    from gcn_luigi.io.objects.direct import DirectAsker  # noqa: PLC0415  as in the store

    asked, answered, lock = sys.stdin.buffer, sys.stdout.buffer, threading.Lock()
    address = Address(**json.loads(asked.readline()))
    askers: list[DirectAsker] = []

    def answer(request: Mapping[str, Any]) -> None:
        content: bytes | memoryview = b""
        try:
            if not askers:
                askers.append(DirectAsker(address))
            found = askers[0].ask(request["name"], request["options"])
        except GcnLuigiError as error:
            said: dict[str, Any] = {"error": [type(error).__name__, error.what, error.where, error.fix]}
        else:
            version, content = found.version, found.content.data
            said = {"size": version.size, "etag": version.etag, "changed": version.changed.isoformat()}
            said |= {"start": found.start, "bytes": len(found.content)}
        with lock:
            answered.write(json.dumps({"number": request["number"], **said}).encode() + b"\n")
            answered.write(content)
            answered.flush()

    with ThreadPoolExecutor(LANES) as pool:
        for line in asked:
            pool.submit(answer, json.loads(line))
        # Nobody waits for what is still being read.
        os._exit(0)
