"""200 event streams on one server: from commit to screen, and nothing lost over a killed and restarted server.

    python -m tests.performance.bench_streams [streams] [reports]

The invented town, `gridward serve` as a process, readers of `/api/v1/live` that come back with their last id as a
browser does. Each report's time runs from the moment its answer has come (it is committed then, never earlier)
to the moment each reader has its event; half way the server is killed with SIGKILL and started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from api.cli.demonstration import SAMPLE_PASSWORD
from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings
from tests.commands import Commands
from tests.web import ServerProcess

STREAMS, REPORTS, PAUSE_S = 200, 120, 0.1
SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"


class Reader:
    """One console: numbers of incidents with the moment each was first heard of."""

    def __init__(self, port: int, token: str) -> None:
        self.heard: dict[str, float] = {}
        self._port, self._token, self._last = port, token, ""
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Reads until cancelled; comes back when the line is cut."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._read()
            self.connected.clear()
            await asyncio.sleep(0.5)

    async def _read(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        last = f"Last-Event-ID: {self._last}\r\n" if self._last else ""
        writer.write(
            f"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n{last}\r\n".encode()
        )
        try:
            while True:
                line = await reader.readline()
                if not line:
                    return
                if line.startswith(b": gridward"):
                    self.connected.set()
                elif line.startswith(b"id: "):
                    self._last = line[4:].strip().decode()
                elif line.startswith(b"data: "):
                    number = json.loads(line[6:]).get("number")
                    if number:
                        self.heard.setdefault(number, time.perf_counter())
        finally:
            writer.close()


async def report(client: httpx.AsyncClient, n: int) -> tuple[str, float]:
    """One report, tried again under its key until it is answered; its number and the moment of the answer."""
    body = {"channel": "hotline_12345", "category": "06042", "description": f"{SENTENCE} {n}"}
    while True:
        try:
            answer = await client.post(
                "/api/v1/incidents", json=body, headers={"Idempotency-Key": f"s{n}"}
            )
            if answer.status_code in (200, 201):
                return answer.json()["number"], time.perf_counter()
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.3)


async def measure(server: ServerProcess, token: str, streams: int, reports: int) -> None:
    readers = [Reader(server.port, token) for _ in range(streams)]
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    await asyncio.gather(*(reader.connected.wait() for reader in readers))
    committed: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {token}"}
    calm: list[str] = []
    async with httpx.AsyncClient(base_url=server.address, headers=headers, timeout=30) as client:
        for n in range(reports):
            number, at = await report(client, n)
            committed[number] = at
            if n < reports // 2:
                calm.append(number)
            if n == reports // 2:
                await asyncio.sleep(2)
                server.kill()
                await asyncio.to_thread(server.start)
            await asyncio.sleep(PAUSE_S)
        until = time.perf_counter() + 30
        while time.perf_counter() < until and any(
            committed.keys() - r.heard.keys() for r in readers
        ):
            await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    took: Any = [
        max(0.0, reader.heard[n] - committed[n])
        for reader in readers
        for n in calm
        if n in reader.heard
    ]
    lost = sum(len(committed.keys() - reader.heard.keys()) for reader in readers)
    p50, p99 = np.percentile(np.array(took) * 1000, [50, 99])
    print(
        f"{streams} streams, {reports} reports: commit to screen p50 {p50:.0f} ms, p99 {p99:.0f} ms (under 1000);"
        f" {lost} lost over the restart (0); load {os.getloadavg()[0]:.1f}"
    )


def main(streams: int = STREAMS, reports: int = REPORTS) -> None:
    home = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
    home.chmod(0o755)
    env = {"GRIDWARD_HOME": str(home), "GRIDWARD_WORKER": "false"}
    server = ServerProcess(env, home)
    try:
        run = Commands(env)
        run.well("demo", "--incidents", 0)
        run.close()
        server.start()
        token = httpx.post(
            f"{server.address}/api/v1/token",
            data={"username": "dispatcher", "password": SAMPLE_PASSWORD},
        ).json()["access_token"]
        asyncio.run(measure(server, token, streams, reports))
    finally:
        server.kill()
        Cluster(DatabaseSettings(home=home, database_url=None)).stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
