"""Jobs on a real PostgreSQL: queued with their cause, done once, taken up again after a killed worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api import jobs
from api.metrics import worker_state
from api.services import Services
from api.worker import work
from dispatch.desk import Desk
from tests.partners import wait_until

SHANGHAI = ZoneInfo("Asia/Shanghai")
DONE: list[tuple[str, Any]] = []


def noted(session: Session, desk: Desk, now: datetime, **arguments: Any) -> None:
    """A job that leaves a trace in the database, to be committed by whoever runs it."""
    DONE.append(("noted", arguments))
    session.execute(
        text("insert into webhook (name, url, secret, made_at) values ('j','','',:n)"), {"n": now}
    )


def failing(session: Session, desk: Desk, now: datetime) -> None:
    noted(session, desk, now)
    raise ValueError("13812345678")


@pytest.fixture(autouse=True)
def fresh(empty_services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(jobs.JOBS, "noted", noted)
    monkeypatch.setattr(
        jobs, "PERIODIC", [("noted", "* * * * *", noted), ("failing", "* * * * *", failing)]
    )
    DONE.clear()
    yield
    with empty_services.sessions() as session:
        for table in (
            "webhook",
            "periodic_run",
            "jobs.procrastinate_events",
            "jobs.procrastinate_jobs",
        ):
            session.execute(text(f"delete from {table}"))
        session.commit()


def queued(services: Services) -> list[str]:
    with services.sessions() as session:
        return list(
            session.scalars(text("select status::text from jobs.procrastinate_jobs order by id"))
        )


def traces(services: Services) -> int:
    with services.sessions() as session:
        return int(session.scalar(text("select count(*) from webhook")) or 0)


def test_a_job_is_queued_with_its_cause_or_not_at_all(empty_services: Services) -> None:
    with empty_services.sessions() as session:
        jobs.defer(session, "noted", n=1)
        session.rollback()
    assert queued(empty_services) == []
    with empty_services.sessions() as session:
        jobs.defer(session, "noted", n=1)
        session.commit()
    assert queued(empty_services) == ["todo"]
    with empty_services.sessions() as session, pytest.raises(ValueError, match="no job"):
        jobs.defer(session, "unknown")


def test_a_worker_runs_it_commits_and_lives(empty_services: Services) -> None:
    stop = threading.Event()
    with empty_services.sessions() as session:
        jobs.defer(session, "noted", n=1)
        session.commit()
        assert worker_state(session, datetime.now(UTC)) == "none"
    threads = [
        threading.Thread(target=work, args=(empty_services, stop, ()), daemon=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: queued(empty_services) == ["succeeded"])
    assert DONE == [("noted", {"n": 1})]
    assert traces(empty_services) == 1
    with empty_services.sessions() as session:
        assert worker_state(session, datetime.now(UTC)) == "alive"
    stop.set()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    with empty_services.sessions() as session:
        assert worker_state(session, datetime.now(UTC)) == "none"


def test_each_moment_of_the_clock_counts_once(empty_services: Services) -> None:
    at = datetime(2026, 11, 22, 16, 5, 30, tzinfo=UTC)
    for _ in range(3):
        with empty_services.sessions() as session:
            jobs.defer_due(session, SHANGHAI, at, jobs.PERIODIC)
            session.commit()
    assert queued(empty_services) == ["todo", "todo"]


def test_what_is_still_waiting_is_not_queued_twice(empty_services: Services) -> None:
    for minute in (5, 6, 7):
        at = datetime(2026, 11, 22, 16, minute, 30, tzinfo=UTC)
        with empty_services.sessions() as session:
            jobs.defer_due(session, SHANGHAI, at, jobs.PERIODIC[:1])
            session.commit()
    assert queued(empty_services) == ["todo"]


def test_the_clock_is_the_towns() -> None:
    at = datetime(2026, 11, 22, 16, 5, tzinfo=UTC)  # 00:05 of the 23rd in Shanghai
    assert jobs.last_due("2 0 * * *", SHANGHAI, at) == datetime(2026, 11, 22, 16, 2, tzinfo=UTC)
    assert jobs.last_due("5 0 * * *", SHANGHAI, at) == at
    assert jobs.last_due("6 0 * * *", SHANGHAI, at) == datetime(2026, 11, 21, 16, 6, tzinfo=UTC)


def test_a_failing_job_leaves_nothing_half_done(empty_services: Services) -> None:
    with pytest.raises(ValueError, match="138"):
        jobs.run_job(empty_services, "failing", {})
    assert (len(DONE), traces(empty_services)) == (1, 0)


def test_two_workers_never_do_the_same_at_once(empty_services: Services) -> None:
    begun, end, results = threading.Event(), threading.Event(), []

    def slow(session: Session, desk: Desk, now: datetime) -> None:
        begun.set()
        end.wait(60)

    jobs.JOBS["slow"] = slow
    try:
        first = threading.Thread(
            target=lambda: results.append(jobs.run_job(empty_services, "slow", {}))
        )
        first.start()
        assert begun.wait(60)
        assert jobs.run_job(empty_services, "slow", {}) is False
        end.set()
        first.join(60)
    finally:
        del jobs.JOBS["slow"]
    assert results == [True]


def test_a_killed_workers_job_is_taken_up_again(empty_services: Services) -> None:
    with empty_services.sessions() as session:
        jobs.defer(session, "noted", n=2)
        # As a worker leaves it that took the job and was killed an hour ago.
        session.execute(
            text(
                "with w as (insert into jobs.procrastinate_workers (last_heartbeat)"
                " values (now() - interval '1 hour') returning id)"
                " update jobs.procrastinate_jobs set status = 'doing', worker_id = (select id from w)"
            )
        )
        session.commit()

    async def take_up() -> int:
        app = jobs.job_app(empty_services)
        async with app.open_async():
            return await jobs.take_up_stalled(app)

    assert asyncio.run(take_up()) == 1
    assert queued(empty_services) == ["todo"]
