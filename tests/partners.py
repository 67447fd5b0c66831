"""Fake partners: local HTTP servers that answer well, slowly, wrongly at first, never, or hang up."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Partner:
    """One fake partner: how it answers, and every request it took."""

    def __init__(
        self, *, status: int = 200, fail_first: int = 0, slow_s: float = 0.0, hangs: bool = False
    ) -> None:
        self.status, self.fail_first, self.slow_s, self.hangs = status, fail_first, slow_s, hangs
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.let_go = threading.Event()
        self._lock = threading.Lock()
        partner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status = partner.take(self.path, dict(self.headers), body)
                if status is None:
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_port)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int | None:
        """Keeps a request; returns the status to answer with, None for no answer."""
        with self._lock:
            self.requests.append(({k.lower(): v for k, v in headers.items()}, body))
            self.paths.append(path)
            count = len(self.requests)
        if self.hangs:
            self.let_go.wait(60)
            return None
        time.sleep(self.slow_s)
        return 500 if count <= self.fail_first else self.status

    @property
    def url(self) -> str:
        """As an Apprise URL."""
        return f"json://127.0.0.1:{self.port}/in"

    @property
    def http(self) -> str:
        """As a plain URL."""
        return f"http://127.0.0.1:{self.port}/in?key=1"

    def bodies(self) -> list[dict[str, Any]]:
        """What came, read as JSON."""
        return [json.loads(body) for _, body in self.requests]

    def text(self) -> str:
        """Everything that came, as one text."""
        return "\n".join(body.decode() for _, body in self.requests)

    def close(self) -> None:
        """Goes away."""
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def partners(**kinds: dict[str, Any]) -> Iterator[dict[str, Partner]]:
    """Several partners by name."""
    made = {name: Partner(**options) for name, options in kinds.items()}
    try:
        yield made
    finally:
        for partner in made.values():
            partner.close()


def wait_until(holds: Any, seconds: float = 60.0) -> None:
    """Returns when `holds()` is true; fails after a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
