"""The worker: spreads notices, sends them, runs jobs. In `gridward serve`, or alone as `gridward worker`.

Any number may run on one database. A worker holds an advisory lock on its id; when it is killed the lock
goes with its connection, and the others see to what it left. It is woken by the same notification that
wakes the consoles, so that a report pays no statement for it. When a part of it dies the whole worker
says so and begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from sqlalchemy import text

from api.jobs import PERIODIC, Job, defer_due, job_app, take_up_stalled
from api.sending import Sending
from api.services import Services
from dispatch import notice_queue
from dispatch.duplicates import rules_of
from dispatch.incidents import LIVE_CHANNEL
from dispatch.notice_queue import WORKER_LOCK, Batch
from dispatch.notices import spread
from grid.core.database import database_url

LOG = logging.getLogger("gridward.worker")
MOST_SENDS = 32
# Wakes within this time are one round: under load the worker must not take the reports' processor.
GATHER_SECONDS = 0.2
ASK_AGAIN_SECONDS = 1.0
ROUND_SECONDS = 5.0
STALLED_JOBS_SECONDS = 30.0
# A thread that has taken so many time limits is let go of.
HANGS_AFTER = 4
ALIVE_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
GRACE_SECONDS = 5.0


class Worker:
    """One life of a worker, from taking its id to losing it."""

    def __init__(
        self, services: Services, stop: threading.Event, periodic: Sequence[tuple[str, str, Job]]
    ) -> None:
        self._services, self._stop, self._periodic = services, stop, periodic
        self._settings = services.settings.notices
        self._alike = rules_of(services.settings.town)
        self._zone = services.settings.town.zone
        self._sending = Sending(services)
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._on_the_way: dict[Batch, float] = {}
        self._broken: BaseException | None = None
        self._id = 0

    def live(self) -> None:
        """Works until it is stopped; raises whatever broke it."""
        url = database_url(self._services.settings.database)
        with psycopg.connect(url, autocommit=True) as held:
            self._id = self._take_id(held)
            held.execute(f"listen {LIVE_CHANNEL}")
            tasks: tuple[Callable[[], None], ...] = (
                lambda: self._listen(held),
                lambda: asyncio.run(self._run_jobs()),
            )
            parts = [
                threading.Thread(target=self._guarded, args=(task,), daemon=True) for task in tasks
            ]
            for part in parts:
                part.start()
            try:
                self._rounds()
            finally:
                # Whatever ended the rounds ends the other parts too.
                self._broken = self._broken or RuntimeError("the worker has ended")
                self._let_finish()
        for part in parts:
            part.join(GRACE_SECONDS)

    def _rounds(self) -> None:
        last_round = 0.0
        while not self._stop.is_set():
            if self._broken is not None:
                raise RuntimeError("a part of the worker has died") from self._broken
            if time.monotonic() - last_round >= ROUND_SECONDS:
                self._look_around()
                last_round = time.monotonic()
            more = self._spread()
            more = self._start_sends() or more
            if not more:
                self._woken.wait(ASK_AGAIN_SECONDS)
                self._stop.wait(GATHER_SECONDS)
            self._woken.clear()

    def _look_around(self) -> None:
        """Shows that it lives, sees to what killed workers left, queues what is due by the clock."""
        now = datetime.now(UTC)
        with self._services.sessions() as session:
            session.execute(
                text("update worker set seen_at = :now where id = :id"),
                {"now": now, "id": self._id},
            )
            lost = notice_queue.recover(session, self._settings, now)
            defer_due(session, self._zone, now, self._periodic)
            session.commit()
        if lost:
            LOG.error("deliveries %s: a killed worker was sending them, outcome unknown", lost)
        hung_s = self._settings.send_seconds * HANGS_AFTER
        with self._lock:
            hung = [b for b, began in self._on_the_way.items() if time.monotonic() - began > hung_s]
            for batch in hung:
                del self._on_the_way[batch]
        for batch in hung:
            self._sending.give_up_waiting(batch, self._id)

    def _spread(self) -> bool:
        with self._services.sessions() as session:
            done = spread(session, self._settings, self._alike, datetime.now(UTC))
            session.commit()
        return done.more

    def _start_sends(self) -> bool:
        with self._lock:
            on_the_way: dict[str, int] = {}
            for batch in self._on_the_way:
                on_the_way[batch.lane] = on_the_way.get(batch.lane, 0) + 1
            free = MOST_SENDS - len(self._on_the_way)
        with self._services.sessions() as session:
            batches = notice_queue.claim(
                session,
                self._id,
                on_the_way,
                free,
                self._settings,
                self._zone,
                datetime.now(UTC),
            )
            session.commit()
        for batch in batches:
            with self._lock:
                self._on_the_way[batch] = time.monotonic()
            threading.Thread(target=self._send, args=(batch,), daemon=True).start()
        return bool(batches)

    def _send(self, batch: Batch) -> None:
        try:
            self._sending.send(batch, self._id)
        except Exception:
            # The database was away when the outcome was to be marked: the row stays "sending" and is
            # seen to when this worker is gone. It is never sent again as if nothing had been.
            LOG.exception("the outcome of %s could not be marked", batch.ids)
            self._broken = RuntimeError("an outcome could not be marked")
        finally:
            with self._lock:
                self._on_the_way.pop(batch, None)
            self._woken.set()

    def _take_id(self, held: psycopg.Connection[tuple[int]]) -> int:
        name = f"{socket.gethostname()}:{os.getpid()}"
        row = held.execute(
            "insert into worker (name, started_at, seen_at) values (%s, now(), now()) returning id",
            (name,),
        ).fetchone()
        if row is None:
            raise RuntimeError("the database returned no id for a worker")
        held.execute("select pg_advisory_lock(%s, %s)", (WORKER_LOCK, row[0]))
        return int(row[0])

    def _listen(self, held: psycopg.Connection[tuple[int]]) -> None:
        while not self._stop.is_set() and self._broken is None:
            for _ in held.notifies(timeout=ASK_AGAIN_SECONDS, stop_after=1):
                self._woken.set()

    async def _run_jobs(self) -> None:
        app = job_app(self._services)
        async with app.open_async():
            working = asyncio.create_task(
                app.run_worker_async(
                    concurrency=1,
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=GRACE_SECONDS,
                )
            )
            last = 0.0
            while not self._stop.is_set() and not working.done() and self._broken is None:
                if time.monotonic() - last >= STALLED_JOBS_SECONDS:
                    await take_up_stalled(app)
                    last = time.monotonic()
                await asyncio.sleep(ASK_AGAIN_SECONDS / 2)
            if working.done():
                working.result()
                raise RuntimeError("the job queue has stopped")
            # Asked again: a cancellation that meets a job's end at the same turn may be lost.
            while not working.done():
                working.cancel()
                await asyncio.wait([working], timeout=GRACE_SECONDS + 1)
            with contextlib.suppress(asyncio.CancelledError):
                await working

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:
            self._broken = self._broken or error
            self._woken.set()

    def _let_finish(self) -> None:
        """Messages on their way get a moment to be marked."""
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until:
            with self._lock:
                if not self._on_the_way:
                    return
            time.sleep(0.05)


def work(
    services: Services,
    stop: threading.Event,
    periodic: Sequence[tuple[str, str, Job]] = PERIODIC,
) -> None:
    """A worker that begins anew whenever it breaks, with growing pauses, until it is stopped."""
    pause_s = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        began = time.monotonic()
        try:
            Worker(services, stop, periodic).live()
        except Exception:
            if stop.is_set():
                return
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause_s = FIRST_PAUSE_SECONDS
            LOG.critical("the worker has died and begins anew in %.0f s", pause_s, exc_info=True)
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_SECONDS)


@contextmanager
def working(services: Services) -> Iterator[None]:
    """A worker in a thread beside whatever happens inside."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(services, stop), name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(3 * GRACE_SECONDS)
