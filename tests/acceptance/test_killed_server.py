"""A server, and then its database, killed in the middle of many reports: what was answered is there, once."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings
from tests.commands import Commands
from tests.web import ServerProcess

REPORTS = 500
THREADS = 6
KILL_SERVER_AFTER, KILL_DATABASE_AFTER = 120, 300


@pytest.fixture
def home() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="gridward-killed-"))
    made.chmod(0o755)
    yield made
    Cluster(DatabaseSettings(home=made, database_url=None)).stop()
    shutil.rmtree(made, ignore_errors=True)


class Senders:
    """Threads that each send reports until every one is answered, with the same key again after a failure."""

    def __init__(self, address: str, token: str) -> None:
        self.answered: dict[str, str] = {}
        self.created: set[str] = set()
        self.failed_tries = 0
        self._address, self._token = address, token
        self._waiting = [f"report-{n}" for n in range(REPORTS)]
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(300)
        assert not any(thread.is_alive() for thread in self._threads), "reports are not answered"

    def until(self, count: int) -> None:
        """Waits until so many are answered."""
        end = time.monotonic() + 120
        while len(self.answered) < count:
            assert time.monotonic() < end, f"only {len(self.answered)} answered"
            time.sleep(0.005)

    def _send(self) -> None:
        with httpx.Client(
            base_url=self._address, headers={"Authorization": f"Bearer {self._token}"}, timeout=30
        ) as client:
            while True:
                with self._lock:
                    if not self._waiting:
                        return
                    key = self._waiting.pop()
                self._one(client, key)

    def _one(self, client: httpx.Client, key: str) -> None:
        body = {"channel": "hotline_12345", "category": "06042",
                "description": f"永胜路与站前路交叉口垃圾满溢 {key}"}  # fmt: skip
        while True:
            try:
                answer = client.post(
                    "/api/v1/incidents", json=body, headers={"Idempotency-Key": key}
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code in (200, 201):
                with self._lock:
                    self.answered[key] = answer.json()["number"]
                return
            if answer is not None:
                assert answer.status_code == 503, answer.text
            with self._lock:
                self.failed_tries += 1
            time.sleep(0.2)


def test_every_report_that_was_answered_is_there_exactly_once(home: Path) -> None:
    env = {"GRIDWARD_HOME": str(home)}
    run = Commands(env)
    run.well("demo", "--incidents", 0)
    run.close()
    server = ServerProcess(env, home)
    server.start()
    token = httpx.post(
        f"{server.address}/api/v1/token",
        data={"username": "operator", "password": "gridward-demo"},
    ).json()["access_token"]
    senders = Senders(server.address, token)
    senders.start()
    try:
        senders.until(KILL_SERVER_AFTER)
        server.kill()
        answered_before = dict(senders.answered)
        server.start()
        senders.until(KILL_DATABASE_AFTER)
        cluster = Cluster(DatabaseSettings(home=home, database_url=None))
        postmaster = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        cluster.start()
        senders.join()
    finally:
        server.kill()
    assert senders.failed_tries > 0, "nothing was interrupted"
    assert len(senders.answered) == REPORTS
    assert len(set(senders.answered.values())) == REPORTS
    with psycopg.connect(cluster.url()) as connection:
        stored = dict(connection.execute("select idempotency_key, number from incident").fetchall())
        tasks = connection.execute(
            "select count(*), count(distinct incident_id) from task"
        ).fetchone()
        lines = connection.execute(
            "select count(*), min(n), max(n) from (select count(*) as n from history"
            " group by incident_id) h"
        ).fetchone()
    by_key = {key.rpartition("|")[2]: number for key, number in stored.items()}
    assert by_key == senders.answered
    assert all(by_key[key] == number for key, number in answered_before.items())
    assert tasks == (REPORTS, REPORTS)
    assert lines == (REPORTS, 5, 5)
    again = Commands(env)
    checked = again("check", "--json")
    again.close()
    assert checked.code == 0, checked.out
