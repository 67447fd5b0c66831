"""Who answers for a grid at a moment: the four posts and the leader, with their stand-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import NotFound
from grid.models import HOLDINGS, POSTS

# The order in which somebody stands in for a post (stated in DECISIONS.md): never nobody.
STAND_INS = ("holder", "substitute", "unit_head", "leader", "leader_above")


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Answering:
    """The person who answers for a post, how (one of STAND_INS), for whom."""

    person: Person
    standing: str
    in_place_of: str | None


@dataclass(frozen=True, slots=True)
class Crew:
    """Who answers for each post of one grid (and segment) at one moment; a missing post is None."""

    posts: dict[str, Answering | None]

    def answering(self, post: str) -> Answering | None:
        """Who answers for `post`; None only when the grid has not even a leader."""
        return self.posts.get(post)


# Whoever stands in must be there at that moment too: neither gone nor away.
_HELD = text("""
with moment as (select cast(:at as timestamptz) as at),
present as (
    select s.id, s.name, s.unit_id, s.heads_unit, s.left_at from staff s, moment m
    where (s.left_at is null or s.left_at > m.at)
      and not exists (select 1 from absence a where a.staff_id = s.id and a.valid @> m.at)
)
select p.post, p.segment_id is not null as own, s.id, s.name,
    s.left_at is not null and s.left_at <= m.at as gone, a.id is not null as away,
    sub.id as sub_id, sub.name as sub_name, head.id as head_id, head.name as head_name
from moment m
join post_holding p on p.valid @> m.at and (p.grid_id = :grid or p.segment_id = :segment)
join staff s on s.id = p.staff_id
left join absence a on a.staff_id = s.id and a.valid @> m.at
left join present sub on sub.id = a.substitute_id
left join lateral (
    select id, name from present where heads_unit and unit_id = s.unit_id and id <> s.id
    order by left_at nulls last limit 1
) head on true
""")


def crew_at(session: Session, grid_id: int, segment_id: int | None, at: datetime) -> Crew:
    """The crew of a grid at a moment; a holding of the segment itself goes before the grid's."""
    rows = session.execute(_HELD, {"grid": grid_id, "segment": segment_id, "at": at}).all()
    held: dict[str, object] = {}
    for row in sorted(rows, key=lambda r: bool(r.own)):
        held[row.post] = row
    leader = _present(held.get("leader"))
    if leader is not None:
        leader = Answering(leader.person, "leader", leader.in_place_of)
    posts = {post: _present(held.get(post)) for post in HOLDINGS}
    if leader is None and any(posts[post] is None for post in POSTS):
        leader = _leader_above(session, held, at)
    return Crew({post: posts[post] or _led(held.get(post), leader) for post in HOLDINGS})


def _present(row: object) -> Answering | None:
    """The holder, else the substitute, else the unit's head."""
    if row is None:
        return None
    name = str(row.name)  # type: ignore[attr-defined]
    if not row.away and not row.gone:  # type: ignore[attr-defined]
        return Answering(Person(row.id, name), "holder", None)  # type: ignore[attr-defined]
    if row.sub_id is not None:  # type: ignore[attr-defined]
        return Answering(Person(row.sub_id, row.sub_name), "substitute", name)  # type: ignore[attr-defined]
    if row.head_id is not None:  # type: ignore[attr-defined]
        return Answering(Person(row.head_id, row.head_name), "unit_head", name)  # type: ignore[attr-defined]
    return None


def _led(row: object, leader: Answering | None) -> Answering | None:
    """Who leads answers for a post that nobody else answers for."""
    if leader is None:
        return None
    name = None if row is None else str(row.name)  # type: ignore[attr-defined]
    return Answering(leader.person, leader.standing, name)


# From the grid's leader upwards; where the grid names no leader, from those its people report to.
_ABOVE = text("""
with recursive chain (id, level) as (
    select s.reports_to, 1 from staff s where s.id = any(:from_ids) and s.reports_to is not null
    union
    select s.reports_to, c.level + 1 from staff s join chain c on c.id = s.id
    where s.reports_to is not null and c.level < 20
)
select s.id, s.name from chain c join staff s on s.id = c.id
where (s.left_at is null or s.left_at > :at) and not exists (
    select 1 from absence a where a.staff_id = s.id and a.valid @> cast(:at as timestamptz))
order by c.level, s.id limit 1
""")


def _leader_above(session: Session, held: dict[str, object], at: datetime) -> Answering | None:
    own = held.get("leader")
    rows = [own] if own is not None else list(held.values())
    ids = [row.id for row in rows]  # type: ignore[attr-defined]
    if not ids:
        return None
    row = session.execute(_ABOVE, {"from_ids": ids, "at": at}).one_or_none()
    return Answering(Person(row.id, row.name), "leader_above", None) if row else None


def crews_frame(session: Session, at: datetime) -> pd.DataFrame:
    """Posts by grid at a moment: grid_id, grid_code, grid_name, post, staff_id, staff_no, name, unit."""
    rows = session.execute(
        text(
            "select g.id as grid_id, g.code as grid_code, g.name as grid_name, p.post,"
            " s.id as staff_id, s.staff_no, s.name, u.name as unit"
            " from grid g left join post_holding p"
            " on p.grid_id = g.id and p.valid @> cast(:at as timestamptz)"
            " left join staff s on s.id = p.staff_id left join unit u on u.id = s.unit_id"
            " where g.valid @> cast(:at as timestamptz) order by g.code, p.post"
        ),
        {"at": at},
    )
    return pd.DataFrame(rows.all(), columns=list(rows.keys()))


def missing_posts(session: Session, at: datetime) -> dict[str, list[str]]:
    """Posts that nobody holds at a moment, by grid code; grids with all four are left out."""
    rows = session.execute(
        text(
            "select g.code, post.name from grid g"
            " cross join unnest(cast(:posts as text[])) with ordinality as post (name, place)"
            " where g.valid @> cast(:at as timestamptz) and not exists ("
            " select 1 from post_holding p join staff s on s.id = p.staff_id"
            " where p.grid_id = g.id and p.post = post.name and p.valid @> cast(:at as timestamptz)"
            " and (s.left_at is null or s.left_at > :at)) order by g.code, post.place"
        ),
        {"posts": list(POSTS), "at": at},
    )
    found: dict[str, list[str]] = {}
    for code, post in rows:
        found.setdefault(code, []).append(post)
    return found


def grid_crew(session: Session, code: str, at: datetime) -> dict[str, Any]:
    """A grid's people at a moment: code, name, posts by name: holder, answering (person, standing, in_place_of).

    Raises NotFound `grids.not_in_force`.
    """
    grid = session.execute(
        text("select id, name from grid where code = :code and valid @> cast(:at as timestamptz)"),
        {"code": code, "at": at},
    ).one_or_none()
    if grid is None:
        raise NotFound("grids.not_in_force", field="code", grid_code=code)
    holders = {
        row.post: {"id": row.id, "staff_no": row.staff_no, "name": row.name, "unit": row.unit}
        for row in session.execute(
            text(
                "select p.post, s.id, s.staff_no, s.name, u.name as unit from post_holding p"
                " join staff s on s.id = p.staff_id left join unit u on u.id = s.unit_id"
                " where p.grid_id = :id and p.valid @> cast(:at as timestamptz)"
            ),
            {"id": grid.id, "at": at},
        )
    }
    crew = crew_at(session, grid.id, None, at)
    return {
        "code": code,
        "name": grid.name,
        "posts": {
            post: {"holder": holders.get(post), "answering": _plain(crew.answering(post))}
            for post in HOLDINGS
        },
    }


def _plain(answering: Answering | None) -> dict[str, Any] | None:
    if answering is None:
        return None
    person = {"id": answering.person.id, "name": answering.person.name}
    return {**person, "standing": answering.standing, "in_place_of": answering.in_place_of}
