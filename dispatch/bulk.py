"""Many points to their grid, post and person: the bulk twin of placing and routing, same rule, same answers.

The index answers place and side; people change only at a few moments, so each grid's crew is read once
for each stretch between two changes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue
from grid.bulk_locate import GroundIndex, grids_of
from grid.core.crs import to_plane
from grid.core.settings import TownSettings
from grid.crews import Crew, crew_at

Ints = NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    *("segment_id", "street", "side", "grid_code", "post", "assignee"),
    *("distance_m", "reason"),
)


class BulkRouter:
    """Routes frames of points on one reading of the ground; make it anew when the ground changes."""

    def __init__(
        self,
        session: Session,
        ground: GroundIndex,
        catalogue: Catalogue,
        settings: TownSettings,
        plane_epsg: int,
    ) -> None:
        self._session, self._ground, self._catalogue = session, ground, catalogue
        self._settings, self._epsg = settings, plane_epsg
        self._crews: dict[tuple[int, int, int], Crew] = {}
        self._changes = _changes(session)
        self._own_posts = set(
            session.scalars(
                text("select distinct segment_id from post_holding where segment_id is not null")
            )
        )

    def route(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        codes: list[str | None],
        at_us: Ints,
    ) -> pd.DataFrame:
        """COLUMNS for points in WGS 84 degrees, category codes (None for none) and moments (µs UTC).

        `reason` holds the code of the last step: `person.holder` and its kin, or why nobody is named:
        `point_outside`, `grid.none`, `category.none`, `person.none`.
        """
        x, y = to_plane(lon, lat, self._epsg)
        found = self._ground.index.nearest(x, y, second=False)
        inside = (found.row >= 0) & (found.distance_m <= self._settings.reach_m)
        row = np.where(inside, found.row, -1)
        safe = np.where(inside, found.row, 0)
        empty = len(self._ground.segment_ids) == 0
        grid = np.full(len(row), -1, dtype=np.int64)
        if not empty:
            grid, _ = grids_of(
                self._ground, row, found.side.astype(np.int64), at_us, np.column_stack([x, y])
            )
        segment = np.where(inside, self._ground.segment_ids[safe], -1) if not empty else row
        frame = pd.DataFrame(
            {
                "segment_id": pd.array(segment, dtype="Int64"),
                "street": pd.Series(self._ground.streets[safe] if not empty else row).where(
                    inside, None
                ),
                "side": pd.Series(np.where(found.side == 0, "left", "right")).where(inside, None),
                "grid_code": [self._ground.grids[g][0] if g >= 0 else None for g in grid.tolist()],
                "distance_m": np.where(np.isfinite(found.distance_m), found.distance_m, np.nan),
            }
        )
        frame.loc[~inside, "segment_id"] = pd.NA
        posts, people, reasons = self._people(inside, grid, segment, codes, at_us)
        frame["post"], frame["assignee"], frame["reason"] = posts, people, reasons
        frame["distance_m"] = frame["distance_m"].round(3)
        return frame[list(COLUMNS)]

    def _people(
        self,
        inside: NDArray[np.bool_],
        grid: Ints,
        segment: Ints,
        codes: list[str | None],
        at_us: Ints,
    ) -> tuple[list[str | None], list[str | None], list[str]]:
        epochs = np.searchsorted(self._changes, at_us, side="right")
        posts: list[str | None] = []
        people: list[str | None] = []
        reasons: list[str] = []
        known: dict[str | None, str | None] = {}
        for here, grid_id, segment_id, code, epoch, moment in zip(
            inside.tolist(), grid.tolist(), segment.tolist(), codes, epochs.tolist(),
            at_us.tolist(), strict=True,
        ):  # fmt: skip
            if code not in known:
                category = self._catalogue.category(code)
                known[code] = category.post if category else None
            post = known[code]
            posts.append(post)
            if not here:
                people.append(None)
                reasons.append("point_outside")
            elif grid_id < 0:
                people.append(None)
                reasons.append("grid.none")
            elif post is None:
                people.append(None)
                reasons.append("category.none")
            else:
                crew = self._crew(grid_id, segment_id, epoch, moment)
                answering = crew.answering(post)
                people.append(answering.person.name if answering else None)
                reasons.append(f"person.{answering.standing}" if answering else "person.none")
        return posts, people, reasons

    def _crew(self, grid_id: int, segment_id: int, epoch: int, at_us: int) -> Crew:
        own = segment_id if segment_id in self._own_posts else -1
        key = (grid_id, own, epoch)
        crew = self._crews.get(key)
        if crew is None:
            at = EPOCH + timedelta(microseconds=at_us)
            crew = crew_at(self._session, grid_id, segment_id, at)
            self._crews[key] = crew
        return crew


def _changes(session: Session) -> Ints:
    """Moments (µs UTC) at which any post, leave or departure begins or ends."""
    rows = session.execute(
        text(
            "select lower(valid) from post_holding union select upper(valid) from post_holding"
            " union select lower(valid) from absence union select upper(valid) from absence"
            " union select left_at from staff"
        )
    )
    moments = [(row[0] - EPOCH) // timedelta(microseconds=1) for row in rows if row[0] is not None]
    return np.array(sorted(moments), dtype=np.int64)
