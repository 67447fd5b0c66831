"""The people of the bureau as the administration sees them: who is there, who holds which post since when, the units."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput, NotFound
from grid.crews import missing_posts
from grid.models import HOLDINGS

LONGEST_HISTORY = 200


@dataclass(frozen=True, slots=True)
class Leaving:
    """What rests on a person from a moment on: posts of grids (grid, name, post), and how much else.

    segments: posts of single segments · heads: the unit led · led: people who report to the person · covers: people
    for whom the person stands in by leave or shift.
    """

    posts: list[dict[str, Any]]
    segments: int
    heads: str | None
    led: int
    covers: int

    def plain(self) -> dict[str, Any]:
        """As it is told."""
        return asdict(self)


_STAFF = """
select s.id, s.staff_no, s.name, s.post, u.name as unit, s.phone, s.heads_unit, s.left_at,
    l.staff_no as leader_no, l.name as leader,
    coalesce((select json_agg(json_build_object('grid', g.code, 'name', g.name, 'post', p.post,
        'from', lower(p.valid), 'to', upper(p.valid)) order by g.code, p.post)
        from post_holding p join grid g on g.id = p.grid_id
        where p.staff_id = s.id and p.valid @> cast(:now as timestamptz)
            and g.valid @> cast(:now as timestamptz)), '[]') as posts,
    (select count(*) from post_holding p where p.staff_id = s.id and p.segment_id is not null
        and p.valid @> cast(:now as timestamptz)) as segments
from staff s left join unit u on u.id = s.unit_id left join staff l on l.id = s.reports_to
"""


def people_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Everybody, those who have left last: id, staff_no, name, post, unit, phone, leader, left_at, posts held now."""
    rows = session.execute(
        text(f"{_STAFF} order by coalesce(s.left_at <= :now, false), s.staff_no"), {"now": now}
    )
    return [dict(row) for row in rows.mappings()]


def person(session: Session, staff_no: str, now: datetime) -> dict[str, Any]:
    """One person as `people_at_hand` has it; NotFound `staff.unknown`."""
    row = session.execute(
        text(f"{_STAFF} where s.staff_no = :staff_no"), {"now": now, "staff_no": staff_no}
    )
    found = row.mappings().one_or_none()
    if found is None:
        raise NotFound("staff.unknown", field="staff_no", staff_no=staff_no)
    return dict(found)


def posts_of_person(session: Session, staff_id: int) -> list[dict[str, Any]]:
    """Every post that a person held, holds and will hold, the newest first: grid or segment, post, from, to."""
    rows = session.execute(
        text(
            "select g.code as grid, g.name, p.segment_id, p.post, lower(p.valid) as from_at,"
            " upper(p.valid) as to_at from post_holding p left join grid g on g.id = p.grid_id"
            " where p.staff_id = :id order by lower(p.valid) desc, g.code, p.post limit :most"
        ),
        {"id": staff_id, "most": LONGEST_HISTORY},
    )
    return [_period(row) for row in rows.mappings()]


def posts_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Grids in force with the holder of each post, since when, and what is planned; grids with a vacant post first.

    code, name, vacant (posts that nobody holds), posts by name: holder (staff_no, name, left) or None, from, planned.
    """
    vacant = missing_posts(session, now)
    grids: dict[str, dict[str, Any]] = {
        row.code: {"code": row.code, "name": row.name, "vacant": vacant.get(row.code, []),
                   "posts": {post: {"holder": None, "from": None, "planned": []} for post in HOLDINGS}}
        for row in session.execute(
            text("select code, name from grid where valid @> cast(:now as timestamptz) order by code"),
            {"now": now},
        )
    }  # fmt: skip
    rows = session.execute(
        text(
            "select g.code, p.post, s.staff_no, s.name, lower(p.valid) as from_at,"
            " upper(p.valid) as to_at, lower(p.valid) <= :now as begun,"
            " coalesce(s.left_at <= :now, false) as gone"
            " from post_holding p join grid g on g.id = p.grid_id join staff s on s.id = p.staff_id"
            " where g.valid @> cast(:now as timestamptz)"
            " and (upper_inf(p.valid) or upper(p.valid) > :now) order by lower(p.valid)"
        ),
        {"now": now},
    )
    for row in rows:
        post = grids[row.code]["posts"][row.post]
        who = {"staff_no": row.staff_no, "name": row.name, "left": row.gone}
        if row.begun:
            post |= {"holder": who, "from": row.from_at, "to": row.to_at}
        else:
            post["planned"].append({"holder": who, "from": row.from_at, "to": row.to_at})
    return sorted(grids.values(), key=lambda grid: (not grid["vacant"], grid["code"]))


def post_history(session: Session, code: str, post: str) -> list[dict[str, Any]]:
    """Who held, holds and will hold a post of a grid, the newest first: staff_no, name, from, to."""
    check_post(post)
    rows = session.execute(
        text(
            "select s.staff_no, s.name, lower(p.valid) as from_at, upper(p.valid) as to_at"
            " from post_holding p join grid g on g.id = p.grid_id join staff s on s.id = p.staff_id"
            " where g.code = :code and p.post = :post order by lower(p.valid) desc limit :most"
        ),
        {"code": code, "post": post, "most": LONGEST_HISTORY},
    )
    return [_period(row) for row in rows.mappings()]


def units_at_hand(session: Session) -> list[dict[str, Any]]:
    """Every unit: id, name, code, kind, parent, head (number and name), how many people."""
    rows = session.execute(
        text(
            "select u.id, u.name, u.code, u.kind, p.name as parent, h.staff_no as head_no,"
            " h.name as head, (select count(*) from staff s where s.unit_id = u.id"
            " and s.left_at is null) as people from unit u left join unit p on p.id = u.parent_id"
            " left join staff h on h.unit_id = u.id and h.heads_unit and h.left_at is null"
            " order by u.name"
        )
    )
    return [dict(row) for row in rows.mappings()]


def leaving(session: Session, staff_id: int, from_at: datetime) -> Leaving:
    """What would be left without this person from a moment on."""
    values = {"id": staff_id, "at": from_at}
    posts = session.execute(
        text(
            "select distinct g.code as grid, g.name, p.post from post_holding p"
            " join grid g on g.id = p.grid_id where p.staff_id = :id"
            " and (upper_inf(p.valid) or upper(p.valid) > :at)"
            " and (upper_inf(g.valid) or upper(g.valid) > :at) order by g.code, p.post"
        ),
        values,
    )
    rest = session.execute(
        text(
            "select (select count(*) from post_holding p where p.staff_id = s.id"
            "  and p.segment_id is not null and (upper_inf(p.valid) or upper(p.valid) > :at)) as segments,"
            " case when s.heads_unit then u.name end as heads,"
            " (select count(*) from staff o where o.reports_to = s.id and o.left_at is null) as led,"
            " (select count(distinct staff_id) from ("
            "  select staff_id from absence where substitute_id = s.id"
            "   and (upper_inf(valid) or upper(valid) > :at)"
            "  union all select staff_id from shift where substitute_id = s.id"
            "   and (upper_inf(valid) or upper(valid) > :at)) c) as covers"
            " from staff s left join unit u on u.id = s.unit_id where s.id = :id"
        ),
        values,
    ).one()
    return Leaving(
        [dict(row) for row in posts.mappings()], rest.segments, rest.heads, rest.led, rest.covers
    )


def check_post(post: str) -> None:
    """BadInput `posts.unknown`."""
    if post not in HOLDINGS:
        raise BadInput("posts.unknown", field="post", post=post, posts=", ".join(HOLDINGS))


def _period(row: Any) -> dict[str, Any]:
    told = dict(row)
    return {**told, "from": told.pop("from_at"), "to": told.pop("to_at")}
