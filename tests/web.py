"""A web side for tests: a client on given services, signed in by role, and a real server in a thread or process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import make_app
from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services

GRIDWARD = Path(sys.executable).parent / "gridward"
START_SECONDS = 180


class Office:
    """A client on an application, with a token for each role of the invented town."""

    def __init__(self, client: TestClient, services: Services) -> None:
        self.client, self.services = client, services
        self._tokens: dict[str, str] = {}

    def token(self, role: str) -> str:
        """A bearer token of the account of that name."""
        if role not in self._tokens:
            answer = self.client.post(
                "/api/v1/token", data={"username": role, "password": SAMPLE_PASSWORD}
            )
            assert answer.status_code == 200, answer.text
            self._tokens[role] = answer.json()["access_token"]
        return self._tokens[role]

    def ask(self, role: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """One request as a role, or as nobody."""
        headers = dict(options.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.token(role)}"
        answer: httpx.Response = self.client.request(
            method, f"/api/v1{path}", headers=headers, **options
        )
        return answer

    def get(self, role: str | None, path: str, **options: Any) -> httpx.Response:
        return self.ask(role, "GET", path, **options)

    def post(self, role: str | None, path: str, body: Any, **options: Any) -> httpx.Response:
        return self.ask(role, "POST", path, json=body, **options)

    def ground_of(self, username: str) -> tuple[float, float]:
        """The middle of the longest segment that a crew member's own grid holds."""
        with self.services.sessions() as session:
            row = session.execute(
                text(
                    "select st_x(m), st_y(m) from account a join post_holding p"
                    " on p.staff_id = a.staff_id and upper_inf(p.valid)"
                    " join grid_segment h on h.grid_id = p.grid_id and upper_inf(h.valid)"
                    " join segment s on s.id = h.segment_id"
                    " cross join lateral st_lineinterpolatepoint(s.line, 0.5) m"
                    " where a.username = :name order by s.length_m desc limit 1"
                ),
                {"name": username},
            ).one()
        return row[0], row[1]


@contextlib.contextmanager
def office(services: Services) -> Iterator[Office]:
    """A client on `services`, live feed and all."""
    with TestClient(make_app(services), raise_server_exceptions=False) as client:
        yield Office(client, services)


@contextlib.contextmanager
def server_thread(services: Services) -> Iterator[str]:
    """A real server on `services` in a thread; yields its address."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(make_app(services), port=port, log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    wait_for(address)
    yield address
    server.should_exit = True
    thread.join(60)


class ServerProcess:
    """`gridward serve` as a process of its own; may be killed and started again."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._env, self._log = {**os.environ, **env}, folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts and returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(GRIDWARD), "serve", "--port", str(self.port), "--log-level", "warning"],
                env=self._env, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self.address, self._process, self._log)

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """As Ctrl-C would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def wait_for(
    address: str,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
    path: str = "/readyz",
) -> None:
    """Returns when the server is ready; fails with its last words when it has gone."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}{path}", timeout=5).status_code == 200:
                return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    words = log.read_text()[-2000:] if log else ""
    raise AssertionError(f"the server does not answer: {words}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
