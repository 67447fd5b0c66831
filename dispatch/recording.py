"""New incidents written down whole: themselves, reporters, history, tasks, notices, plans and live events, in one statement.

What is written, and how it is chained, is that of `dispatch/incidents.py`; here it only travels together, one incident
or many that came at the same time. Intake is the busiest way into the database, and each statement of its own costs
more in the server than its work in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from geoalchemy2 import Geometry
from psycopg import RawCursor
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from dispatch.chase_rules import Occasion
from dispatch.incidents import LIVE_CHANNEL, Line, chained
from dispatch.models import History, Incident, Notice, Reporter, Task
from grid.core.database import Base
from grid.core.values import dataclass

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TABLES: dict[str, type[Base]] = {
    "incident": Incident,
    "reporter": Reporter,
    "history": History,
    "task": Task,
    "notice": Notice,
}
# In a part's row: the number of the incident that it belongs to.
OF = "of_number"


@dataclass(frozen=True, slots=True)
class NewIncident:
    """Rows of a new incident without its id: columns by name; `reporter` None for an anonymous report; `at` is now."""

    values: dict[str, Any]
    reporter: dict[str, Any] | None
    lines: Sequence[Line]
    actors: Sequence[str]
    tasks: Sequence[dict[str, Any]]
    notices: Sequence[dict[str, Any]]
    occasions: Sequence[Occasion]
    wake_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database made of it: ids of incident and tasks, point and span (GeoJSON) as it gives them out."""

    id: int
    lon: float | None
    lat: float | None
    span: dict[str, Any] | None
    task_ids: Sequence[int]


def record(session: Session, new: Sequence[NewIncident]) -> list[Recorded | None]:
    """Writes new incidents and announces them; None for each whose key or external id is already there.

    Their numbers must differ: by these their parts find them.
    """
    given: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
    rest = []
    for each in new:
        number = each.values["number"]
        history = chained(number, each.lines, each.actors, each.at)
        given["incident"].append(each.values)
        parts = {
            "reporter": [each.reporter] if each.reporter else [],
            "history": history,
            "task": each.tasks,
            "notice": each.notices,
        }
        for name, rows in parts.items():
            given[name] += [{**row, OF: number} for row in rows]
        rest.append(
            {
                OF: number,
                "at": each.occasions[0].at if each.occasions else None,
                "wake_at": each.wake_at,
                "rule_ids": [occasion.rule_id for occasion in each.occasions],
                "ats": [occasion.at for occasion in each.occasions],
                "now": each.at,
                "lines": len(history),
            }
        )
    # Of every row of a table: one that lacks a column of the others has nothing there.
    columns = (tuple(sorted({n for row in rows for n in row} - {OF})) for rows in given.values())
    written = orjson.dumps({**given, "rest": rest}, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    connection: Any = session.connection().connection.driver_connection
    # The driver keeps what it made of a short statement only, and looks for places in this one each time.
    cursor = RawCursor(connection)
    rows = cursor.execute(_statement(*columns), (written,), prepare=True).fetchall()
    found = {row[0]: Recorded(row[1], row[2], row[3], row[4], row[5] or ()) for row in rows}
    return [found.get(each.values["number"]) for each in new]


@lru_cache(maxsize=64)
def _statement(*columns: tuple[str, ...]) -> str:
    """The statement for rows of these columns: of incident, reporter, history, task and notice."""
    first, *others = (
        (table, _insert(table, names))
        for table, names in zip(_TABLES.values(), columns, strict=True)
        if names
    )
    parts = [
        "given as materialized (select $1::jsonb as j)",
        f"new as ({first[1]} on conflict do nothing returning id, number, point, span)",
        *(
            f"new_{table.__tablename__} as ({each} returning id, incident_id)"
            for table, each in others
        ),
        _REST,
    ]
    tasks = "null"
    if columns[3]:
        tasks = (
            "(select array_agg(t.id order by t.id) from new_task t where t.incident_id = new.id)"
        )
    made = f"new.id, st_x(point), st_y(point), st_asgeojson(span)::jsonb, {tasks}"
    return f"with {', '.join(parts)} select number, {made}, {_ANNOUNCED} from new"  # noqa: S608 (made of constants)


_REST = f"""
    rest as (select r.* from given, jsonb_to_recordset(j->'rest') as r({OF} text, at timestamptz,
        wake_at timestamptz, rule_ids bigint[], ats timestamptz[], now timestamptz, lines int)),
    planned as (insert into chase_plan (incident_id, at, wake_at, rule_ids, ats)
        select new.id, r.at, r.wake_at, r.rule_ids, r.ats from new join rest r on r.{OF} = new.number),
    live as (insert into live_event (at, incident_id, first_seq, last_seq)
        select r.now, new.id, 1, r.lines from new join rest r on r.{OF} = new.number returning id)
"""  # noqa: S608 (made of constants)
# Once for all of them: it only wakes whoever listens, and they read the events' rows.
_ANNOUNCED = f"(select pg_notify('{LIVE_CHANNEL}', max(id)::text) from live)"  # noqa: S608


def _insert(table: type[Base], names: tuple[str, ...]) -> str:
    """The insert of one table's rows out of the statement's one value, in their order."""
    columns = table.__table__.columns
    shown, taken = [], []
    for name in names:
        kind = columns[name].type
        shape = isinstance(kind, Geometry)
        shown.append(f"{name} {'text' if shape else kind.compile(dialect=_DIALECT)}")
        taken.append(f"x.{name}::geometry" if shape else f"x.{name}")
    own = table.__tablename__
    if table is Incident:
        rows = f"given, jsonb_to_recordset(j->'{own}') as x({', '.join(shown)})"
    else:
        names, taken = ("incident_id", *names), ["new.id", *taken]
        kinds = f"{OF} text, {', '.join(shown)}"
        rows = (
            f"given, rows from (jsonb_to_recordset(j->'{own}') as ({kinds})) with ordinality as x"
            f" join new on new.number = x.{OF} order by x.ordinality"
        )
    return f"insert into {own} ({', '.join(names)}) select {', '.join(taken)} from {rows}"  # noqa: S608
