"""Server and workers killed at random while people make moves, PostgreSQL killed once in between.

Every answered move is there, once; every notice is sent or listed, none arrives twice. Here with 80 moves; the whole
run of the promise is `GRIDWARD_KILLED_MOVES=2000 pytest tests/acceptance/test_killed_moves.py`.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from api.services import make_services
from dispatch import contacts
from dispatch.contacts import Contact
from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings, Settings, TownSettings, WebSettings
from tests.partners import partners, wait_until
from tests.web import GRIDWARD, Office, ServerProcess

MOVES = int(os.environ.get("GRIDWARD_KILLED_MOVES", "80"))
STEPS = ("report", "accept_task", "arrive", "return_task")
THREADS = 6
NUMBER = re.compile(r"\d{8}-\d{6,}")
# So many kills of each; the whole run has more.
KILLS = 1 if MOVES < 1000 else 4


@pytest.fixture
def home() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="gridward-killed-"))
    made.chmod(0o755)
    yield made
    Cluster(DatabaseSettings(home=made, database_url=None)).stop()
    shutil.rmtree(made, ignore_errors=True)


class Worker:
    """`gridward worker`, killed and started again."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._env, self._log = {**os.environ, **env}, folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(GRIDWARD), "worker"], env=self._env, stdout=log, stderr=log
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)


class People:
    """Threads that each take an incident from report to return, asking again with the same key until answered."""

    def __init__(self, address: str, tokens: dict[str, str], point: tuple[float, float]) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()
        self.failed_tries = 0
        self.wrong: list[str] = []
        self._address, self._tokens, self._point = address, tokens, point
        self._waiting = list(range(MOVES // len(STEPS)))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(500)
        assert not any(thread.is_alive() for thread in self._threads), "moves are not answered"

    def _work(self) -> None:
        with httpx.Client(base_url=f"{self._address}/api/v1", timeout=30) as client:
            while True:
                with self._lock:
                    if not self._waiting or self.wrong:
                        return
                    which = self._waiting.pop()
                self._incident(client, which)

    def _incident(self, client: httpx.Client, which: int) -> None:
        lon, lat = self._point
        body = {"channel": "patrol", "category": "06042", "description": f"垃圾满溢 {which}",
                "location": {"lon": lon, "lat": lat, "datum": "wgs84"}}  # fmt: skip
        number = self._until_answered(client, "operator", "/incidents", body, f"r{which}", "report")
        for step in STEPS[1:]:
            asked = {"move": step} | ({"note": "not mine"} if step == "return_task" else {})
            path, key = f"/incidents/{number}/moves", f"{step}{which}"
            self._until_answered(client, "cleaner", path, asked, key, step)

    def _until_answered(
        self, client: httpx.Client, role: str, path: str, body: Any, key: str, step: str
    ) -> str:
        headers = {"Authorization": f"Bearer {self._tokens[role]}", "Idempotency-Key": key}
        while True:
            answer = None
            with contextlib.suppress(httpx.HTTPError):
                answer = client.post(path, json=body, headers=headers)
            if answer is not None and answer.status_code in (200, 201):
                number = str(answer.json()["number"])
                with self._lock:
                    self.answered[number, step] += 1
                return number
            with self._lock:
                self.failed_tries += 1
                if answer is not None and answer.status_code != 503:
                    self.wrong.append(f"{step}: {answer.status_code} {answer.text[:500]}")
                if self.wrong:
                    raise SystemExit
            time.sleep(0.2)


def gridward(env: dict[str, str], *arguments: str) -> None:
    """One command, which must go well."""
    done = subprocess.run(
        [str(GRIDWARD), *arguments], env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def in_random_order(kills: list[Callable[[], None]], done: Callable[[], int], seed: int) -> None:
    """Each kill when so many moves are answered: spread over the run, at moments that a seed gives."""
    chance = random.Random(seed)
    chance.shuffle(kills)
    moments = sorted(chance.sample(range(MOVES // 10, MOVES - MOVES // 10), len(kills)))
    for moment, kill in zip(moments, kills, strict=True):
        wait_until(lambda at=moment: done() >= at, 500)
        time.sleep(chance.random() * 0.05)
        kill()


def test_answered_moves_are_there_and_no_notice_comes_twice(home: Path) -> None:
    env = {
        "GRIDWARD_HOME": str(home),
        "GRIDWARD_WORKER": "false",
        "GRIDWARD_QUIET_HOURS": "",
        "GRIDWARD_DIGEST_SECONDS": "0",
        "GRIDWARD_RETRY_SECONDS": "0.2,0.2,0.2,0.2,0.2,0.2",
        "GRIDWARD_PRIVATE_NETWORKS": "127.0.0.0/8",
    }
    gridward(env, "demo", "--incidents", "0")
    database = DatabaseSettings(home=home, database_url=None)
    cluster, services = (
        Cluster(database),
        make_services(Settings(database, TownSettings(), WebSettings())),
    )
    server, worker = ServerProcess(env, home), Worker(env, home)
    server.start()
    with partners(phone={"slow_s": 0.01}) as made, httpx.Client(base_url=server.address) as client:
        office = Office(client, services)  # type: ignore[arg-type]  # asks alike
        with services.sessions() as session:
            cleaner = session.scalar(
                text("select staff_id from account where username = 'cleaner'")
            )
            for name, owner in (
                ("cleaner", {"staff_id": cleaner}),
                ("desk", {"role": "dispatcher"}),
            ):
                url = f"json://127.0.0.1:{made['phone'].port}/{name}"
                contact = Contact(kind="webhook", url=url, **owner)  # type: ignore[arg-type]
                contacts.add_contact(session, contact, services.settings.notices, datetime.now(UTC))
            session.commit()
        tokens = {role: office.token(role) for role in ("operator", "cleaner")}
        people = People(server.address, tokens, office.ground_of("cleaner"))
        services.engine.dispose()

        def kill_server() -> None:
            server.kill()
            server.start()

        def kill_worker() -> None:
            worker.kill()
            worker.start()

        def kill_database() -> None:
            postmaster = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(postmaster, signal.SIGKILL)
            cluster.start()

        def left() -> int:
            with services.sessions() as session:
                return int(session.scalar(text(
                    "select (select count(*) from notice where spread_at is null)"
                    " + (select count(*) from delivery where state in ('waiting', 'sending'))"
                )) or 0)  # fmt: skip

        worker.start()
        people.start()
        try:
            kills = [kill_server, kill_worker] * KILLS + [kill_database]
            in_random_order(kills, lambda: people.answered.total(), seed=MOVES)
            people.join()
            assert not people.wrong, people.wrong
            assert worker.process is not None
            assert worker.process.poll() is None, "the worker went with the database"
            wait_until(lambda: left() == 0, 300)
        finally:
            worker.kill(signal.SIGTERM)
            server.kill()
            services.engine.dispose()
        came = Counter(
            (path, number)
            for (_, body), path in zip(made["phone"].requests, made["phone"].paths, strict=True)
            for number in set(NUMBER.findall(body.decode()))
        )
    assert people.failed_tries > 0, "nothing was interrupted"
    assert len(people.answered) == MOVES
    with psycopg.connect(cluster.url()) as connection:
        lines = connection.execute(
            "select i.number, h.move, count(*) from history h join incident i on i.id = h.incident_id"
            " where h.move = any(%s) group by 1, 2",
            (list(STEPS),),
        ).fetchall()
        notices = connection.execute(
            "select i.number, n.kind, count(*) from notice n join incident i on i.id = n.incident_id"
            " group by 1, 2"
        ).fetchall()
        deliveries = connection.execute(
            "select d.target, i.number, d.state, coalesce(d.last_error, ''), count(*) from delivery d"
            " join notice n on n.id = d.notice_id join incident i on i.id = n.incident_id"
            " where d.target like 'contact:%%' group by 1, 2, 3, 4"
        ).fetchall()
    assert {(number, move): n for number, move, n in lines} == dict.fromkeys(people.answered, 1)
    offered = Counter({number: n for number, kind, n in notices if kind == "task_offered"})
    assert offered == Counter({number for number, _ in people.answered})
    # Sent or listed: nothing waits, and what is listed says why.
    states = Counter(state for _, _, state, _, n in deliveries for _ in range(n))
    assert set(states) <= {"sent", "uncertain", "given_up"}, states
    assert {error for _, _, state, error, _ in deliveries if state == "uncertain"} <= {
        "worker_died"
    }
    # None twice: no incident is heard of more often than it has notices for that listener.
    made_for = Counter({number: 0 for number, _ in people.answered})
    for _, number, _, _, n in deliveries:
        made_for[number] += n
    heard = Counter(number for (_, number), n in came.items() for _ in range(n))
    assert all(heard[number] <= made_for[number] for number in heard), "a notice came twice"
    assert heard.total() >= states["sent"], "a notice counts as sent and never came"
    gridward(env, "check", "--json")
    print(
        f"{MOVES} moves, {2 * KILLS + 1} kills, {people.failed_tries} tries failed; {dict(states)}"
    )
