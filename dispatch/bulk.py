"""Many points to their grid, post and person: the bulk twin of placing and routing, same rule, same answers.

Two steps, so that the first and the last can run on many cores or machines without a database: `PointRouter.place`
finds segment, side and grid; `CrewBook` tells who answers there (people change only at a few moments, so each
grid's crew is read once for each stretch between two changes and set of shifts that run); `PointRouter.table` writes it down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue
from grid.bulk_locate import GroundIndex, grids_of
from grid.core.crs import to_plane
from grid.core.settings import TownSettings
from grid.core.values import dataclass
from grid.crews import Crew, crew_at
from grid.nearest import SegmentIndex
from grid.reach import Reach, read_boundary
from grid.shifts import Pattern, hours_alike, patterns

Ints = NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("segment_id", pa.int64()),
        ("street", pa.string()),
        ("side", pa.string()),
        ("grid_code", pa.string()),
        ("post", pa.string()),
        ("assignee", pa.string()),
        ("distance_m", pa.float64()),
        ("reason", pa.string()),
    ]
)
COLUMNS = tuple(SCHEMA.names)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One crew: a grid (and segment, when it has posts of its own, else -1) between two changes of people.

    hours: which patterns of shifts run then, as `grid.shifts.hours_alike` says.
    """

    grid_id: int
    segment_id: int
    epoch: int
    hours: bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """Points on the ground, arrays of length n; -1 for none.

    row of the index; side 0 left, 1 right; distance_m; grid_id; post, a position in `posts`; stretch, a
    position in `stretches`, each with one of its moments (µs UTC).
    """

    row: Ints
    side: Ints
    distance_m: NDArray[np.float64]
    grid_id: Ints
    post: Ints
    posts: tuple[str, ...]
    stretch: Ints
    stretches: tuple[tuple[Stretch, int], ...]


@dataclass(frozen=True)
class PointRouter:
    """What routing needs to know of one state of the town, without a database.

    changes: moments (µs UTC, rising) at which any post, leave, period of shifts or departure begins or ends;
    own_posts: ids of segments with posts of their own; patterns: of shifts. Made by `read_point_router`, anew when the ground changes.
    """

    ground: GroundIndex
    catalogue: Catalogue
    plane_epsg: int
    reach: Reach
    changes: Ints
    own_posts: Ints
    patterns: tuple[Pattern, ...]

    def place(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        codes: list[str | None],
        at_us: Ints,
        threads: int | None = None,
    ) -> Placed:
        """Points in WGS 84 degrees with category codes (None for none) and moments (µs UTC).

        Raises BadInput `category.unknown`.
        """
        x, y = to_plane(lon, lat, self.plane_epsg)
        found = self.ground.index.nearest(x, y, threads=threads, second=False)
        inside = (found.row >= 0) & self.reach.holds(x, y, found.distance_m)
        row = np.where(inside, found.row, -1)
        side = found.side.astype(np.int64)
        grid = np.full(len(row), -1, dtype=np.int64)
        if len(self.ground.segment_ids):
            grid, _ = grids_of(self.ground, row, side, at_us, np.column_stack([x, y]))
        post, posts = self._posts(codes)
        stretch, stretches = self._stretches(row, np.where(post >= 0, grid, -1), at_us)
        return Placed(row, side, found.distance_m, grid, post, posts, stretch, stretches)

    def table(self, placed: Placed, crews: Mapping[Stretch, Crew]) -> pa.Table:
        """SCHEMA for the points of `place`, with the crews of its stretches.

        `reason` holds the code of the last step: `person.holder` and its kin, or why nobody is named:
        `point_outside`, `grid.none`, `category.none`, `person.none`.
        """
        inside, grid = placed.row >= 0, placed.grid_id
        known = len(self.ground.segment_ids) > 0
        safe = np.where(inside, placed.row, 0)
        segments = self.ground.segment_ids[safe] if known else placed.row
        streets = self.ground.streets[safe] if known else np.full(len(safe), None, dtype=object)
        codes = {grid_id: facts[0] for grid_id, facts in self.ground.grids.items()}
        person, standing = self._people(placed, crews)
        reason = np.where(
            ~inside,
            "point_outside",
            np.where(grid < 0, "grid.none", np.where(placed.post < 0, "category.none", standing)),
        )
        distance = np.where(np.isfinite(placed.distance_m), np.round(placed.distance_m, 3), np.nan)
        columns = [
            pa.array(segments, mask=~inside, type=pa.int64()),
            pa.array(streets, mask=~inside, type=pa.string()),
            pa.array(np.where(placed.side == 0, "left", "right"), mask=~inside),
            pa.array(_each(grid, codes), type=pa.string()),
            pa.array(_each(placed.post, dict(enumerate(placed.posts))), type=pa.string()),
            pa.array(person, type=pa.string()),
            pa.array(distance, mask=np.isnan(distance), type=pa.float64()),
            pa.array(reason, type=pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def _posts(self, codes: list[str | None]) -> tuple[Ints, tuple[str, ...]]:
        """Which post each category wants, -1 for none; and the posts."""
        which, distinct = pd.factorize(np.asarray(codes, dtype=object))
        categories = [self.catalogue.category(code) for code in distinct]
        names = [category.post if category else None for category in categories]
        posts = tuple(sorted({name for name in names if name is not None}))
        of_code = [posts.index(name) if name is not None else -1 for name in names]
        return np.array([*of_code, -1], dtype=np.int64)[which], posts

    def _stretches(
        self, row: Ints, grid: Ints, at_us: Ints
    ) -> tuple[Ints, tuple[tuple[Stretch, int], ...]]:
        asked = np.flatnonzero((row >= 0) & (grid >= 0))
        stretch = np.full(len(row), -1, dtype=np.int64)
        if not len(asked):
            return stretch, ()
        segment = self.ground.segment_ids[row[asked]]
        own = np.where(np.isin(segment, self.own_posts), segment, -1)
        epoch = np.searchsorted(self.changes, at_us[asked], side="right")
        hours, group = hours_alike(self.patterns, at_us[asked])
        keys = np.column_stack([grid[asked], own, epoch, group])
        distinct, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        stretch[asked] = which.reshape(-1)
        moments = at_us[asked][first].tolist()
        return stretch, tuple(
            (Stretch(grid_id, segment_id, change, hours[running]), moment)
            for (grid_id, segment_id, change, running), moment in zip(
                distinct.tolist(), moments, strict=True
            )
        )

    def _people(
        self, placed: Placed, crews: Mapping[Stretch, Crew]
    ) -> tuple[list[str | None], NDArray[Any]]:
        """Name of who answers, and how, for each point; (None, "person.none") where nobody does."""
        width = len(placed.posts) + 1
        names: dict[int, str] = {}
        standings = np.full(len(placed.stretches) * width + 1, "person.none", dtype=object)
        for k, (stretch, _) in enumerate(placed.stretches):
            crew = crews[stretch]
            for p, post in enumerate(placed.posts):
                answering = crew.answering(post)
                if answering is not None:
                    names[k * width + p] = answering.person.name
                    standings[k * width + p] = f"person.{answering.standing}"
        asked = placed.stretch >= 0
        pair = np.where(asked, placed.stretch * width + placed.post, -1)
        return _each(pair, names), standings[pair]

    def __reduce__(self) -> tuple[Any, ...]:
        # The index holds a lock; elsewhere it is built anew from coordinates, in a second or two.
        ground = self.ground
        left_out: dict[str, Any] = {"index": None}
        plain = replace(ground, **left_out)
        rest = (self.catalogue, self.plane_epsg, self.reach, self.changes, self.own_posts)
        return _rebuilt, (plain, *ground.index.lines(), ground.index.rank, *rest, self.patterns)


class CrewBook:
    """Crews of stretches, each read once, by the query of the single path."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Stretch, Crew] = {}

    def crews(self, stretches: Iterable[tuple[Stretch, int]]) -> dict[Stretch, Crew]:
        """The crew of each stretch, read at the moment (µs UTC) beside it."""
        found: dict[Stretch, Crew] = {}
        for stretch, at_us in stretches:
            crew = self._known.get(stretch)
            if crew is None:
                at = EPOCH + timedelta(microseconds=at_us)
                own = stretch.segment_id if stretch.segment_id >= 0 else None
                crew = crew_at(self._session, stretch.grid_id, own, at)
                self._known[stretch] = crew
            found[stretch] = crew
        return found


def read_point_router(
    session: Session,
    ground: GroundIndex,
    catalogue: Catalogue,
    settings: TownSettings,
    plane_epsg: int,
) -> PointRouter:
    """The router of the town as the session sees it."""
    own = session.scalars(
        text("select distinct segment_id from post_holding where segment_id is not null")
    )
    return PointRouter(
        ground=ground,
        catalogue=catalogue,
        plane_epsg=plane_epsg,
        reach=Reach(read_boundary(session, plane_epsg), settings.reach_m),
        changes=_changes(session),
        own_posts=np.array(sorted(own), dtype=np.int64),
        patterns=tuple(patterns(session)),
    )


def _rebuilt(
    plain: GroundIndex, coords: NDArray[np.float64], offsets: Ints, rank: Ints, *rest: Any
) -> PointRouter:
    index = SegmentIndex.build(plain.segment_ids, coords, offsets, rank)
    return PointRouter(replace(plain, index=index), *rest)


def _each(keys: Ints, values: Mapping[int, str]) -> list[str | None]:
    """The value of each key, None where there is none: looked up once for each distinct key."""
    distinct, which = np.unique(keys, return_inverse=True)
    found = np.array([values.get(key) for key in distinct.tolist()], dtype=object)
    spread: list[str | None] = found[which.reshape(-1)].tolist()
    return spread


def _changes(session: Session) -> Ints:
    """Moments (µs UTC) at which any post, leave, period of shifts or departure begins or ends."""
    rows = session.execute(
        text(
            "select lower(valid) from post_holding union select upper(valid) from post_holding"
            " union select lower(valid) from absence union select upper(valid) from absence"
            " union select lower(valid) from shift union select upper(valid) from shift"
            " union select left_at from staff"
        )
    )
    moments = [(row[0] - EPOCH) // timedelta(microseconds=1) for row in rows if row[0] is not None]
    return np.array(sorted(moments), dtype=np.int64)
