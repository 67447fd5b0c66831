"""The territory kept in the database, with the version of the ground it belongs to: never read as newer than it is.

`keep_territory` writes it, under the lock of the ground's writers. It remembers each segment's line and grids as
they were, so after a change only the ground near what differs is worked out anew. `read_territory` gives the
kept one while it is the present one, else works it out; it writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.bulk_locate import read_ground_index
from grid.nearest import SegmentIndex
from grid.territory import Territory, ground_of, territory_after
from grid.territory.trace import TILE_M
from grid.territory_rows import (
    Frame,
    KeptFrame,
    differing_segments,
    frame_at,
    kept_frame,
    kept_rows,
    labels_at,
    write_ground,
    write_segments,
    write_state,
)
from grid.town import lock_ground, town_facts, try_lock_ground
from grid.town_territory import TownTerritory, town_territory

# With more segments changed than this share, the whole is quicker.
LOCAL_SHARE = 0.1

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Standing:
    """The kept territory against the ground as it is: `current` when it is the territory of the moment asked.

    same_ground: nothing that the territory depends on differs, whatever the version says.
    """

    ground_version: int
    kept_version: int | None
    made_at: datetime | None
    current: bool
    same_ground: bool


@dataclass(frozen=True, slots=True)
class Keeping:
    """What `keep_territory` did: how ("kept", "renewed", "local", "whole") and how many grids were made anew."""

    how: str
    made_anew: int
    ground_version: int


def standing(session: Session, at: datetime) -> Standing:
    """Whether the kept territory is the one of a moment; Conflict `town.empty`."""
    kept = kept_frame(session, at)
    version = town_facts(session).ground_version
    if kept is None:
        return Standing(version, None, None, False, False)
    ground = frame_at(session, at)
    same = _same_frame(kept, ground) and not differing_segments(session, at)
    named = kept.version == version and kept.in_period
    return Standing(version, kept.version, kept.made_at, named and same, same)


def read_territory(session: Session, at: datetime) -> tuple[TownTerritory, int]:
    """The territory at a moment and the ground version it belongs to; the kept one where it is the present one.

    Raises what `town_territory` raises.
    """
    made, ground, _ = _present(session, at)
    return made, ground.version


def keep_territory(session: Session, at: datetime, *, anew: bool = False) -> Keeping:
    """Brings the kept territory up to a moment (now), made anew only where something changed, or all of it.

    One at a time, and never beside a writer of the ground. Raises what `town_territory` raises; what was kept
    before then stays and is known as old by its version.
    """
    lock_ground(session)
    if anew:
        session.execute(text("delete from kept_territory"))
    made, ground, touched = _present(session, at)
    kept = kept_frame(session, at)
    if touched is not None and not len(touched):
        if kept is not None and kept.version == ground.version and kept.in_period:
            return Keeping("kept", 0, ground.version)
        write_state(session, ground, made, at)
        write_segments(session, at)
        return Keeping("renewed", 0, ground.version)
    write_ground(session, made, touched)
    write_segments(session, at)
    write_state(session, ground, made, at)
    if touched is None:
        return Keeping("whole", len(made.whole.labels), ground.version)
    return Keeping("local", len(touched), ground.version)


def keep_if_free(session: Session, at: datetime) -> Keeping | None:
    """`keep_territory`, unless somebody else is writing the ground just now: None, and nobody waits.

    What was kept for this version of the ground is believed without a look at each segment.
    """
    version = town_facts(session).ground_version
    kept = kept_frame(session, at)
    if kept is not None and kept.is_of(version):
        return Keeping("kept", 0, version)
    if not try_lock_ground(session):
        return None
    return keep_territory(session, at)


def territory_frame(session: Session, at: datetime) -> gpd.GeoDataFrame:
    """`TownTerritory.frame` of a moment with the column ground_version: the kept one, or worked out."""
    made, version = read_territory(session, at)
    frame = made.frame()
    frame.insert(3, "ground_version", version)
    return frame


def _present(session: Session, at: datetime) -> tuple[TownTerritory, Frame, Ints | None]:
    """The territory of a moment, what it is made of, and the grids made anew against the kept one (None: all)."""
    ground = frame_at(session, at)
    kept = kept_frame(session, at)
    if kept is None or kept.boundary_hash != ground.boundary_hash:
        return town_territory(session, at), ground, None
    differing = differing_segments(session, at)
    count = session.scalar(text("select count(*) from segment where gone_at is null")) or 0
    if len(differing) > max(LOCAL_SHARE * count, 20):
        return town_territory(session, at), ground, None
    before = kept_rows(session)
    if not differing and kept.areas == ground.areas:
        return before, ground, np.empty(0, np.int64)
    if any(
        row.gone is False and (row.left_id is None or row.right_id is None) for row in differing
    ):
        # Said by whoever says it always.
        return town_territory(session, at), ground, None
    whole, touched = _local(session, at, before, kept, ground, differing)
    return replace(before, whole=whole), ground, touched


def _local(
    session: Session,
    at: datetime,
    before: TownTerritory,
    kept: KeptFrame,
    ground: Frame,
    differing: list[Any],
) -> tuple[Territory, Ints]:
    """The territory after the differing segments and areas, and the grids made anew."""
    index = read_ground_index(session).index
    ids = np.array([row.id for row in differing], dtype=np.int64)
    changed = [ground_of(index, ids, before.boundary)]
    moved = [row for row in differing if row.moved]
    if moved:
        changed.append(ground_of(_index_before(index, moved), ids, before.boundary))
    changed += [_tiles_about(area[2:]) for area in _only_in_one(kept.areas, ground.areas)]
    left, right = labels_at(session, at)
    whole, touched = territory_after(
        before.whole,
        index,
        left,
        right,
        before.boundary,
        np.concatenate(changed),
        ground.reserved,
    )
    gone = np.setdiff1d(before.whole.labels, whole.labels)
    return whole, np.union1d(touched, gone)


def _index_before(index: SegmentIndex, moved: list[Any]) -> SegmentIndex:
    """The index with the lines that were kept."""
    lines = [
        shapely.get_coordinates(shapely.from_wkb(bytes(row.line)))
        for row in moved
        if row.line is not None
    ]
    old = [row for row in moved if row.line is not None]
    fresh = [row.id for row in moved if row.line is None]
    return index.replace(
        remove=fresh,
        add_ids=[row.id for row in old],
        add_coords_xy=np.concatenate(lines) if lines else np.empty((0, 2)),
        add_offsets=np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(int),
        add_rank=[row.old_rank for row in old],
    )


def _only_in_one(one: list[list[Any]], other: list[list[Any]]) -> list[list[Any]]:
    """Areas in one list and not in the other; of those that overlap the order counts, so a new order is a change."""
    if one == other:
        return []
    keys = [{(a[0], a[1]) for a in areas} for areas in (one, other)]
    return [a for a in [*one, *other] if (a[0], a[1]) not in keys[0] & keys[1]]


def _tiles_about(bounds: list[float]) -> NDArray[np.float64]:
    """Squares a tile wide that cover an area's bounds and a tile more."""
    west, south, east, north = (
        np.floor(bounds[0] / TILE_M) - 1,
        np.floor(bounds[1] / TILE_M) - 1,
        np.floor(bounds[2] / TILE_M) + 2,
        np.floor(bounds[3] / TILE_M) + 2,
    )
    low = np.stack(np.meshgrid(np.arange(west, east), np.arange(south, north)), -1).reshape(-1, 2)
    return np.hstack([low * TILE_M, (low + 1) * TILE_M])


def _same_frame(kept: KeptFrame, ground: Frame) -> bool:
    return kept.boundary_hash == ground.boundary_hash and kept.areas == ground.areas
