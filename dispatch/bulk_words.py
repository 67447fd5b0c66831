"""Many texts to their places, segments and grids: the bulk twin of reading a report's words, same answers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dispatch.placed_by_words import find_words
from grid.book import Ground
from grid.bulk_locate import GroundIndex, grids_of
from grid.core.crs import from_plane, to_plane
from grid.core.values import dataclass
from grid.reach import ON_BOUNDARY_M, Reach

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SCHEMA = pa.schema(
    [
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("match", pa.string()),
        ("confidence", pa.float64()),
        ("street", pa.string()),
        ("segment_id", pa.int64()),
        ("grid_code", pa.string()),
    ]
)


@dataclass(frozen=True)
class WordFinder:
    """What finding words needs of one state of the town, without a database."""

    ground: Ground
    index: GroundIndex
    reach: Reach

    def table(self, texts: list[str], near: tuple[Floats, Floats] | None, at_us: int) -> pa.Table:
        """SCHEMA for texts; near: points told with them in WGS 84 degrees (NaN for none), to check against.

        The grid is the one that held the place at the moment `at_us` (µs UTC). `lon`, `lat` are WGS 84.
        """
        epsg = self.ground.town.plane_epsg
        found = find_words(texts, self.ground, _points(near, len(texts), epsg))
        place = np.array(
            [(np.nan, np.nan) if a.x_m is None else (a.x_m, a.y_m) for a in found]
        ).reshape(-1, 2)
        streets = np.array(
            [-1 if a.owner_street_id is None else a.owner_street_id for a in found], np.int64
        )
        row, side = self._owners(place, streets)
        grid, _ = grids_of(self.index, row, side, np.full(len(row), at_us), place)
        lon, lat = from_plane(place[:, 0], place[:, 1], epsg)
        nowhere = row < 0
        grid = np.where(self.reach.beyond_m(place[:, 0], place[:, 1]) <= ON_BOUNDARY_M, grid, -1)
        segment_ids = self.index.segment_ids[np.where(nowhere, 0, row)] if len(row) else row
        grids = self.index.grids
        columns = [
            pa.array(np.round(lon, 7), mask=nowhere),
            pa.array(np.round(lat, 7), mask=nowhere),
            pa.array([a.match for a in found], type=pa.string()),
            pa.array([round(a.confidence, 3) for a in found], type=pa.float64()),
            pa.array(
                [
                    a.street or (self.index.streets[r] if r >= 0 else None)
                    for a, r in zip(found, row.tolist(), strict=True)
                ],
                type=pa.string(),
            ),
            pa.array(segment_ids, mask=nowhere, type=pa.int64()),
            pa.array([grids[g][0] if g >= 0 else None for g in grid.tolist()], type=pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def _owners(self, place: Floats, streets: Ints) -> tuple[Ints, Ints]:
        """Row and side of the owner of each place; the street the words named goes before nearer ones."""
        found = self.index.index.nearest(place[:, 0], place[:, 1], threads=1, second=False)
        row, side = found.row.copy(), found.side.astype(np.int64)
        safe = np.where(row >= 0, row, 0)
        other = (row >= 0) & (streets >= 0)
        other[other] = self.index.street_ids[safe[other]] != streets[other]
        if other.any():
            row[other], side[other] = self.index.on_street(
                place[other], streets[other], row[other], side[other]
            )
        return row, side


def _points(
    near: tuple[Floats, Floats] | None, count: int, epsg: int
) -> list[tuple[float, float] | None]:
    if near is None:
        return [None] * count
    x, y = to_plane(*near, epsg)
    told = np.isfinite(x) & np.isfinite(y)
    pairs = zip(x.tolist(), y.tolist(), told.tolist(), strict=True)
    return [(a, b) if known else None for a, b, known in pairs]
