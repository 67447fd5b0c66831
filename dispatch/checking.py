"""The invariants of the record: history whole, nothing floating."""

from __future__ import annotations

from itertools import groupby

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.chain import Line, verify
from dispatch.incidents import chained_fields
from dispatch.reading import OPEN_STATUSES
from grid.checking import SHOWN, Finding

BATCH = 5000


def check_record(session: Session) -> list[Finding]:
    """Every finding on incidents and their history; empty when all is well."""
    return [*_history(session), *_floating(session), *_left_behind(session)]


def open_on_gone_segments(session: Session) -> list[str]:
    """Numbers of open incidents whose segment is no longer in force: their place is to be set again."""
    rows = session.execute(
        text(
            "select i.number from incident i join segment s on s.id = i.segment_id"
            " where i.status = any(:open) and s.gone_at is not null order by i.number"
        ),
        {"open": list(OPEN_STATUSES)},
    )
    return [row.number for row in rows]


def _left_behind(session: Session) -> list[Finding]:
    things = open_on_gone_segments(session)
    if not things:
        return []
    return [Finding("record.on_gone_segment", len(things), things[:SHOWN], "/console")]


def _history(session: Session) -> list[Finding]:
    """Changed, missing and inserted lines, found by recomputing every hash."""
    result = session.execute(
        text(
            "select i.number, h.seq, h.at, h.actor, h.move, h.from_status, h.to_status, h.note,"
            " h.detail, h.previous_hash, h.hash from history h"
            " join incident i on i.id = h.incident_id order by h.incident_id, h.seq"
        ).execution_options(yield_per=BATCH)
    )
    broken: list[str] = []
    for number, rows in groupby(result.mappings(), key=lambda row: row["number"]):
        lines = [
            Line(row["seq"], row["previous_hash"], row["hash"], chained_fields(number, row))
            for row in rows
        ]
        broken += [f"{number} #{item.seq} {item.kind}" for item in verify(lines)]
    bare = [
        row.number
        for row in session.execute(
            text(
                "select number from incident i where not exists"
                " (select 1 from history h where h.incident_id = i.id) order by number"
            )
        )
    ]
    broken += [f"{number} #1 missing" for number in bare]
    if not broken:
        return []
    return [
        Finding("record.history_broken", len(broken), broken[:SHOWN], "gridward db restore FILE")
    ]


def _floating(session: Session) -> list[Finding]:
    """Open incidents that neither wait in a queue nor are on anybody's list."""
    rows = session.execute(
        text(
            "select number from incident i where status = any(:open) and queue is null"
            " and not exists (select 1 from task t where t.incident_id = i.id"
            " and t.status in ('offered', 'accepted', 'arrived') and t.assignee_id is not null)"
            " order by number"
        ),
        {"open": list(OPEN_STATUSES)},
    )
    things = [row.number for row in rows]
    if not things:
        return []
    return [Finding("record.floating", len(things), things[:SHOWN], "/console")]
