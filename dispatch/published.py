"""Incidents as anybody may read them: what residents reported, without a word of theirs, a name or a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.reading import OPEN_STATUSES
from grid.core.values import dataclass

# A place to the nearest ten metres or so: enough to find it, too little for one door.
PLACES = 4


@dataclass(frozen=True, slots=True)
class PublishedFilter:
    """Numbers, or categories, states (open, closed) and moments of report; empty is everything."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    states: frozenset[str] = frozenset()
    from_at: datetime | None = None
    to_at: datetime | None = None


def published(
    session: Session, asked: PublishedFilter, channels: Sequence[str], limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """Incidents of these channels, the newest first; a merged one leads to the one that is worked on.

    number, status, category_code, category_zh, category_en, reported_at, updated_at, due_at, ended_at, street, lon, lat
    (WGS 84, rounded), merged_into.
    """
    clauses = ["i.channel_code = any(:channels)"]
    values: dict[str, Any] = {"channels": list(channels), "limit": limit, "offset": offset}
    if asked.numbers:
        clauses.append("i.number = any(:numbers)")
        values["numbers"] = list(asked.numbers)
    if asked.categories:
        clauses.append("i.category_code = any(:categories)")
        values["categories"] = list(asked.categories)
    if len(asked.states) == 1:
        known = "" if "open" in asked.states else "not "
        clauses.append(f"{known}i.status = any(:open)")
        values["open"] = list(OPEN_STATUSES)
    if asked.from_at is not None:
        clauses.append("i.reported_at >= :from_at")
        values["from_at"] = asked.from_at
    if asked.to_at is not None:
        clauses.append("i.reported_at <= :to_at")
        values["to_at"] = asked.to_at
    rows = session.execute(
        text(
            "select i.number, i.status, i.category_code, c.name_zh as category_zh, c.name_en as category_en,"  # noqa: S608 (our own text)
            " i.reported_at, i.due_at, i.ended_at, s.name as street,"
            f" round(st_x(i.point)::numeric, {PLACES})::float8 as lon,"
            f" round(st_y(i.point)::numeric, {PLACES})::float8 as lat, m.number as merged_into,"
            " (select max(h.at) from history h where h.incident_id = i.id) as updated_at"
            " from incident i left join category c on c.code = i.category_code"
            " left join segment g on g.id = i.segment_id left join street s on s.id = g.street_id"
            " left join incident m on m.id = i.merged_into_id"
            f" where {' and '.join(clauses)} order by i.reported_at desc, i.id desc limit :limit offset :offset"
        ),
        values,
    )
    return [dict(row._mapping) for row in rows]
