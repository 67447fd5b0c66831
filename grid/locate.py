"""One point → segment, side and grid, in one SQL query.

THE RULE, the same in `grid/nearest` for many points at once: the least plane distance wins; segments
within 0.001 m of the least are equal, and among equals the more important class wins, then the lower
segment id. The side is left or right of the line as drawn. The database only names the candidates;
distance and side are worked out by the one kernel that the bulk path uses too, so both give the same
answer to the last bit. Where a grid's area was drawn, the area goes before: a point in it is that grid's,
whatever segment is nearest; a point on the border of two areas belongs to the lower code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.nearest import EQUAL_M, locate_on

# More segments than this never meet in one crossing within a millimetre.
CANDIDATES = 16


@dataclass(frozen=True, slots=True)
class GridRef:
    """A grid by id, code and name."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Located:
    """The segment that owns a point, the side, the grid, and the nearest other grid if one is near."""

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
    drawn.code as drawn_code, drawn.name as drawn_name, drawn.held as drawn_held, near.rank, st_asbinary(near.line_plane) as line,
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
) -> Located | None:
    """The segment, side and grid of a point given in the plane; None in a town without streets.

    The grid is the one that held the segment at `at`; for a moment before the first division it is
    the one that holds it now (`held_then` False). `neighbour` is the grid of the nearest segment in
    another grid, when that segment is at most `neighbour_m` farther away. With `street_id` (the words
    named the street) the nearest segment of that street among the candidates goes before nearer ones
    of other streets.
    """
    rows = session.execute(QUERY, {"x": x_m, "y": y_m, "at": at, "limit": CANDIDATES}).all()
    if not rows:
        return None
    measured = []
    for row in rows:
        line = shapely.get_coordinates(shapely.from_wkb(bytes(row.line)))
        measured.append((*locate_on(np.ascontiguousarray(line), x_m, y_m), row))
    named = [m for m in measured if street_id is not None and m[3].street_id == street_id]
    owners = named or measured
    least = min(m[0] for m in owners)
    distance_m, along_m, side_number, row = min(
        (m for m in owners if m[0] <= least + EQUAL_M), key=lambda m: (m[3].rank, m[3].id)
    )
    side = "left" if side_number == 0 else "right"
    grid, then = _grid_of(row, side)
    # Today's area stands in for a moment before the first division only, as today's grid does.
    if row.drawn_id is not None and (row.drawn_held or grid is None or not then):
        grid, then = _grid_of(row, "drawn")
    neighbour, neighbour_distance_m = None, None
    for other in sorted(measured, key=lambda m: (m[0], m[3].rank, m[3].id)):
        other_grid, _ = _grid_of(other[3], "left" if other[2] == 0 else "right")
        if other_grid is not None and grid is not None and other_grid.id != grid.id:
            if other[0] - distance_m <= neighbour_m:
                neighbour, neighbour_distance_m = other_grid, float(other[0])
            break
    return Located(
        segment_id=row.id,
        street_id=row.street_id,
        street=row.street,
        side=side,
        distance_m=float(distance_m),
        along_m=float(along_m),
        grid=grid,
        neighbour=neighbour,
        neighbour_distance_m=neighbour_distance_m,
        held_then=then,
    )


def _grid_of(row: object, side: str) -> tuple[GridRef | None, bool]:
    grid_id = getattr(row, f"{side}_id")
    if grid_id is None:
        return None, True
    ref = GridRef(grid_id, getattr(row, f"{side}_code"), getattr(row, f"{side}_name"))
    return ref, bool(getattr(row, f"{side}_held"))
