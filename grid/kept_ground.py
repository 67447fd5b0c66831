"""The ground in the memory of a server, for one point after another: nearest lines and who holds them.

Never stale: every use hands in the counters of `grid.change_counts`, read by its own session a moment before. When
they moved on, nothing is answered from memory (the tables are asked instead) and the parts that changed are
read again in the background.
"""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from grid.change_counts import Mark, Marks, read_marks_on
from grid.ground_columns import read_area_rows, read_holding_columns, read_segment_columns
from grid.nearest import Measured, kernels

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LOG = logging.getLogger(__name__)
ROUNDING_M = 0.001  # above the rule's limit between equals
ROOM_M = 1000.0
LEAST_CELL_M = 10.0


@dataclass(frozen=True, slots=True)
class Raster:
    """Edges by square cell: the corner, a cell's metres, columns and rows, starts by cell, edges, row by vertex."""

    west_m: float
    south_m: float
    cell_m: float
    columns: int
    rows: int
    starts: Ints
    edges: NDArray[np.int32]
    vertex_row: NDArray[np.int32]

    @classmethod
    def of(cls, coords: Floats, offsets: Ints) -> Raster:
        """About one cell for each line, some room around all."""
        low, high = coords.min(axis=0), coords.max(axis=0)
        width, height = (high - low + 2 * ROOM_M).tolist()
        cell_m = max(LEAST_CELL_M, float(np.sqrt(width * height / len(offsets))))
        west_m, south_m = (low - ROOM_M).tolist()
        columns, rows = int(width / cell_m) + 1, int(height / cell_m) + 1
        return cls(
            west_m, south_m, cell_m, columns, rows,
            *kernels.fill_cells(coords, offsets, west_m, south_m, cell_m, columns, rows),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Streets:
    """Segments in force by row (ascending ids): rank, street (-1 none), its name, vertices, and their raster."""

    mark: Mark
    ids: Ints
    rank: Ints
    street_ids: Ints
    names: dict[int, str]
    coords: Floats
    offsets: Ints
    raster: Raster | None

    def near(self, x_m: float, y_m: float, reach_m: float, most: int) -> list[tuple[int, Measured]]:
        """Rows at most `reach_m` farther from a point than the nearest, `most` of them, measured.

        Empty where nothing is near: then the database must be asked.
        """
        r = self.raster
        if r is None:
            return []
        found = kernels.lines_near(
            self.coords, self.offsets, r.starts, r.edges, r.vertex_row, r.west_m, r.south_m,
            r.cell_m, r.columns, r.rows, x_m, y_m, reach_m + ROUNDING_M,
        )  # fmt: skip
        if len(found) > most:
            found = found[np.argsort(found[:, 1], kind="stable")[:most]]
        return [
            (int(one[0]), Measured(one[1], one[2], int(one[3]), one[4])) for one in found.tolist()
        ]


@dataclass(frozen=True, slots=True)
class Holdings:
    """Who held what and when: periods of each segment's side, areas drawn (lower codes first), grids by id.

    starts[2 * place + side] .. : the periods (grid_id, from_us, to_us) of a side of `ids[place]`.
    """

    mark: Mark
    ids: Ints
    starts: Ints
    periods: Ints
    area_tree: shapely.STRtree | None
    area_held: list[tuple[int, int, int]]
    grids: dict[int, tuple[str, str]]

    def of_side(
        self, segment_id: int, side: int, at_us: int, now_us: int
    ) -> tuple[int, bool] | None:
        """(grid_id, whether it held then) of a side at a moment: then, else now, else None."""
        place = int(self.ids.searchsorted(segment_id))
        if place == len(self.ids) or self.ids[place] != segment_id:
            return None
        present = None
        low, high = self.starts[2 * place + side : 2 * place + side + 2].tolist()
        for grid_id, since, until in self.periods[low:high].tolist():
            if since <= at_us < until:
                return grid_id, True
            if since <= now_us < until:
                present = grid_id, False
        return present

    def of_area(self, x_m: float, y_m: float, at_us: int, now_us: int) -> tuple[int, bool] | None:
        """(grid_id, whether it held then) of the drawn area a point lies in, or None."""
        if self.area_tree is None:
            return None
        present = None
        for k in sorted(self.area_tree.query(shapely.Point(x_m, y_m), "intersects").tolist()):
            grid_id, since, until = self.area_held[k]
            if since <= at_us < until:
                return grid_id, True
            if present is None and since <= now_us < until:
                present = grid_id, False
        return present


class KeptGround:
    """The newest streets and holdings read of one database; `refresh` and `current` are safe from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        self._lock = threading.Lock()
        self._parts: tuple[Streets, Holdings] | None = None

    def current(self, marks: Marks) -> tuple[Streets, Holdings] | None:
        """The ground of exactly these marks; else None, and it is read again in the background."""
        parts = self._parts
        if parts is not None and parts[0].mark == marks.streets and parts[1].mark == marks.grids:
            return parts
        if not self._lock.locked():
            threading.Thread(target=self.refresh, name="kept-ground", daemon=True).start()
        return None

    def refresh(self) -> None:
        """Reads what changed, in one snapshot; one thread at a time, the others leave at once."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            engine = self._engine()
            if engine is not None:
                self._parts = self._read(engine)
        except (psycopg.Error, SQLAlchemyError) as error:
            # The tables answer meanwhile; the next point tries again.
            LOG.warning("the ground could not be kept in memory: %s", error)
        finally:
            self._lock.release()

    def _read(self, engine: Engine) -> tuple[Streets, Holdings] | None:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as opened:
            connection: Any = opened.connection.driver_connection
            marks = read_marks_on(connection)
            if marks is None:
                return None
            before = self._parts
            streets = before[0] if before else None
            holdings = before[1] if before else None
            if streets is None or streets.mark != marks.streets:
                streets = read_streets(connection, marks.streets)
            if holdings is None or holdings.mark != marks.grids:
                holdings = read_holdings(connection, marks.grids)
            opened.rollback()
            return streets, holdings


_KEPT: weakref.WeakKeyDictionary[Engine, KeptGround] = weakref.WeakKeyDictionary()


def keep_ground(engine: Engine) -> None:
    """From now on this process answers single points of a database from memory; reads it first."""
    kept = _KEPT.setdefault(engine, KeptGround(engine))
    kept.refresh()


def kept_ground(session: Session) -> KeptGround | None:
    """What is kept of the session's database; None where nobody asked for it."""
    bind = session.get_bind()
    return _KEPT.get(bind) if isinstance(bind, Engine) else None


def read_streets(connection: psycopg.Connection[Any], mark: Mark) -> Streets:
    """The segments in force."""
    found = read_segment_columns(connection)
    names = dict(connection.execute("select id, name from street").fetchall())
    return Streets(
        mark, found.ids, found.rank, found.street_ids, names, found.coords, found.offsets,
        Raster.of(found.coords, found.offsets) if len(found.ids) else None,
    )  # fmt: skip


def read_holdings(connection: psycopg.Connection[Any], mark: Mark) -> Holdings:
    """Every holding of ground, past and planned ones too."""
    table = read_holding_columns(connection)
    ids, place = np.unique(table[:, 0], return_inverse=True)
    counts = np.bincount(2 * place.reshape(-1) + table[:, 1], minlength=2 * len(ids))
    grids = connection.execute("select id, code, name from grid").fetchall()
    areas = read_area_rows(connection)
    shapes = [shapely.from_wkb(bytes(row[0])) for row in areas]
    return Holdings(
        mark,
        ids,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.ascontiguousarray(table[:, 2:]),
        shapely.STRtree(shapes) if shapes else None,
        [(row[1], row[2], row[3]) for row in areas],
        {row[0]: (row[1], row[2]) for row in grids},
    )
