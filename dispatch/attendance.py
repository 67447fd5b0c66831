"""Shifts as they are worked (考勤): signed in and out by place, positions only in between, streets that were patrolled.

Sign-in is always recorded, with how far it was from one's own grids: a phone's position errs, and a person who cannot
sign in does not begin to work. Positions outside a shift are never kept; those of a shift are forgotten after a set
time, the coverage of its segments stays. A shift that nobody ended is ended by the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.field_models import PatrolCover, Position
from grid.core.bulk import ewkt_point
from grid.core.crs import to_plane
from grid.core.errors import BadInput
from grid.core.values import dataclass
from grid.town import town_facts

# A segment is seen from so far; it counts as covered when so much of its length was.
SEEN_M = 30.0
COVERED_SHARE = 0.5
# Positions that err more tell nothing about which street it was.
WORST_ACCURACY_M = 50.0
# Between two positions the way is taken as straight only when they are this near in time and place.
JOINED_S = 120.0
JOINED_M = 300.0
LONGEST_SHIFT = timedelta(hours=16)
# What a phone without network may bring later, and how far its clock may run ahead.
LATEST = timedelta(days=3)
CLOCK_AHEAD = timedelta(minutes=10)

_MINE = """
    mine as (
        select distinct s.id, s.line_plane, s.length_m from post_holding h
        left join grid_segment k on k.grid_id = h.grid_id and k.valid @> cast(:at as timestamptz)
        join segment s on s.id = coalesce(h.segment_id, k.segment_id) and s.gone_at is null
        where h.staff_id = :staff and h.valid @> cast(:at as timestamptz)
    )
"""


@dataclass(frozen=True, slots=True)
class Fix:
    """A position of a phone: moment, WGS 84 degrees, radius of error in metres if it said so."""

    at: datetime
    lon: float
    lat: float
    accuracy_m: float | None = None


def sign_in(
    session: Session,
    staff_id: int,
    at: datetime,
    place: tuple[float, float] | None,
    now: datetime,
) -> dict[str, Any]:
    """Begins a shift and returns it as `shift_of` does; somebody on a shift already stays on it.

    `place` is (lon, lat), WGS 84. Raises BadInput `shift.in_future`, `shift.too_old`.
    """
    began_at = _moment(at, now)
    apart = None if place is None else _metres_from_own(session, staff_id, place, began_at)
    point = None if place is None else ewkt_point(*place)
    session.execute(
        text(
            "insert into attendance (staff_id, began_at, began_point, began_m, received_at)"
            " select :staff, greatest(:at, coalesce((select max(ended_at) from attendance"
            " where staff_id = :staff), :at)), st_geomfromewkt(:point), :apart, :now"
            " on conflict (staff_id) where ended_at is null do nothing"
        ),
        {"staff": staff_id, "at": began_at, "point": point, "apart": apart, "now": now},
    )
    return shift_of(session, staff_id, now)


def sign_out(
    session: Session,
    staff_id: int,
    at: datetime,
    place: tuple[float, float] | None,
    now: datetime,
) -> dict[str, Any]:
    """Ends the shift and returns what is left; without an open shift nothing happens."""
    point = None if place is None else ewkt_point(*place)
    session.execute(
        text(
            "update attendance set ended_at = greatest(:at, began_at),"
            " ended_point = st_geomfromewkt(:point) where staff_id = :staff and ended_at is null"
        ),
        {"staff": staff_id, "at": _moment(at, now), "point": point},
    )
    return shift_of(session, staff_id, now)


def keep_positions(
    session: Session, staff_id: int, fixes: Sequence[Fix], now: datetime
) -> dict[str, int]:
    """Keeps positions that lie within a shift of this person; `kept` and `outside_shift` count them.

    Coverage of the person's own segments follows at once.
    """
    shifts = session.execute(
        text(
            "select id, began_at, ended_at from attendance where staff_id = :staff"
            " and coalesce(ended_at, 'infinity') >= :since order by began_at"
        ),
        {"staff": staff_id, "since": now - LATEST},
    ).all()
    kept: dict[int, list[Fix]] = {}
    for fix in fixes:
        for shift in shifts:
            if (
                shift.began_at
                <= fix.at
                <= min(shift.ended_at or now + CLOCK_AHEAD, now + CLOCK_AHEAD)
            ):
                kept.setdefault(shift.id, []).append(fix)
                break
    for shift_id, found in kept.items():
        rows = [
            {
                "attendance_id": shift_id,
                "at": fix.at,
                "received_at": now,
                "accuracy_m": fix.accuracy_m,
                "point": ewkt_point(fix.lon, fix.lat),
            }
            for fix in found
        ]
        session.execute(insert(Position).values(rows).on_conflict_do_nothing())
        _cover(session, shift_id, staff_id, found, now)
    count = sum(map(len, kept.values()))
    return {"kept": count, "outside_shift": len(fixes) - count}


def shift_of(session: Session, staff_id: int, now: datetime) -> dict[str, Any]:
    """My shift: `on_shift`, `began_at`, `began_m`, `ended_at` of the newest, and what of my segments it covered."""
    row = session.execute(
        text(
            "select id, began_at, began_m, ended_at, ended_by_clock from attendance"
            " where staff_id = :staff order by began_at desc limit 1"
        ),
        {"staff": staff_id},
    ).one_or_none()
    found: dict[str, Any] = {"on_shift": row is not None and row.ended_at is None}
    if row is not None:
        found |= {name: value for name, value in row._mapping.items() if name != "id"}
    return found | coverage(session, None if row is None else row.id, staff_id, now)


def coverage(
    session: Session, attendance_id: int | None, staff_id: int, at: datetime
) -> dict[str, Any]:
    """`segments` a person answers for, how many of them a shift `covered`, and the `share` of their length."""
    row = session.execute(
        text(
            f"with {_MINE} select count(*) as segments,"  # noqa: S608 (our own text)
            " count(*) filter (where c.share >= :enough) as covered,"
            " coalesce(sum(m.length_m * c.share) / nullif(sum(m.length_m), 0), 0) as share"
            " from mine m left join patrol_cover c on c.segment_id = m.id"
            " and c.attendance_id = :shift"
        ),
        {"staff": staff_id, "at": at, "shift": attendance_id, "enough": COVERED_SHARE},
    ).one()
    return {"segments": row.segments, "covered": row.covered, "share": round(float(row.share), 3)}


def on_duty(session: Session, people: Sequence[int] | None, now: datetime) -> list[dict[str, Any]]:
    """Who is on a shift: person, post, grids, sign-in, last position (lon, lat, accuracy) and its age, coverage.

    `people` bounds whom the reader may see; None is everybody.
    """
    rows = session.execute(
        text(
            "select a.id, a.staff_id, s.name, s.post, u.name as unit, a.began_at, a.began_m,"
            " st_x(p.point) as lon, st_y(p.point) as lat, p.at, p.accuracy_m,"
            " array(select distinct g.code from post_holding h join grid g on g.id = h.grid_id"
            "  where h.staff_id = a.staff_id and h.valid @> cast(:now as timestamptz)"
            "  order by 1) as grids"
            " from attendance a join staff s on s.id = a.staff_id"
            " left join unit u on u.id = s.unit_id"
            " left join lateral (select * from position q where q.attendance_id = a.id"
            "  order by q.at desc limit 1) p on true"
            " where a.ended_at is null and (cast(:people as bigint[]) is null"
            " or a.staff_id = any(cast(:people as bigint[]))) order by s.name, s.id"
        ),
        {"now": now, "people": None if people is None else list(people)},
    ).all()
    return [
        {
            "staff_id": row.staff_id,
            "name": row.name,
            "post": row.post,
            "unit": row.unit,
            "grids": row.grids,
            "began_at": row.began_at,
            "began_m": row.began_m,
            "position": None
            if row.at is None
            else {
                "lon": row.lon,
                "lat": row.lat,
                "accuracy_m": row.accuracy_m,
                "at": row.at,
                "age_s": max(0, round((now - row.at).total_seconds())),
            },
            "coverage": coverage(session, row.id, row.staff_id, now),
        }
        for row in rows
    ]


def end_forgotten(session: Session, now: datetime) -> int:
    """Ends shifts that nobody ended, at their last position or after the longest shift; how many."""
    done = session.execute(
        text(
            "update attendance a set ended_by_clock = true, ended_at = coalesce((select max(p.at)"
            " from position p where p.attendance_id = a.id and p.at >= a.began_at), a.began_at + :longest)"
            " where a.ended_at is null and a.began_at < :before returning a.id"
        ),
        {"before": now - LONGEST_SHIFT, "longest": LONGEST_SHIFT},
    )
    return len(done.all())


def forget_positions(session: Session, now: datetime, keep: timedelta) -> int:
    """Takes positions away, and the places of signing in and out and of steps, that are older than `keep`; how many."""
    before = {"before": now - keep}
    session.execute(
        text(
            "update attendance set began_point = null, ended_point = null"
            " where began_at < :before and (began_point is not null or ended_point is not null)"
        ),
        before,
    )
    session.execute(text("delete from step_place where at < :before"), before)
    gone = session.execute(text("delete from position where at < :before returning 1"), before)
    return len(gone.all())


def _moment(at: datetime, now: datetime) -> datetime:
    if at > now + CLOCK_AHEAD:
        raise BadInput("shift.in_future", field="at", at=at.isoformat())
    if at < now - LATEST:
        raise BadInput("shift.too_old", field="at", at=at.isoformat(), days=LATEST.days)
    return min(at, now)


def _metres_from_own(
    session: Session, staff_id: int, place: tuple[float, float], at: datetime
) -> float | None:
    x, y = to_plane(*place, town_facts(session).plane_epsg)
    apart = session.scalar(
        text(
            f"with {_MINE} select min(st_distance(line_plane, st_makepoint(:x, :y))) from mine"  # noqa: S608
        ),
        {"staff": staff_id, "at": at, "x": float(x), "y": float(y)},
    )
    return None if apart is None else round(float(apart), 1)


def _cover(
    session: Session, shift_id: int, staff_id: int, fixes: Sequence[Fix], now: datetime
) -> None:
    """Measures anew how much of the segments near the new positions the whole shift's track came near."""
    rows = session.execute(
        text(
            "select extract(epoch from at) as s, st_x(point) as lon, st_y(point) as lat,"
            " at >= :first as fresh from position where attendance_id = :shift"
            " and coalesce(accuracy_m, 0) <= :worst order by at"
        ),
        {"shift": shift_id, "first": min(fix.at for fix in fixes), "worst": WORST_ACCURACY_M},
    ).all()
    if not rows:
        return
    x, y = to_plane([r.lon for r in rows], [r.lat for r in rows], town_facts(session).plane_epsg)
    seen = shapely.buffer(track(np.asarray([float(r.s) for r in rows]), x, y), SEEN_M)
    fresh = [i for i, row in enumerate(rows) if row.fresh]
    if not fresh:
        return
    begin = max(0, fresh[0] - 1)
    box = shapely.bounds(shapely.linestrings(x[begin:], y[begin:])) if len(rows) - begin > 1 else (
        x[begin], y[begin], x[begin], y[begin])  # fmt: skip
    west, south, east, north = (float(value) for value in box)
    near = session.execute(
        text(
            f"with {_MINE} select id, st_asbinary(line_plane) as line from mine where line_plane &&"  # noqa: S608
            " st_makeenvelope(:west, :south, :east, :north)"
        ),
        {
            "staff": staff_id,
            "at": now,
            "west": west - SEEN_M,
            "south": south - SEEN_M,
            "east": east + SEEN_M,
            "north": north + SEEN_M,
        },
    ).all()
    if not near:
        return
    lines = shapely.from_wkb([bytes(row.line) for row in near])
    inside = shapely.length(shapely.intersection(lines, seen))
    share = np.clip(inside / np.maximum(shapely.length(lines), 1e-9), 0.0, 1.0)
    found = [
        {"attendance_id": shift_id, "segment_id": row.id, "share": float(part)}
        for row, part in zip(near, share, strict=True)
        if part > 0
    ]
    if found:
        statement = insert(PatrolCover).values(found)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["attendance_id", "segment_id"],
                set_={"share": statement.excluded.share},
            )
        )


def track(at_s: np.ndarray, x_m: np.ndarray, y_m: np.ndarray) -> Any:
    """The way walked as a shapely geometry: straight between positions near in time and place, else single points."""
    parts: list[Any] = [shapely.Point(x_m[0], y_m[0])]
    for i, j in pairwise(range(len(at_s))):
        joined = (
            at_s[j] - at_s[i] <= JOINED_S and np.hypot(x_m[j] - x_m[i], y_m[j] - y_m[i]) <= JOINED_M
        )
        parts.append(
            shapely.LineString([(x_m[i], y_m[i]), (x_m[j], y_m[j])])
            if joined
            else shapely.Point(x_m[j], y_m[j])
        )
    return shapely.union_all(parts)
