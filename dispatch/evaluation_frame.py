"""The incidents of a period as `dispatch/indicators.py` counts them: each as it stood at a moment, by its record.

What a later move changed does not change an earlier month: states, rounds and closings are those of the history lines
up to the moment. Limits of accepting and dispatching are of the incident's own clocks, those of each verifying and each
check run from its own begin by the limits in force then (domain 2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.attendance import COVERED_SHARE
from dispatch.catalogue import Catalogue
from dispatch.clocks import Clock, ClockKind, due_at
from dispatch.scope import Scope
from dispatch.standing import clock_of
from dispatch.worktime import Limit, add
from grid.core.errors import NotFound
from grid.core.values import dataclass

# A street that a shift walked so shortly before a resident's report: the collector should have found it (DECISIONS 72).
WALKED_BEFORE = timedelta(hours=24)
PATROL_CHANNELS = frozenset({"patrol"})
PUBLIC_CHANNELS = frozenset({"citizen", "wechat", "hotline_12345", "hotline_12319"})
URGENT = frozenset({"urgent", "emergency"})
_DISPOSED = frozenset({"disposed", "checking", "pending_close", "closed"})
# The stages that are judged each time they come: how they begin, how they end.
_STAGES = {
    ClockKind.VERIFY: (("send_verify",), ("verify_confirmed", "verify_denied")),
    ClockKind.CHECK: (("send_check",), ("check_passed", "check_failed")),
}
_COUNTS = {
    ClockKind.VERIFY: ("verify_asked", "verified_on_time"),
    ClockKind.CHECK: ("checks_asked", "checked_on_time"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Incidents reported in [since, until), as they stood at `at`; `scope` bounds what the reader may see."""

    since: datetime
    until: datetime
    at: datetime
    scope: Scope | None = None
    category: str | None = None
    channel: str | None = None
    grid: str | None = None


def incidents_frame(session: Session, catalogue: Catalogue, asked: Asked) -> pd.DataFrame:
    """One row an incident: number, the columns of `indicators.COLUMNS`, and whose it is.

    Whose: grid (code), post, person (staff id of the last lead task), unit (id), leader (staff id, of the grid at `at`),
    category (code); None where there is none. Beside: supervised, reopened (0 or 1), disposal_minutes (from the first
    sending out, on the clock on the wall).
    """
    where, values = _bounded(asked)
    rows = session.execute(text(_INCIDENTS.format(where=where)), values)
    stages = _stages(session, catalogue, where, values, asked.at)
    known = [dict(row._mapping) for row in rows]
    found = [_row(row, stages.get(row["id"], {}), catalogue, asked.at) for row in known]
    return pd.DataFrame.from_records(found, columns=_COLUMNS)


def _bounded(asked: Asked) -> tuple[str, dict[str, Any]]:
    clauses = ["i.reported_at >= :since", "i.reported_at < :until"]
    values: dict[str, Any] = {
        "since": asked.since,
        "until": asked.until,
        "at": asked.at,
        "walked": WALKED_BEFORE,
        "enough": COVERED_SHARE,
    }
    if asked.scope is not None:
        clauses.append(asked.scope.clause)
        values |= asked.scope.values
    if asked.category:
        clauses.append("i.category_code = :category")
        values["category"] = asked.category
    if asked.channel:
        clauses.append("i.channel_code = :channel")
        values["channel"] = asked.channel
    if asked.grid:
        clauses.append("i.grid_id in (select id from grid where code = :grid)")
        values["grid"] = asked.grid
    return " and ".join(clauses), values


_INCIDENTS = """
    with chosen as materialized (select i.* from incident i where {where} and i.reported_at <= :at),
    told as (
        select h.incident_id, (array_agg(h.to_status order by h.seq desc))[1] as status,
            min(h.at) filter (where h.move = 'file') as filed_at,
            min(h.at) filter (where h.move = 'dispatch') as dispatched_at,
            max(h.at) filter (where h.move = 'submit') as submitted_at,
            max(h.at) filter (where h.move in ('close', 'force_close')) as closed_at,
            count(*) filter (where h.move in ('check_failed', 'reject_result')) as reworks,
            count(*) filter (where h.move = 'reopen') as reopened,
            count(*) filter (where h.move = 'verify_confirmed') as confirmed,
            count(*) filter (where h.move = 'confirm_solved') as said,
            count(*) filter (where h.move = 'grant_appeal') as appeals
        from history h join chosen i on i.id = h.incident_id where h.at <= :at group by h.incident_id
    ),
    work as (
        select t.incident_id,
            count(distinct coalesce('unit:' || coalesce(t.unit_id, s.unit_id), 'staff:' || t.assignee_id)) as units,
            (array_agg(array[t.post, t.assignee_id::text, coalesce(t.unit_id, s.unit_id)::text]
                order by t.round desc, t.id desc))[1:1] as last
        from task t join chosen i on i.id = t.incident_id left join staff s on s.id = t.assignee_id
        where t.lead and t.assigned_at <= :at group by t.incident_id
    )
    select i.id, i.number, i.reported_at, i.due_at, i.disposed_at as done_at, i.channel_code,
        jsonb_path_query_array(i.clocks, '$[*] ? (@.kind == "accept" || @.kind == "dispatch")') as clocks,
        i.category_code, c.urgency, i.facts ->> 'solved_said' as word,
        coalesce((i.facts ->> 'supervised')::boolean, false) as supervised, g.code as grid, p.staff_id as leader,
        w.units, w.last[1][1] as post, w.last[1][2]::bigint as person, w.last[1][3]::bigint as unit,
        told.*, exists (select 1 from patrol_cover v join attendance a on a.id = v.attendance_id
            where v.segment_id = i.segment_id and v.share >= :enough
            and a.began_at between i.reported_at - :walked and i.reported_at) as walked
    from chosen i left join told on told.incident_id = i.id left join work w on w.incident_id = i.id
    left join category c on c.code = i.category_code left join grid g on g.id = i.grid_id
    left join post_holding p on p.grid_id = i.grid_id and p.post = 'leader' and p.valid @> cast(:at as timestamptz)
    order by i.id
"""
_TURNS = """
    select h.incident_id, h.move, h.at, c.urgency,
        lead(h.at) over (partition by h.incident_id, h.move = any(:verify) order by h.seq) as ended_at
    from history h join (select i.id, i.category_code from incident i where {where}) i on i.id = h.incident_id
    left join category c on c.code = i.category_code
    where h.at <= :at and h.move = any(:moves)
    order by h.incident_id, h.seq
"""


def _stages(
    session: Session, catalogue: Catalogue, where: str, values: Mapping[str, Any], at: datetime
) -> dict[int, dict[str, int]]:
    """How often each incident was verified and checked, and how often in time.

    One that lasts counts from its limit on; before that it is neither in time nor late.
    """
    verify = [move for moves in _STAGES[ClockKind.VERIFY] for move in moves]
    check = [move for moves in _STAGES[ClockKind.CHECK] for move in moves]
    rows = session.execute(
        text(_TURNS.format(where=where)), {**values, "verify": verify, "moves": [*verify, *check]}
    )
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        kind = next((kind for kind, (begins, _) in _STAGES.items() if row.move in begins), None)
        if kind is None:
            continue
        limit = _limit(catalogue, kind, row.at, row.urgency)
        due = None if limit is None else add(row.at, limit, catalogue.calendar)
        if row.ended_at is None and (due is None or due >= at):
            continue
        counts = found.setdefault(row.incident_id, {})
        asked, in_time = _COUNTS[kind]
        counts[asked] = counts.get(asked, 0) + 1
        on_time = row.ended_at is not None and (due is None or row.ended_at <= due)
        counts[in_time] = counts.get(in_time, 0) + on_time
    return found


def _row(
    row: Mapping[str, Any], stages: Mapping[str, int], catalogue: Catalogue, at: datetime
) -> dict[str, Any]:
    status, clocks = row["status"], {item["kind"]: item for item in row["clocks"]}
    filed_at, dispatched_at = row["filed_at"], row["dispatched_at"]
    disposed_at = None
    if status in _DISPOSED:
        done_at = row["done_at"]
        # A phone without network tells later when it was done; the line has the moment it was told.
        disposed_at = done_at if done_at is not None and done_at <= at else row["submitted_at"]
    filing_due = _due(catalogue, clocks, ClockKind.ACCEPT, row["reported_at"], filed_at)
    sending_due = None
    if filed_at is not None:
        sending_due = _due(catalogue, clocks, ClockKind.DISPATCH, filed_at, dispatched_at)
    public = row["channel_code"] in PUBLIC_CHANNELS
    worked = disposed_at is not None and dispatched_at is not None
    return {
        "number": row["number"],
        **{name: row[name] for name in ("grid", "post", "person", "unit", "leader")},
        "category": row["category_code"],
        "filed_at": filed_at,
        "filed_late": filed_at is not None and filing_due is not None and filed_at > filing_due,
        "voided": status == "voided",
        "merged": status == "merged",
        "on_the_spot": status == "fixed_on_spot",
        "suspended": status == "suspended",
        "urgent": row["urgency"] in URGENT,
        "dispatched_at": dispatched_at,
        "dispatch_due_at": sending_due,
        "units": row["units"] or 0,
        "due_at": row["due_at"],
        "disposed_at": disposed_at,
        "closed_at": row["closed_at"] if status == "closed" else None,
        "reworks": row["reworks"] or 0,
        "appeal_granted": bool(row["appeals"]),
        **{name: stages.get(name, 0) for names in _COUNTS.values() for name in names},
        "patrol": row["channel_code"] in PATROL_CHANNELS,
        "public": public,
        "public_verified": bool(row["confirmed"]),
        "missed": public and row["walked"],
        "call_backs": 1 if row["said"] and row["word"] else 0,
        "satisfied": 1 if row["said"] and row["word"] == "satisfied" else 0,
        "supervised": int(row["supervised"]),
        "reopened": 1 if row["reopened"] else 0,
        "disposal_minutes": (
            (disposed_at - dispatched_at).total_seconds() / 60 if worked else None
        ),
    }


_COLUMNS = (
    *("number", "grid", "post", "person", "unit", "leader", "category", "filed_at", "filed_late"),
    *("voided", "merged", "on_the_spot", "suspended", "urgent", "dispatched_at"),
    *("dispatch_due_at", "units", "due_at", "disposed_at", "closed_at", "reworks"),
    *("appeal_granted", "verify_asked", "verified_on_time", "checks_asked", "checked_on_time"),
    *("patrol", "public", "public_verified", "missed", "call_backs", "satisfied"),
    *("supervised", "reopened", "disposal_minutes"),
)


def _due(
    catalogue: Catalogue,
    clocks: Mapping[str, Mapping[str, Any]],
    kind: ClockKind,
    begun_at: datetime,
    ended_at: datetime | None,
) -> datetime | None:
    """When the first turn of a stage was due: by its clock, or, where a later turn has taken the clock, by the same limit.

    None also for what was done at the moment it began, as the system does: it is in time by any limit.
    """
    written = clocks.get(kind.value)
    if written is None or ended_at == begun_at:
        return None
    clock = clock_of(written)
    if ended_at is not None and clock.started_at > ended_at:
        clock = Clock(kind, clock.limit, begun_at)
    return due_at(clock, catalogue.calendar)


def _limit(
    catalogue: Catalogue, kind: ClockKind, at: datetime, urgency: str | None
) -> Limit | None:
    day = at.astimezone(catalogue.calendar.zone).date()
    try:
        return catalogue.stages.find(kind.value, day, urgency=urgency).limit
    except NotFound:
        return None
