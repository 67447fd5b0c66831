"""Work that is done later: jobs by name, and the ones that come round by the clock.

A job is a function `(session, desk, now, **arguments)` in JOBS; `defer` queues one in the caller's own
transaction (procrastinate, schema `jobs` of the same PostgreSQL). PERIODIC lists what runs by a cron
expression in the town's own time. Jobs do not commit: `run_job` does, once, when the function has
returned. Each runs under an advisory lock of its name, so that two workers never do the same at once.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import procrastinate
from croniter import croniter
from procrastinate.job_context import JobContext
from shapely.errors import GEOSException
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.attendance import end_forgotten, forget_positions
from dispatch.catalogue_edits import take_over
from dispatch.chasing import chase
from dispatch.desk import Desk
from dispatch.evidence_store import forget_fetched
from dispatch.following import follow_changes
from dispatch.notice_models import PeriodicRun
from dispatch.outside_candidates import sweep_outside
from dispatch.personal import anonymise
from dispatch.seal import seal_record
from dispatch.sent_once import forget_sent
from dispatch.suggest_kept import train_and_keep
from grid.change_counts import add_up
from grid.core.database import database_url
from grid.core.errors import Conflict, Trouble
from grid.core.settings import DatabaseSettings
from grid.kept_territory import keep_if_free

LOG = logging.getLogger("gridward.jobs")
Job = Callable[..., object]
JOB_LOCK = 7_305_117
QUEUE = "gridward"
RUN = "gridward.run"
# A worker that was down does not make up for rounds that are older than this.
LATEST = timedelta(hours=6)
STALLED_SECONDS = 60
KEEP_DONE_HOURS = 72


def forget_old_workers(session: Session, desk: Desk, now: datetime) -> None:
    """Rows of workers and jobs that ended days ago."""
    session.execute(
        text("delete from worker where seen_at < :until"), {"until": now - timedelta(days=7)}
    )
    session.execute(
        text(
            "delete from jobs.procrastinate_jobs j where status in ('succeeded', 'cancelled')"
            " and not exists (select 1 from jobs.procrastinate_events e where e.job_id = j.id"
            " and e.at > :until)"
        ),
        {"until": now - timedelta(hours=KEEP_DONE_HOURS)},
    )


def forget_reporters(session: Session, desk: Desk, now: datetime) -> None:
    """Names and numbers of reporters whose time is over."""
    anonymise(session, now, timedelta(days=desk.settings.reporter_days))


def keep_territory(session: Session, desk: Desk, now: datetime) -> None:
    """The kept territory follows the ground, also where a planned change has taken force."""
    try:
        keep_if_free(session, now)
    except (Trouble, GEOSException):
        # No streets, not divided, or a boundary without use: `gridward check` says it, readers work it out.
        session.rollback()


def add_up_counts(session: Session, desk: Desk, now: datetime) -> None:
    """The counters of changes stay few rows."""
    add_up(session)


def close_shifts(session: Session, desk: Desk, now: datetime) -> None:
    """Shifts that nobody ended; positions and what phones sent, after their time."""
    end_forgotten(session, now)
    forget_positions(session, now, timedelta(days=desk.settings.position_days))
    forget_sent(session, now)


def forget_evidence_fetched(session: Session, desk: Desk, now: datetime) -> None:
    """Files of a bucket that were looked at some days ago."""
    forget_fetched(DatabaseSettings().home_folder, now)


def take_over_rules(session: Session, desk: Desk, now: datetime) -> None:
    """Planned changes of categories whose moment has come."""
    take_over(session, now)


def learn_categories(session: Session, desk: Desk, now: datetime) -> None:
    """The model that suggests categories, from what has been closed; nothing while there is too little."""
    try:
        train_and_keep(session, "worker", now)
    except Conflict:
        LOG.info("too few closed incidents to learn categories from")


# Jobs that others queue by name with `defer`.
JOBS: dict[str, Job] = {}

# Name, cron in the town's time, function(session, desk, now). One line each.
PERIODIC: list[tuple[str, str, Job]] = [
    ("forget_old_workers", "40 3 * * *", forget_old_workers),
    ("forget_reporters", "50 3 * * *", forget_reporters),
    ("take_over_rules", "* * * * *", take_over_rules),
    ("follow_changes", "* * * * *", follow_changes),
    ("keep_territory", "* * * * *", keep_territory),
    ("add_up_counts", "* * * * *", add_up_counts),
    ("close_shifts", "10 * * * *", close_shifts),
    ("chase", "* * * * *", chase),
    ("forget_evidence_fetched", "20 4 * * *", forget_evidence_fetched),
    ("ask_outside", "* * * * *", sweep_outside),
    ("seal", "20 * * * *", seal_record),
    ("learn_categories", "30 4 * * 0", learn_categories),
]

# Deferring on the caller's own connection needs no connection of the queue's.
_ON_THE_CALLERS = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


def defer(session: Session, name: str, /, **arguments: Any) -> None:
    """Queues the job `name` in the session's transaction: on rollback it was never there."""
    if name not in JOBS:
        raise ValueError(f"no job {name}")
    raw = session.connection().connection.driver_connection
    _ON_THE_CALLERS.configure_task(RUN, queue=QUEUE, connection=raw, allow_unknown=True).defer(
        name=name, arguments=arguments
    )


def run_job(services: Services, name: str, arguments: dict[str, Any]) -> bool:
    """Runs a job and commits; False when another worker is at the same one."""
    functions = {**JOBS, **{name: function for name, _, function in PERIODIC}}
    with services.sessions() as session:
        session.execute(text("set statement_timeout = 0"))
        mine = session.scalar(
            text("select pg_try_advisory_xact_lock(:lock_class, :key)"),
            {"lock_class": JOB_LOCK, "key": _lock_key(name)},
        )
        if not mine:
            LOG.info("job %s is being done by another worker", name)
            return False
        functions[name](session, services.desk, datetime.now(UTC), **arguments)
        session.commit()
    return True


def job_app(services: Services) -> procrastinate.App:
    """The queue as a worker sees it."""
    connector = procrastinate.PsycopgConnector(
        conninfo=database_url(services.settings.database),
        kwargs={"options": "-csearch_path=jobs,public -ctimezone=UTC"},
        min_size=1,
        max_size=4,
    )
    app = procrastinate.App(connector=connector)
    again = procrastinate.RetryStrategy(max_attempts=5, exponential_wait=5)

    def run(name: str, arguments: dict[str, Any]) -> None:
        run_job(services, name, arguments)

    def run_periodic(context: JobContext, name: str) -> None:
        started = datetime.now(UTC)
        error = None
        try:
            if not run_job(services, name, {}):
                return
        except Exception as failure:
            error = type(failure).__name__
            LOG.exception("periodic job %s failed", name)
            raise
        finally:
            _note_run(services, name, started, error)

    app.task(name=RUN, queue=QUEUE, retry=again)(run)
    app.task(name="gridward.periodic", queue=QUEUE, pass_context=True)(run_periodic)
    return app


def defer_due(
    session: Session, zone: ZoneInfo, now: datetime, periodic: Sequence[tuple[str, str, Job]]
) -> list[str]:
    """Queues the periodic jobs whose moment has come; with several workers each moment counts once.

    A job that is still waiting or at work is not queued a second time.
    """
    queued = []
    for name, cron, _ in periodic:
        due_at = last_due(cron, zone, now)
        if now - due_at > LATEST:
            continue
        statement = (
            insert(PeriodicRun)
            .values(name=name, due_at=due_at)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={"due_at": due_at},
                where=PeriodicRun.due_at < due_at,
            )
            .returning(PeriodicRun.name)
        )
        if session.scalar(statement) is None or _is_queued(session, name):
            continue
        raw = session.connection().connection.driver_connection
        _ON_THE_CALLERS.configure_task(
            "gridward.periodic", queue=QUEUE, connection=raw, allow_unknown=True
        ).defer(name=name)
        queued.append(name)
    return queued


def last_due(cron: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The newest moment, up to now, that a cron expression names in the town's time."""
    local = now.astimezone(zone)
    found: datetime = croniter(cron, local + timedelta(seconds=1)).get_prev(datetime)
    return found.astimezone(UTC)


async def take_up_stalled(app: procrastinate.App) -> int:
    """Jobs that a killed worker left are queued again; returns how many."""
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS))
    for job in stalled:
        LOG.warning("job %s was left by a killed worker and is queued again", job.id)
        await app.job_manager.retry_job(job)
    return len(stalled)


def _is_queued(session: Session, name: str) -> bool:
    return bool(
        session.scalar(
            text(
                "select exists (select 1 from jobs.procrastinate_jobs where status in ('todo', 'doing')"
                " and task_name = 'gridward.periodic' and args->>'name' = :name)"
            ),
            {"name": name},
        )
    )


def _note_run(services: Services, name: str, started: datetime, error: str | None) -> None:
    with services.sessions() as session:
        session.execute(
            text(
                "update periodic_run set started_at = :started, ended_at = :ended, error = :error"
                " where name = :name"
            ),
            {"name": name, "started": started, "ended": datetime.now(UTC), "error": error},
        )
        session.commit()


def _lock_key(name: str) -> int:
    """A signed 32-bit number of a name."""
    return zlib.crc32(name.encode()) - 2**31
