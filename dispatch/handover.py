"""Which open incidents a change of grids would give to another owner, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.reading import OPEN_STATUSES
from grid.changing import Plan
from grid.crews import Crew, crew_at


@dataclass(frozen=True, slots=True)
class HandOver:
    """One open incident that changes owner: from one grid and person to another (None: nobody)."""

    number: str
    from_grid: str | None
    to_grid: str
    post: str | None
    person_now: str | None
    person_then: str | None


def incidents_of_plan(session: Session, plan: Plan) -> list[HandOver]:
    """Open incidents on the sides of segments that a plan moves, by number."""
    return incidents_changing(
        session, plan.moves, plan.from_at, {m.code: m.crew_of for m in plan.made}
    )


def incidents_changing(
    session: Session,
    moves: Sequence[tuple[int, str, str]],
    from_at: datetime,
    crew_of: dict[str, str] | None = None,
) -> list[HandOver]:
    """Open incidents whose side of a segment goes to another grid; `moves` are (segment_id, side, code).

    The person now holds the lead task; without one, whoever answers for the post. The person then is
    whoever will answer at `from_at`; in a grid that does not exist yet, the crew of the grid in `crew_of`.
    """
    if not moves:
        return []
    rows = session.execute(
        text(
            "select i.number, i.segment_id, g.id as grid_id, g.code as from_code, m.code as to_code,"
            " c.post, k.name as person from incident i"
            " join unnest(cast(:segments as bigint[]), cast(:sides as text[]), cast(:codes as text[]))"
            " as m (segment_id, side, code) on m.segment_id = i.segment_id and m.side = i.side"
            " left join grid g on g.id = i.grid_id left join category c on c.code = i.category_code"
            " left join lateral (select p.name from task t join staff p on p.id = t.assignee_id"
            " where t.incident_id = i.id and t.status in ('offered', 'accepted', 'arrived', 'done')"
            " order by t.lead desc, t.id desc limit 1) k on true"
            " where i.status = any(:open) and g.code is distinct from m.code order by i.number"
        ),
        {
            "segments": [m[0] for m in moves],
            "sides": [m[1] for m in moves],
            "codes": [m[2] for m in moves],
            "open": list(OPEN_STATUSES),
        },
    ).all()
    crews = Crews(session, from_at, crew_of or {})
    return [
        HandOver(
            row.number,
            row.from_code,
            row.to_code,
            row.post,
            row.person or crews.named(row.from_code, row.segment_id, row.post),
            crews.named(row.to_code, row.segment_id, row.post),
        )
        for row in rows
    ]


class Crews:
    """Crews at one moment, each read once."""

    def __init__(self, session: Session, at: datetime, crew_of: dict[str, str]) -> None:
        self._session, self._at, self._crew_of = session, at, crew_of
        rows = session.execute(
            text("select code, id from grid where valid @> cast(:at as timestamptz)"), {"at": at}
        )
        self._grids: dict[str, int] = {row.code: row.id for row in rows}
        self._crews: dict[tuple[int, int], Crew] = {}

    def named(self, code: str | None, segment_id: int, post: str | None) -> str | None:
        """Who answers for a post; None without a grid, a post or anybody."""
        grid_id = self._grids.get(self._crew_of.get(code or "", code or ""))
        if grid_id is None or post is None:
            return None
        key = (grid_id, segment_id)
        if key not in self._crews:
            self._crews[key] = crew_at(self._session, grid_id, segment_id, self._at)
        answering = self._crews[key].answering(post)
        return answering.person.name if answering else None
