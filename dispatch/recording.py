"""A new incident written down whole: itself, reporter, history, tasks, notices, plan and live event, in one statement.

What is written, and how it is chained, is that of `dispatch/incidents.py`; here it only travels together. Intake
is the busiest way into the database, and each statement of its own costs more in the server than its work in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from dispatch.chase_rules import Occasion
from dispatch.incidents import LIVE_CHANNEL, Line, chained
from dispatch.models import History, Incident, Notice, Reporter, Task
from grid.core.database import Base

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class NewIncident:
    """Rows of a new incident without its id: columns by name; `reporter` None for an anonymous report."""

    values: dict[str, Any]
    reporter: dict[str, Any] | None
    lines: Sequence[Line]
    actors: Sequence[str]
    tasks: Sequence[dict[str, Any]]
    notices: Sequence[dict[str, Any]]
    occasions: Sequence[Occasion]
    wake_at: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database made of it: ids of incident and tasks, point and span (GeoJSON) as it gives them out."""

    id: int
    lon: float | None
    lat: float | None
    span: dict[str, Any] | None
    task_ids: Sequence[int]


def record(session: Session, new: NewIncident, now: datetime) -> Recorded | None:
    """Writes a new incident and announces it; None when its key or external id is already there."""
    history = chained(new.values["number"], new.lines, new.actors, now)
    given = {
        "incident": [new.values],
        "reporter": [new.reporter] if new.reporter else [],
        "history": history,
        "task": new.tasks,
        "notice": new.notices,
    }
    statement = _statement(*(tuple(sorted(rows[0])) if rows else () for rows in given.values()))
    rest = {
        "at": new.occasions[0].at if new.occasions else None,
        "wake_at": new.wake_at,
        "rule_ids": [each.rule_id for each in new.occasions],
        "ats": [each.at for each in new.occasions],
        "now": now,
        "lines": len(history),
    }
    written = orjson.dumps({**given, "rest": [rest]}, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    connection: Any = session.connection().connection.driver_connection
    row = connection.execute(statement, (written,), prepare=True).fetchone()
    return None if row[0] is None else Recorded(row[0], row[1], row[2], row[3], row[4] or ())


@lru_cache(maxsize=64)
def _statement(*columns: tuple[str, ...]) -> str:
    """The statement for rows of these columns: of incident, reporter, history, task and notice."""
    tables: list[type[Base]] = [Incident, Reporter, History, Task, Notice]
    first, *others = (
        (table, _insert(table, names))
        for table, names in zip(tables, columns, strict=True)
        if names
    )
    parts = [
        "given as materialized (select %s::jsonb as j)",
        f"new as ({first[1]} on conflict do nothing returning id, point, span)",
        *(f"new_{table.__tablename__} as ({each} returning id)" for table, each in others),
        _REST,
    ]
    tasks = "(select array_agg(id order by id) from new_task)" if columns[3] else "null"
    made = f"new.id, st_x(point), st_y(point), st_asgeojson(span)::jsonb, {tasks}"
    return f"with {', '.join(parts)} select {made}, {_ANNOUNCED} from (select) one left join new on true"  # noqa: S608 (made of constants)


_REST = """
    rest as (select r.* from given, jsonb_to_recordset(j->'rest') as r(at timestamptz,
        wake_at timestamptz, rule_ids bigint[], ats timestamptz[], now timestamptz, lines int)),
    planned as (insert into chase_plan (incident_id, at, wake_at, rule_ids, ats)
        select new.id, r.at, r.wake_at, r.rule_ids, r.ats from new, rest r),
    live as (insert into live_event (at, incident_id, first_seq, last_seq)
        select r.now, new.id, 1, r.lines from new, rest r returning id)
"""
_ANNOUNCED = f"(select count(pg_notify('{LIVE_CHANNEL}', live.id::text)) from live)"  # noqa: S608


def _insert(table: type[Base], names: tuple[str, ...]) -> str:
    """The insert of one table's rows out of the statement's one value."""
    columns = table.__table__.columns
    shown, taken = [], []
    for name in names:
        kind = columns[name].type
        shape = isinstance(kind, Geometry)
        shown.append(f"{name} {'text' if shape else kind.compile(dialect=_DIALECT)}")
        taken.append(f"x.{name}::geometry" if shape else f"x.{name}")
    own = table.__tablename__
    rows = f"given, jsonb_to_recordset(j->'{own}') as x({', '.join(shown)})"
    if table is not Incident:
        names, taken, rows = ("incident_id", *names), ["new.id", *taken], f"new, {rows}"
    return f"insert into {own} ({', '.join(names)}) select {', '.join(taken)} from {rows}"  # noqa: S608
