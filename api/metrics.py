"""`/metrics` in Prometheus' text form: request times, queues, incidents, deliveries, workers.

Numbers only, no names, numbers or places. Counters of requests are each process's own; what stands in
the database is counted when it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.services import Services
from dispatch.moves import ENDED, State
from dispatch.notice_queue import living_workers

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
OPEN_STATES = sorted(str(state) for state in State if state not in ENDED)
SEEN_WITHIN = timedelta(seconds=60)
# A counted table may be large: sent deliveries are counted for the last day only.
LATELY = timedelta(days=1)


class Metrics:
    """One process's registry."""

    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "gridward_request_seconds",
            "Time to answer a request.",
            ("method", "route", "status"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self.registry.register(_Stock(services))

    def note(self, method: str, route: str, status: int, taken_s: float) -> None:
        """Counts a request with its time."""
        asked = (method, route, status)
        times = self._known.get(asked)
        if times is None:
            # Finding a series by its labels takes longer than counting in it.
            times = self._known[asked] = self.requests.labels(method, route, str(status))
        times.observe(taken_s)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


class RequestTimes:
    """Middleware: the time of each request by its route's pattern, so that numbers of incidents are no labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            # A live stream lasts as long as its reader; its time would say nothing.
            if not route.endswith("/live"):
                taken_s = time.perf_counter() - began
                self._metrics.note(scope["method"], route, status, taken_s)


def worker_state(session: Session, now: datetime) -> str:
    """`alive` while a worker holds its lock and has lately gone round, `silent` when it hangs, else `none`."""
    living = living_workers(session)
    if not living:
        return "none"
    seen = session.scalar(
        text("select max(seen_at) from worker where id = any(:ids)"), {"ids": sorted(living)}
    )
    return "alive" if seen is not None and now - seen < SEEN_WITHIN else "silent"


class _Stock(Collector):
    """What stands in the database, asked at each scrape."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        now = datetime.now(UTC)
        with self._services.sessions() as session:
            yield _family(
                session,
                "gridward_incidents_open",
                "Open incidents by state.",
                "state",
                "select status, count(*) from incident where status = any(:states) group by status",
                states=OPEN_STATES,
            )
            yield _family(
                session,
                "gridward_incidents_waiting",
                "Incidents that wait for a person, by queue.",
                "queue",
                "select queue, count(*) from incident where queue is not null group by queue",
            )
            yield _family(
                session,
                "gridward_deliveries",
                "Messages by state; those sent and dropped of the last day.",
                "state",
                "select state, count(*) from delivery where state in ('waiting', 'sending',"
                " 'given_up', 'uncertain') or sent_at > :lately group by state",
                lately=now - LATELY,
            )
            yield _family(
                session,
                "gridward_to_spread",
                "Notices and events that the worker has not seen yet.",
                "queue",
                "select 'notice', count(*) from notice where spread_at is null union all"
                " select 'event', count(*) from live_event where spread_at is null"
                " and last_seq is not null",
            )
            yield _family(
                session,
                "gridward_jobs",
                "Jobs by state.",
                "state",
                "select status::text, count(*) from jobs.procrastinate_jobs group by status",
            )
            workers = GaugeMetricFamily("gridward_workers", "Workers that hold their lock.")
            workers.add_metric((), len(living_workers(session)))
            yield workers
            late = GaugeMetricFamily(
                "gridward_oldest_waiting_seconds", "How long the oldest due message has waited."
            )
            oldest = session.scalar(
                text("select min(next_at) from delivery where state = 'waiting'")
            )
            late.add_metric((), max(0.0, (now - oldest).total_seconds()) if oldest else 0.0)
            yield late


def _family(
    session: Session, name: str, words: str, label: str, query: str, **values: Any
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=(label,))
    for row in session.execute(text(query), values):
        family.add_metric((str(row[0]),), float(row[1]))
    return family
