"""Many points → segment, side and grid at their moments: the bulk twin of `grid/locate.py`, same rule, same answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.locate import CANDIDATES
from grid.nearest import SegmentIndex, choose, measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIDES = ("left", "right")


@dataclass(frozen=True)
class GroundIndex:
    """The ground in memory: index, and by row of the index the street; holdings by row, side and time.

    holdings: row, side (0, 1), grid_id, from_ns, to_ns (int64 nanoseconds UTC, open ends are the extremes).
    """

    index: SegmentIndex
    segment_ids: Ints
    streets: NDArray[np.object_]
    street_ids: Ints
    lines: NDArray[np.object_]
    tree: shapely.STRtree
    holdings: pd.DataFrame
    grids: dict[int, tuple[str, str]]
    read_us: int
    areas: pd.DataFrame

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
    rows = session.execute(
        text(
            "select s.id, s.rank, coalesce(s.street_id, -1) as street_id, t.name,"
            " st_asbinary(s.line_plane) as line from segment s"
            " left join street t on t.id = s.street_id where s.gone_at is null order by s.id"
        )
    ).all()
    lines = np.asarray(shapely.from_wkb([bytes(row.line) for row in rows]), dtype=object)
    coordinates, owners = shapely.get_coordinates(lines, return_index=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(rows)))])
    ids = np.array([row.id for row in rows], dtype=np.int64)
    rank = np.array([row.rank for row in rows], dtype=np.int64)
    return GroundIndex(
        index=SegmentIndex.build(ids, coordinates, offsets, rank),
        segment_ids=ids,
        streets=np.array([row.name for row in rows], dtype=object),
        street_ids=np.array([row.street_id for row in rows], dtype=np.int64),
        lines=lines,
        tree=shapely.STRtree(lines),
        holdings=_holdings(session, ids),
        grids={
            row.id: (row.code, row.name)
            for row in session.execute(text("select id, code, name from grid"))
        },
        areas=_areas(session),
        read_us=int(
            session.scalar(
                text("select (extract(epoch from statement_timestamp()) * 1000000)::bigint")
            )
            or 0
        ),
    )


def _areas(session: Session) -> pd.DataFrame:
    """Drawn areas, lower codes first: area (plane), grid_id, from_us, to_us."""
    rows = session.execute(
        text(
            "select st_asbinary(a.area_plane) as area, a.grid_id,"
            " coalesce((extract(epoch from lower(a.valid)) * 1000000)::bigint, -9000000000000000),"
            " coalesce((extract(epoch from upper(a.valid)) * 1000000)::bigint, 9000000000000000)"
            " from grid_area a join grid g on g.id = a.grid_id order by g.code, a.id"
        )
    ).all()
    frame = pd.DataFrame([tuple(r) for r in rows], columns=["area", "grid_id", "from_us", "to_us"])
    frame["area"] = list(shapely.from_wkb([bytes(r.area) for r in rows]))
    return frame


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


def _holdings(session: Session, ids: Ints) -> pd.DataFrame:
    rows = session.execute(
        text(
            "select segment_id, side, grid_id,"
            " coalesce((extract(epoch from lower(valid)) * 1000000)::bigint, -9000000000000000),"
            " coalesce((extract(epoch from upper(valid)) * 1000000)::bigint, 9000000000000000)"
            " from grid_segment order by segment_id, side, lower(valid)"
        )
    ).all()
    frame = pd.DataFrame(
        [tuple(row) for row in rows],
        columns=["segment_id", "side", "grid_id", "from_us", "to_us"],
    )
    frame["row"] = np.searchsorted(ids, frame["segment_id"].to_numpy(dtype=np.int64))
    frame["side"] = (frame["side"] == "right").astype(np.int8)
    present = frame["row"] < len(ids)
    frame = frame[present]
    same = ids[frame["row"].to_numpy()] == frame["segment_id"].to_numpy(dtype=np.int64)
    held: pd.DataFrame = frame[same].reset_index(drop=True)
    return held


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
