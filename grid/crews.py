"""Who answers for a grid at a moment: the four posts and the leader, with their stand-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from grid.core.errors import NotFound
from grid.core.values import dataclass
from grid.models import HOLDINGS, POSTS
from grid.shifts import off_shift

# The order in which somebody answers for a post (stated in DECISIONS.md): never nobody.
STAND_INS = ("holder", "substitute", "unit_head", "leader", "leader_above", "off_duty")


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Answering:
    """The person who answers for a post, how (one of STAND_INS), for whom, and why that one is not there.

    because: off_shift, away, left, or None where the holder answers or nobody holds the post.
    """

    person: Person
    standing: str
    in_place_of: str | None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """Who answers for each post of one grid (and segment) at one moment; a missing post is None."""

    posts: dict[str, Answering | None]

    def answering(self, post: str) -> Answering | None:
        """Who answers for `post`; None only when the grid has not even a leader."""
        return self.posts.get(post)


# `s` is a row of staff, `m.at` the moment. Whoever answers must be there: neither gone, nor away, nor off shift.
_AWAY = "exists (select 1 from absence a where a.staff_id = s.id and a.valid @> m.at)"
_OFF = f"(cast(:by_shift as boolean) and {off_shift('s.id', 'm.at')})"
_THERE = f"((s.left_at is null or s.left_at > m.at) and not {_AWAY} and not {_OFF})"
_MOMENT = "m as (select cast(:at as timestamptz) as at)"
_HELD = text(f"""
with {_MOMENT}
select p.post, p.segment_id is not null as own, s.id, s.name,
    s.left_at is not null and s.left_at <= m.at as gone, {_AWAY} as away, {_OFF} as off
from m join post_holding p on p.valid @> m.at and (p.grid_id = :grid or p.segment_id = :segment)
join staff s on s.id = p.staff_id
""")  # noqa: S608 (fixed words)
# From substitute to substitute, until one is there.
_SUBSTITUTES = text(f"""
with recursive {_MOMENT}, chain (origin, id, level, path) as (
    select o.id, o.id, 0, array[o.id] from unnest(cast(:ids as bigint[])) as o (id)
    union all
    select c.origin, n.id, c.level + 1, c.path || n.id
    from chain c join staff s on s.id = c.id cross join m
    join lateral (
        select a.substitute_id as id from absence a where a.staff_id = s.id and a.valid @> m.at
        union
        select h.substitute_id from shift h where h.staff_id = s.id and h.valid @> m.at
            and not exists (select 1 from absence a where a.staff_id = s.id and a.valid @> m.at
                and a.substitute_id is not null)
    ) n on n.id is not null and n.id <> all (c.path)
    where c.level < 8 and (c.level = 0 or not {_THERE})
)
select distinct on (c.origin) c.origin, s.id, s.name
from chain c join staff s on s.id = c.id cross join m
where c.level > 0 and {_THERE} order by c.origin, c.level, s.id
""")  # noqa: S608 (fixed words)
# The head of the unit; where it has none who is there, of the unit that it is part of.
_HEADS = text(f"""
with recursive {_MOMENT}, upwards (origin, unit_id, level) as (
    select id, unit_id, 0 from staff where id = any(:ids) and unit_id is not null
    union all
    select u.origin, n.parent_id, u.level + 1 from upwards u join unit n on n.id = u.unit_id
    where n.parent_id is not null and u.level < 8
)
select distinct on (u.origin) u.origin, s.id, s.name
from upwards u join staff s on s.unit_id = u.unit_id and s.heads_unit and s.id <> u.origin
cross join m where {_THERE} order by u.origin, u.level, s.left_at nulls last, s.id
""")  # noqa: S608 (fixed words)
# From the grid's leader upwards; where the grid names no leader, from those its people report to.
_ABOVE = text(f"""
with recursive {_MOMENT}, chain (id, level) as (
    select s.reports_to, 1 from staff s where s.id = any(:ids) and s.reports_to is not null
    union
    select s.reports_to, c.level + 1 from staff s join chain c on c.id = s.id
    where s.reports_to is not null and c.level < 20
)
select s.id, s.name from chain c join staff s on s.id = c.id cross join m
where {_THERE} order by c.level, s.id limit 1
""")  # noqa: S608 (fixed words)


def crew_at(session: Session, grid_id: int, segment_id: int | None, at: datetime) -> Crew:
    """The crew of a grid at a moment; a holding of the segment itself goes before the grid's.

    Where nobody of a post's whole line is on shift, the first of it who is otherwise there answers (off_duty).
    """
    posts = _crew(session, grid_id, segment_id, at, by_shift=True)
    if any(posts[post] is None for post in POSTS) and session.scalar(_ANY_SHIFT):
        asleep = _crew(session, grid_id, segment_id, at, by_shift=False)
        for post, answering in asleep.items():
            if posts[post] is None and answering is not None:
                because = answering.because or "off_shift"
                posts[post] = replace(answering, standing="off_duty", because=because)
    return Crew(posts)


_ANY_SHIFT = text("select exists (select 1 from shift)")


def _crew(
    session: Session, grid_id: int, segment_id: int | None, at: datetime, *, by_shift: bool
) -> dict[str, Answering | None]:
    values = {"at": at, "by_shift": by_shift}
    rows = session.execute(_HELD, {**values, "grid": grid_id, "segment": segment_id}).mappings()
    held = {row["post"]: row for row in sorted(rows, key=lambda row: bool(row["own"]))}
    missing = {row["id"] for row in held.values() if _because(row)}
    substitutes = _by_origin(session, _SUBSTITUTES, missing, values)
    heads = _by_origin(session, _HEADS, missing - set(substitutes), values)
    posts = {
        post: _present(held[post], substitutes, heads) if post in held else None
        for post in HOLDINGS
    }
    leader = posts["leader"]
    if leader is not None:
        leader = replace(leader, standing="leader")
    elif any(posts[post] is None for post in POSTS):
        leader = _leader_above(session, held, values)
    return {post: posts[post] or _led(held.get(post), leader) for post in HOLDINGS}


def _by_origin(
    session: Session, query: Any, ids: set[int], values: dict[str, object]
) -> dict[int, Person]:
    """Who stands in for each of some people."""
    if not ids:
        return {}
    rows = session.execute(query, {**values, "ids": sorted(ids)})
    return {row.origin: Person(row.id, row.name) for row in rows}


def _because(row: RowMapping) -> str | None:
    """Why a holder does not answer; None for one who is there."""
    if row["gone"]:
        return "left"
    if row["away"]:
        return "away"
    return "off_shift" if row["off"] else None


def _present(
    row: RowMapping, substitutes: dict[int, Person], heads: dict[int, Person]
) -> Answering | None:
    """The holder, else the substitute, else the unit's head."""
    because = _because(row)
    if because is None:
        return Answering(Person(row["id"], row["name"]), "holder", None)
    for standing, found in (("substitute", substitutes), ("unit_head", heads)):
        if row["id"] in found:
            return Answering(found[row["id"]], standing, row["name"], because)
    return None


def _led(row: RowMapping | None, leader: Answering | None) -> Answering | None:
    """Who leads answers for a post that nobody else answers for."""
    if leader is None:
        return None
    if row is None:
        return Answering(leader.person, leader.standing, None)
    return Answering(leader.person, leader.standing, row["name"], _because(row))


def _leader_above(
    session: Session, held: dict[str, RowMapping], values: dict[str, object]
) -> Answering | None:
    own = held.get("leader")
    rows: Sequence[RowMapping] = [own] if own is not None else list(held.values())
    ids = sorted({row["id"] for row in rows})
    if not ids:
        return None
    row = session.execute(_ABOVE, {**values, "ids": ids}).one_or_none()
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


def missing_posts(
    session: Session, at: datetime, grid_code: str | None = None
) -> dict[str, list[str]]:
    """Posts that nobody holds at a moment, by grid code (of one grid or all); grids with all four are left out."""
    rows = session.execute(
        text(
            "select g.code, post.name from grid g"
            " cross join unnest(cast(:posts as text[])) with ordinality as post (name, place)"
            " where g.valid @> cast(:at as timestamptz)"
            " and (cast(:code as text) is null or g.code = :code) and not exists ("
            " select 1 from post_holding p join staff s on s.id = p.staff_id"
            " where p.grid_id = g.id and p.post = post.name and p.valid @> cast(:at as timestamptz)"
            " and (s.left_at is null or s.left_at > :at)) order by g.code, post.place"
        ),
        {"posts": list(POSTS), "at": at, "code": grid_code},
    )
    found: dict[str, list[str]] = {}
    for code, post in rows:
        found.setdefault(code, []).append(post)
    return found


def grid_crew(session: Session, code: str, at: datetime) -> dict[str, Any]:
    """A grid's people at a moment: code, name, missing_posts, posts by name: holder, answering.

    holder: person, unit, shifts in force (name, weekdays from Monday = 1, begins, ends, time_zone) ·
    answering: person, standing, in_place_of, because. Raises NotFound `grids.not_in_force`.
    """
    grid = session.execute(
        text("select id, name from grid where code = :code and valid @> cast(:at as timestamptz)"),
        {"code": code, "at": at},
    ).one_or_none()
    if grid is None:
        raise NotFound("grids.not_in_force", field="code", grid_code=code)
    holders = {
        row.post: {
            "id": row.id,
            "staff_no": row.staff_no,
            "name": row.name,
            "unit": row.unit,
            "shifts": row.shifts or [],
        }
        for row in session.execute(
            text(
                "select p.post, s.id, s.staff_no, s.name, u.name as unit,"
                " (select json_agg(json_build_object('name', h.name, 'weekdays', h.weekdays,"
                " 'begins', to_char(h.begins, 'HH24:MI'), 'ends', to_char(h.ends, 'HH24:MI'),"
                " 'time_zone', h.time_zone) order by h.begins, h.id) from shift h"
                " where h.staff_id = s.id and h.valid @> cast(:at as timestamptz)) as shifts"
                " from post_holding p join staff s on s.id = p.staff_id left join unit u on u.id = s.unit_id"
                " where p.grid_id = :id and p.valid @> cast(:at as timestamptz)"
            ),
            {"id": grid.id, "at": at},
        )
    }
    crew = crew_at(session, grid.id, None, at)
    return {
        "code": code,
        "name": grid.name,
        "missing_posts": missing_posts(session, at, code).get(code, []),
        "posts": {
            post: {"holder": holders.get(post), "answering": _plain(crew.answering(post))}
            for post in HOLDINGS
        },
    }


def _plain(answering: Answering | None) -> dict[str, Any] | None:
    if answering is None:
        return None
    person = {"id": answering.person.id, "name": answering.person.name}
    return {
        **person,
        "standing": answering.standing,
        "in_place_of": answering.in_place_of,
        "because": answering.because,
    }
