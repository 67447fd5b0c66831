"""`POST /api/v1/incidents` with text, complete, against the bare ceiling, in one run on one database server.

    python -m tests.performance.bench_intake [seconds] [connections]

Ours is `gridward serve` in one process (the worker apart, switched off here), the invented town, sentences that name
numbers, crossings and places of it. The bare ceiling is the least a server in the same framework can do: FastAPI,
uvicorn and psycopg, one INSERT, one nearest-line query and one NOTIFY in one transaction; once with plain
functions in threads and once with coroutines, the faster counts. One load client with open connections speaks
plain HTTP/1.1 to each in turns. Beside reports a second the CPU of server and database for each report is told,
which a busy machine changes less. Durability is PostgreSQL's own (fsync on) unless --no-fsync is given.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from pydantic import BaseModel

from api.cli.demonstration import SAMPLE_PASSWORD, load_demo
from api.cli.opening import seed
from api.migrate import migrate
from api.services import make_services
from fixtures.town import make_town
from tests.databases import TestCluster
from tests.web import GRIDWARD, free_port, wait_for

# As many connections as keep either server at work all the time: with 8 ours waits for its disk between batches.
SECONDS, CONNECTIONS, WARM_UP = 10.0, 64, 400
ROUNDS = 2
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PATH = "/api/v1/incidents"
BARE_INSERT = "insert into bare (description, body, at) values (%s, %s, now()) returning id"
BARE_NEAREST = "select id from segment where gone_at is null order by line_plane <-> st_makepoint(%s, %s) limit 1"
BARE_NOTIFY = "select pg_notify('bare', %s)"


class Asked(BaseModel):
    """What the bare ceiling reads."""

    channel: str
    description: str
    category: str | None = None


def bare_app(url: str, kind: str) -> Any:
    """The ceiling: the least application of FastAPI and psycopg that does the three statements."""
    from fastapi import FastAPI
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

    with psycopg.connect(url) as connection:
        x, y = connection.execute(
            "select avg(st_x(p)), avg(st_y(p)) from (select st_centroid(line_plane) p from segment) s"
        ).fetchone() or (0.0, 0.0)

    waiting: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url, min_size=4, max_size=10, open=False
    )
    plain = ConnectionPool(url, min_size=4, max_size=10, open=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        if kind == "async":
            await waiting.open(wait=True)
        else:
            plain.open(wait=True)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    if kind == "async":

        @app.post(PATH, status_code=201)
        async def report(asked: Asked) -> dict[str, Any]:
            async with waiting.connection() as connection:
                given = await connection.execute(
                    BARE_INSERT, (asked.description, asked.channel), prepare=True
                )
                number = (await given.fetchone() or (0,))[0]
                found = await connection.execute(BARE_NEAREST, (x, y), prepare=True)
                segment = (await found.fetchone() or (0,))[0]
                await connection.execute(BARE_NOTIFY, (str(number),), prepare=True)
            return {"number": number, "segment": segment}

    else:

        @app.post(PATH, status_code=201)
        def report_in_thread(asked: Asked) -> dict[str, Any]:
            with plain.connection() as connection:
                given = connection.execute(
                    BARE_INSERT, (asked.description, asked.channel), prepare=True
                ).fetchone()
                found = connection.execute(BARE_NEAREST, (x, y), prepare=True).fetchone()
                number = given[0] if given else 0
                connection.execute(BARE_NOTIFY, (str(number),), prepare=True)
            return {"number": number, "segment": found[0] if found else None}

    return app


def serve_bare(url: str, port: str, kind: str) -> None:
    """Runs the ceiling until it is ended."""
    import uvicorn

    uvicorn.run(bare_app(url, kind), port=int(port), log_level="warning", access_log=False)


async def send(
    port: int, token: str, bodies: list[bytes], seconds: float, connections: int, rate: float | None
) -> list[float]:
    """Seconds from sending to the whole answer, of every report; all connections as fast as they can, or `rate` a second."""
    took: list[float] = []
    begun = time.perf_counter()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = number
        while True:
            if rate is not None:
                # Told by the clock, not by the answer before: a slow answer is not forgiven.
                due = begun + turn / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent = due
            else:
                sent = time.perf_counter()
            if sent - begun > seconds:
                break
            body = bodies[turn % len(bodies)]
            writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 201"):
                raise AssertionError(answer + await reader.read(2000))
            length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - sent)
            turn += connections
        writer.close()

    await asyncio.gather(*(one(n) for n in range(connections)))
    return took


@dataclass
class Server:
    """One server under load: its process, port and what it did so far."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    token: str


@dataclass(frozen=True)
class Result:
    """Reports a second; CPU milliseconds a report of server and database; percentiles in milliseconds."""

    rate: float
    server_ms: float
    database_ms: float
    p50_ms: float
    p99_ms: float

    @property
    def cpu_ms(self) -> float:
        return self.server_ms + self.database_ms


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[k]) for k in (11, 12, 13, 14)) * TICK_S


def cpu_of_database(postmaster: int) -> float:
    """CPU seconds of PostgreSQL, ended and living processes."""
    total = cpu_of(postmaster)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == postmaster:
                    total += cpu_of(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total


def run(
    server: Server, postmaster: int, bodies: list[bytes], seconds: float, connections: int,
    rate: float | None = None,
) -> Result:  # fmt: skip
    before = cpu_of(server.process.pid), cpu_of_database(postmaster)
    begun = time.perf_counter()
    took = asyncio.run(send(server.port, server.token, bodies, seconds, connections, rate))
    wall = time.perf_counter() - begun
    after = cpu_of(server.process.pid), cpu_of_database(postmaster)
    p50, p99 = np.percentile(np.array(took) * 1000, [50, 99])
    count = len(took)
    return Result(
        count / wall, 1000 * (after[0] - before[0]) / count, 1000 * (after[1] - before[1]) / count,
        float(p50), float(p99),
    )  # fmt: skip


def told(name: str, found: Result) -> None:
    print(
        f"  {name:<26} {found.rate:7.1f}/s  CPU {found.cpu_ms:6.2f} ms (server {found.server_ms:.2f},"
        f" database {found.database_ms:.2f})  p50 {found.p50_ms:.1f} ms  p99 {found.p99_ms:.1f} ms",
        flush=True,
    )


def sentences(town: Any, count: int = 500) -> list[bytes]:
    """Reports by words with their category, as the invented town's people say them."""
    rows = town.incidents.head(count)
    return [
        json.dumps(
            {"channel": "hotline_12345", "category": row.category, "description": row.description},
            ensure_ascii=False,
        ).encode()
        for row in rows.itertuples()
    ]


def main(*arguments: str) -> None:
    given = [a for a in arguments if not a.startswith("--")]
    seconds = float(given[0]) if given else SECONDS
    connections = int(given[1]) if len(given) > 1 else CONNECTIONS
    home = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
    home.chmod(0o755)
    cluster = TestCluster(home)
    started: list[subprocess.Popen[bytes]] = []
    try:
        if "--no-fsync" not in arguments:
            with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
                connection.execute("alter system set fsync = on")
                connection.execute("select pg_reload_conf()")
        postmaster = int((cluster.cluster.data / "postmaster.pid").read_text().splitlines()[0])
        url = cluster.url(cluster.create())
        services = make_services(cluster.settings(url))
        migrate(services.engine)
        town = make_town(incident_count=600)
        with services.sessions() as session:
            seed(services, session)
            empty = replace(town, incidents=town.incidents.head(0))
            load_demo(services, session, empty, lambda *_: None, datetime.now(UTC))
            session.commit()
        services.engine.dispose()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "create table bare (id bigint generated always as identity primary key,"
                " description text, body text, at timestamptz)"
            )
            connection.execute("analyze")
        log = (home / "servers.log").open("ab")

        def start(name: str, command: Callable[[int], list[str]]) -> Server:
            port = free_port()
            env = {
                **os.environ,
                "GRIDWARD_DATABASE_URL": url,
                "GRIDWARD_HOME": str(home),
                "GRIDWARD_WORKER": "false",
            }
            process = subprocess.Popen(command(port), env=env, stdout=log, stderr=log)
            started.append(process)
            wait_for(f"http://127.0.0.1:{port}", process, home / "servers.log")
            return Server(name, process, port, "")

        here = [sys.executable, "-m", "tests.performance.bench_intake"]
        ours = start("ours", lambda port: [str(GRIDWARD), "serve", "--port", str(port)])
        ours.token = httpx.post(
            f"http://127.0.0.1:{ours.port}/api/v1/token",
            data={"username": "operator", "password": SAMPLE_PASSWORD},
        ).json()["access_token"]
        bare = [
            start(f"bare, {kind}", lambda port, kind=kind: [*here, "bare", url, str(port), kind])  # type: ignore[misc]
            for kind in ("sync", "async")
        ]
        bodies = sentences(town)
        for server in (ours, *bare):
            asyncio.run(send(server.port, server.token, bodies, WARM_UP / 200, connections, None))
        results: dict[str, list[Result]] = {}
        for _ in range(ROUNDS):
            for server in (ours, *bare):
                found = run(server, postmaster, bodies, seconds, connections)
                results.setdefault(server.name, []).append(found)
                told(server.name, found)
        mine = max(results["ours"], key=lambda r: r.rate)
        ceiling = max((r for s in bare for r in results[s.name]), key=lambda r: r.rate)
        least = min((r for s in bare for r in results[s.name]), key=lambda r: r.cpu_ms)
        own = min(results["ours"], key=lambda r: r.cpu_ms)
        calm = run(ours, postmaster, bodies, seconds, connections, mine.rate / 2)
        told("ours at half that load", calm)
        print(
            f"ratio by rate {mine.rate / ceiling.rate:.2f}, by CPU {least.cpu_ms / own.cpu_ms:.2f} (at least 0.35);"
            f" p99 at half load {calm.p99_ms:.0f} ms (under 100); {connections} connections,"
            f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(20)
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        serve_bare(*sys.argv[2:5])
    else:
        main(*sys.argv[1:])
