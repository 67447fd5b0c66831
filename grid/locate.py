"""One point → segment, side and grid at a moment, by the stated rule of the nearest segment.

THE RULE (DECISIONS.md and grid/nearest/rule.py). In the plane, the segment at the least distance wins; among
segments equally near the one that the point lies least beyond, then the more important class, then the lower
segment id. The side is left or right of the line as drawn. Candidates come from the database, or from memory
where the process keeps the ground (grid/kept_ground.py); distance, side and choice are made by the one kernel
that the bulk path uses too, so all give the same answer to the last bit. Where a grid's area was drawn, the
area goes before: a point in it is that grid's, whatever segment is nearest; a point on the border of two
areas belongs to the lower code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.change_counts import Marks, read_marks
from grid.core.values import dataclass
from grid.crews import Crew
from grid.kept_crews import crew_in_memory, crew_kept
from grid.kept_ground import KeptGround, Streets, kept_ground
from grid.nearest import Measured, choose, measure

# More segments than this never meet in one crossing.
CANDIDATES = 16
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class GridRef:
    """A grid by id, code and name."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Located:
    """The segment that owns a point, the side, the grid, and the nearest other grid if one is near.

    decided_by: "distance", or what decided between segments equally near: "way_on", "rank" or "id"
    (grid.nearest.Choice); equal_ids, equal_streets: all of these, the owner first, and their streets' names.
    """

    segment_id: int
    street_id: int | None
    street: str | None
    side: str
    distance_m: float
    along_m: float
    grid: GridRef | None
    neighbour: GridRef | None
    neighbour_distance_m: float | None
    held_then: bool
    decided_by: str = "distance"
    equal_ids: tuple[int, ...] = ()
    equal_streets: tuple[str, ...] = ()
    # The moment asked for and the grid's crew at it, where that came from memory together with the rest.
    crew: tuple[datetime, Crew] | None = None


class Near(NamedTuple):
    """A candidate: a segment, its street, its rank and the point against its line."""

    segment_id: int
    street_id: int | None
    street: str | None
    rank: int
    measured: Measured


# Who holds a candidate's side, and whether they held it then; or None.
Holder = tuple[GridRef, bool] | None


# The grid that held a side at the moment; for a moment before the first division the one that holds it now.
QUERY = text("""
with near as materialized (
    select id, street_id, rank, line_plane from segment
    where gone_at is null order by line_plane <-> st_makepoint(:x, :y) limit :limit
), drawn as materialized (
    select g.id, g.code, g.name, a.valid @> cast(:at as timestamptz) as held
    from grid_area a join grid g on g.id = a.grid_id
    where st_intersects(a.area_plane, st_makepoint(:x, :y))
      and (a.valid @> cast(:at as timestamptz) or a.valid @> statement_timestamp())
    order by a.valid @> cast(:at as timestamptz) desc, g.code limit 1
)
select near.id, near.street_id, street.name as street, drawn.id as drawn_id,
    drawn.code as drawn_code, drawn.name as drawn_name, drawn.held as drawn_held, near.rank,
    st_asbinary(near.line_plane) as line,
    left_grid.id as left_id, left_grid.code as left_code, left_grid.name as left_name,
    left_grid.held as left_held,
    right_grid.id as right_id, right_grid.code as right_code, right_grid.name as right_name,
    right_grid.held as right_held
from near
left join street on street.id = near.street_id
left join drawn on true
left join lateral (
    select g.id, g.code, g.name, h.valid @> cast(:at as timestamptz) as held
    from grid_segment h join grid g on g.id = h.grid_id
    where h.segment_id = near.id and h.side = 'left'
      and (h.valid @> cast(:at as timestamptz) or h.valid @> statement_timestamp())
    order by h.valid @> cast(:at as timestamptz) desc limit 1
) left_grid on true
left join lateral (
    select g.id, g.code, g.name, h.valid @> cast(:at as timestamptz) as held
    from grid_segment h join grid g on g.id = h.grid_id
    where h.segment_id = near.id and h.side = 'right'
      and (h.valid @> cast(:at as timestamptz) or h.valid @> statement_timestamp())
    order by h.valid @> cast(:at as timestamptz) desc limit 1
) right_grid on true
""")


def locate(
    session: Session,
    x_m: float,
    y_m: float,
    at: datetime,
    *,
    neighbour_m: float,
    street_id: int | None = None,
    marks: Marks | None = None,
) -> Located | None:
    """The segment, side and grid of a point given in the plane; None in a town without streets.

    The grid is the one that held the segment at `at`; for a moment before the first division it is
    the one that holds it now (`held_then` False). `neighbour` is the grid of the nearest segment in
    another grid, when that segment is at most `neighbour_m` farther away. With `street_id` (the words
    named the street) the nearest segment of that street among the candidates goes before nearer ones
    of other streets. `marks`: the counters of changes, where the same request has read them already.
    """
    kept = kept_ground(session)
    if kept is not None and isfinite(x_m) and isfinite(y_m):
        marks = marks or read_marks(session)
        found = None
        if marks is not None:
            found = _from_memory(kept, marks, x_m, y_m, at, neighbour_m, street_id)
        if found is not None:
            return found
    return _from_tables(session, x_m, y_m, at, neighbour_m, street_id)


def crew_of(session: Session, located: Located, at: datetime) -> Crew | None:
    """Who answers for a located point at a moment; None where no grid holds it.

    What came with the answer, when that was asked for the same moment; else it is read now.
    """
    if located.grid is None:
        return None
    if located.crew is not None and located.crew[0] == at:
        return located.crew[1]
    return crew_kept(session, located.grid.id, located.segment_id, at)


def _from_memory(
    kept: KeptGround,
    marks: Marks,
    x_m: float,
    y_m: float,
    at: datetime,
    neighbour_m: float,
    named_street: int | None,
) -> Located | None:
    """The answer from memory; None when what is kept is not what the session sees."""
    parts = kept.current(marks)
    if parts is None:
        return None
    streets, holdings = parts
    at_us = (at - EPOCH) // MICROSECOND
    near = []
    if named_street is None:
        measured_rows = streets.near(x_m, y_m, neighbour_m, CANDIDATES)
    else:
        measured_rows = _all_candidates(streets, x_m, y_m, neighbour_m)
    for row, measured in measured_rows:
        street_id = int(streets.street_ids[row])
        near.append(
            Near(
                int(streets.ids[row]),
                None if street_id < 0 else street_id,
                streets.names.get(street_id),
                int(streets.rank[row]),
                measured,
            )
        )

    def named(held: tuple[int, bool] | None) -> Holder:
        return None if held is None else (GridRef(held[0], *holdings.grids[held[0]]), held[1])

    def holder(one: Near) -> Holder:
        side = one.measured.side
        return named(holdings.of_side(one.segment_id, side, at_us, marks.now_us))

    drawn = named(holdings.of_area(x_m, y_m, at_us, marks.now_us))
    owners = [one for one in near if named_street is not None and one.street_id == named_street]
    found = _decided(near, owners or near, holder, drawn, neighbour_m) if near else None
    if found is None or found.grid is None:
        return found
    crew = crew_in_memory(kept, marks, found.grid.id, found.segment_id, at)
    return found if crew is None else replace(found, crew=(at, crew))


def _all_candidates(
    streets: Streets, x_m: float, y_m: float, reach_m: float
) -> list[tuple[int, Measured]]:
    """As many candidates as the database gives, however far: the named street may not be the nearest."""
    if streets.raster is None:
        return []
    reach_m = max(reach_m, 2 * streets.raster.cell_m)
    while True:
        found = streets.near(x_m, y_m, reach_m, CANDIDATES)
        if not found or len(found) >= min(CANDIDATES, len(streets.ids)):
            return found
        reach_m *= 2


def _from_tables(
    session: Session,
    x_m: float,
    y_m: float,
    at: datetime,
    neighbour_m: float,
    street_id: int | None,
) -> Located | None:
    """The answer from one query."""
    rows = session.execute(QUERY, {"x": x_m, "y": y_m, "at": at, "limit": CANDIDATES}).all()
    if not rows:
        return None
    by_id = {row.id: row for row in rows}
    near = []
    for row in rows:
        line = shapely.get_coordinates(shapely.from_wkb(bytes(row.line)))
        measured = measure(line, x_m, y_m)
        near.append(Near(row.id, row.street_id, row.street, row.rank, measured))

    def holder(one: Near) -> Holder:
        return _held(by_id[one.segment_id], "right" if one.measured.side else "left")

    named = [one for one in near if street_id is not None and one.street_id == street_id]
    return _decided(near, named or near, holder, _held(rows[0], "drawn"), neighbour_m)


def _decided(
    near: Sequence[Near],
    owners: Sequence[Near],
    holder: Callable[[Near], Holder],
    drawn: Holder,
    neighbour_m: float,
) -> Located:
    """The owner among `owners`, its grid (a drawn area goes before) and the neighbour among all that are near."""
    ids = [one.segment_id for one in owners]
    choice = choose([one.measured for one in owners], [one.rank for one in owners], ids)
    owner = owners[choice.winner]
    others = (owners[k] for k in choice.equals if k != choice.winner)
    equals = [owner, *sorted(others, key=lambda one: (one.rank, one.segment_id))]
    distance_m = owner.measured.distance_m
    grid, then = holder(owner) or (None, True)
    # Today's area stands in for a moment before the first division only, as today's grid does.
    if drawn is not None and (drawn[1] or grid is None or not then):
        grid, then = drawn
    neighbour, neighbour_distance_m = None, None
    for other in sorted(near, key=lambda one: (one.measured.distance_m, one.rank, one.segment_id)):
        if grid is None or other.measured.distance_m - distance_m > neighbour_m:
            break
        held = holder(other)
        if held is not None and held[0].id != grid.id:
            neighbour, neighbour_distance_m = held[0], other.measured.distance_m
            break
    streets = dict.fromkeys(one.street or "" for one in equals)
    return Located(
        segment_id=owner.segment_id,
        street_id=owner.street_id,
        street=owner.street,
        side="right" if owner.measured.side else "left",
        distance_m=distance_m,
        along_m=owner.measured.along_m,
        grid=grid,
        neighbour=neighbour,
        neighbour_distance_m=neighbour_distance_m,
        held_then=then,
        decided_by=choice.decided_by,
        equal_ids=tuple(one.segment_id for one in equals) if len(equals) > 1 else (),
        equal_streets=tuple(streets) if len(equals) > 1 else (),
    )


def _held(row: Any, side: str) -> Holder:
    """Who holds a side (or the area drawn) of a row of the query."""
    grid_id = getattr(row, f"{side}_id")
    if grid_id is None:
        return None
    ref = GridRef(grid_id, getattr(row, f"{side}_code"), getattr(row, f"{side}_name"))
    return ref, bool(getattr(row, f"{side}_held"))
