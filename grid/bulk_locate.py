"""Many points → segment, side and grid at their moments: the bulk twin of `grid/locate.py`, same rule, same answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.ground_columns import (
    connection_of,
    read_area_rows,
    read_holding_columns,
    read_segment_columns,
)
from grid.locate import CANDIDATES
from grid.nearest import SegmentIndex, choose, measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class GroundIndex:
    """The ground in memory: index, and by row of the index (ids rising) the street; holdings by row, side and time.

    holdings: row, side (0, 1), grid_id, from_us, to_us (int64 µs UTC, open ends are the extremes).
    """

    index: SegmentIndex
    segment_ids: Ints
    streets: NDArray[np.object_]
    street_ids: Ints
    holdings: pd.DataFrame
    grids: dict[int, tuple[str, str]]
    read_us: int
    areas: pd.DataFrame

    @cached_property
    def lines(self) -> NDArray[np.object_]:
        """The lines as shapes, by row; made when somebody asks."""
        coords, offsets = self.index.lines()
        rows = np.repeat(np.arange(len(self.segment_ids)), np.diff(offsets))
        found: NDArray[np.object_] = shapely.linestrings(coords, indices=rows)
        return found

    @cached_property
    def tree(self) -> shapely.STRtree:
        """A tree of `lines`, for more than the nearest."""
        return shapely.STRtree(self.lines)

    def on_street(
        self, place: Floats, street_ids: Ints, row: Ints, side: Ints
    ) -> tuple[Ints, Ints]:
        """Rows and sides of the nearest segment of each place's own street, among the nearest
        `CANDIDATES` segments, as the single path does; the given row and side where there is none."""
        rows, sides = row.copy(), side.copy()
        for position, ((x, y), street) in enumerate(zip(place, street_ids, strict=True)):
            own = np.flatnonzero(self.street_ids == street)
            near = self._nearest_rows(float(x), float(y))
            ours = np.intersect1d(own, near)
            if not len(ours):
                continue
            found = [
                measure(shapely.get_coordinates(self.lines[r]), float(x), float(y)) for r in ours
            ]
            ids, rank = self.segment_ids[ours].tolist(), self.index.rank[ours].tolist()
            best = choose(found, rank, ids).winner
            rows[position], sides[position] = ours[best], found[best].side
        return rows, sides

    def _nearest_rows(self, x: float, y: float) -> Ints:
        """Rows of the CANDIDATES segments nearest to a point."""
        point = shapely.Point(x, y)
        reach_m = 100.0
        while True:
            rows = self.tree.query(point, predicate="dwithin", distance=reach_m)
            if len(rows) >= min(CANDIDATES, len(self.lines)):
                break
            reach_m *= 2
        distances = shapely.distance(self.lines[rows], point)
        return np.asarray(rows[np.lexsort((rows, distances))][:CANDIDATES], dtype=np.int64)


def read_ground_index(session: Session) -> GroundIndex:
    """Reads the segments in force and every holding, past ones too."""
    connection = connection_of(session)
    found = read_segment_columns(connection)
    names = dict(connection.execute("select id, name from street").fetchall())
    numbers, which = np.unique(found.street_ids, return_inverse=True)
    by_number = np.array([names.get(number) for number in numbers.tolist()], dtype=object)
    areas = read_area_rows(connection)
    frame = pd.DataFrame(areas, columns=["area", "grid_id", "from_us", "to_us"])
    frame["area"] = list(shapely.from_wkb([bytes(row[0]) for row in areas]))
    return GroundIndex(
        index=SegmentIndex.build(found.ids, found.coords, found.offsets, found.rank),
        segment_ids=found.ids,
        streets=by_number[which.reshape(-1)] if len(numbers) else by_number,
        street_ids=found.street_ids,
        holdings=_holdings(read_holding_columns(connection), found.ids),
        grids={
            row[0]: (row[1], row[2])
            for row in connection.execute("select id, code, name from grid").fetchall()
        },
        areas=frame,
        read_us=int(
            session.scalar(
                text("select (extract(epoch from statement_timestamp()) * 1000000)::bigint")
            )
            or 0
        ),
    )


def _drawn(ground: GroundIndex, place: Floats, at_us: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """The grid whose area each point lies in at a moment, -1 for none; and whether it was drawn then."""
    grid = np.full(len(place), -1, dtype=np.int64)
    then = np.zeros(len(place), dtype=bool)
    if not len(ground.areas):
        return grid, then
    tree = shapely.STRtree(ground.areas["area"].to_numpy())
    point, area = tree.query(shapely.points(place[:, 0], place[:, 1]), predicate="intersects")
    since = ground.areas["from_us"].to_numpy(dtype=np.int64)[area]
    until = ground.areas["to_us"].to_numpy(dtype=np.int64)[area]
    held = (since <= at_us[point]) & (at_us[point] < until)
    now = (since <= ground.read_us) & (ground.read_us < until)
    grid_ids = ground.areas["grid_id"].to_numpy(dtype=np.int64)
    # Written from the least to the best: the last one stands.
    order = np.lexsort((-area, held))
    for k in order[(held | now)[order]].tolist():
        grid[point[k]] = grid_ids[area[k]]
        then[point[k]] = held[k]
    return grid, then


def _holdings(table: Ints, ids: Ints) -> pd.DataFrame:
    """Holdings of the segments `ids` (rising), by row, from all holdings."""
    row = np.searchsorted(ids, table[:, 0])
    kept = row < len(ids)
    kept[kept] = ids[row[kept]] == table[kept, 0]
    held = table[kept]
    return pd.DataFrame(
        {
            "row": row[kept],
            "side": held[:, 1].astype(np.int8),
            "grid_id": held[:, 2],
            "from_us": held[:, 3],
            "to_us": held[:, 4],
        }
    )


def grids_of(
    ground: GroundIndex, row: Ints, side: Ints, at_us: Ints, place: Floats
) -> tuple[Ints, NDArray[np.bool_]]:
    """grid_id of each (row, side) at a moment, -1 for none; and whether it was held then.

    A point (`place`, plane metres) in a grid's drawn area is that grid's; one without a row is nobody's.

    For a moment at which nobody held it, the grid that held it when the index was read, as in `grid/locate.py`.
    """
    asked = pd.DataFrame(
        {"row": row, "side": side.astype(np.int8), "at": at_us, "order": np.arange(len(row))}
    ).sort_values("at", kind="stable")
    held = ground.holdings.sort_values("from_us", kind="stable")
    then = pd.merge_asof(
        asked, held, left_on="at", right_on="from_us", by=["row", "side"], direction="backward"
    ).sort_values("order")
    valid = then["to_us"].to_numpy() > then["at"].to_numpy()
    grid = np.where(valid, then["grid_id"].fillna(-1).to_numpy(), -1).astype(np.int64)
    held_then = grid >= 0
    if not held_then.all():
        since, until = ground.holdings["from_us"], ground.holdings["to_us"]
        present = ground.holdings[(since <= ground.read_us) & (ground.read_us < until)]
        now = np.full((len(ground.segment_ids), 2), -1, dtype=np.int64)
        now[present["row"].to_numpy(), present["side"].to_numpy()] = present["grid_id"]
        safe = np.where(row >= 0, row, 0)
        today = np.where(row >= 0, now[safe, np.where(side > 0, 1, 0)], -1)
        grid = np.where(held_then, grid, today)
    drawn, drawn_then = _drawn(ground, place, at_us)
    # Today's area stands in for a moment before the first division only, as today's grid does.
    inside = (drawn >= 0) & (row >= 0) & (drawn_then | ~held_then)
    grid = np.where(inside, drawn, grid)
    held_then = np.where(inside, drawn_then, held_then)
    return grid, held_then
