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
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import areas_in_force
from grid.bulk_locate import read_ground_index
from grid.core.bulk import copy_rows, ewkb
from grid.core.crs import geometries_from_plane
from grid.nearest import SegmentIndex
from grid.territory import Reserved, Territory, ground_of, territory_after
from grid.territory.trace import TILE_M
from grid.town import lock_ground, town_facts, try_lock_ground
from grid.town_territory import TownTerritory, town_territory

# Part of what a kept territory was made of: raised when the rule of the nearest segment changes.
RULE = "2"
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


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a territory is made of, apart from the segments themselves."""

    version: int
    boundary_hash: str
    areas: list[list[Any]]
    reserved: list[Reserved]
    holds: tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    made_at: datetime
    in_period: bool
    boundary_hash: str
    areas: list[list[Any]]


def standing(session: Session, at: datetime) -> Standing:
    """Whether the kept territory is the one of a moment; Conflict `town.empty`."""
    kept = _kept(session, at)
    version = town_facts(session).ground_version
    if kept is None:
        return Standing(version, None, None, False, False)
    ground = _ground(session, at)
    same = _same_frame(kept, ground) and not _differing(session, at)
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
    kept = _kept(session, at)
    if touched is not None and not len(touched):
        if kept is not None and kept.version == ground.version and kept.in_period:
            return Keeping("kept", 0, ground.version)
        _write_state(session, ground, made, at)
        _write_segments(session, at)
        return Keeping("renewed", 0, ground.version)
    _write_ground(session, made, touched)
    _write_segments(session, at)
    _write_state(session, ground, made, at)
    if touched is None:
        return Keeping("whole", len(made.whole.labels), ground.version)
    return Keeping("local", len(touched), ground.version)


def keep_if_free(session: Session, at: datetime) -> Keeping | None:
    """`keep_territory`, unless somebody else is writing the ground just now: None, and nobody waits."""
    if not try_lock_ground(session):
        return None
    return keep_territory(session, at)


def territory_frame(session: Session, at: datetime) -> gpd.GeoDataFrame:
    """`TownTerritory.frame` of a moment with the column ground_version: the kept one, or worked out."""
    made, version = read_territory(session, at)
    frame = made.frame()
    frame.insert(3, "ground_version", version)
    return frame


def _present(session: Session, at: datetime) -> tuple[TownTerritory, _Ground, Ints | None]:
    """The territory of a moment, what it is made of, and the grids made anew against the kept one (None: all)."""
    ground = _ground(session, at)
    kept = _kept(session, at)
    if kept is None or kept.boundary_hash != ground.boundary_hash:
        return town_territory(session, at), ground, None
    differing = _differing(session, at)
    count = session.scalar(text("select count(*) from segment where gone_at is null")) or 0
    if len(differing) > max(LOCAL_SHARE * count, 20):
        return town_territory(session, at), ground, None
    before = _read(session)
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
    kept: _Kept,
    ground: _Ground,
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
    left, right = _labels(session, at)
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


def _same_frame(kept: _Kept, ground: _Ground) -> bool:
    return kept.boundary_hash == ground.boundary_hash and kept.areas == ground.areas


def _kept(session: Session, at: datetime) -> _Kept | None:
    row = session.execute(
        text(
            "select ground_version, made_at, holds @> cast(:at as timestamptz) as in_period,"
            " boundary_hash, areas from kept_territory"
        ),
        {"at": at},
    ).one_or_none()
    return None if row is None else _Kept(*row)


def _ground(session: Session, at: datetime) -> _Ground:
    version = town_facts(session).ground_version
    boundary = session.scalar(_BOUNDARY_HASH)
    rows = session.execute(_AREAS, {"at": at}).all()
    grid_ids: dict[str, int] = {row.code: row.grid_id for row in rows}
    reserved = [
        Reserved(shapely.make_valid(area), grid_ids[code])
        for code, area in areas_in_force(session, at)
    ]
    since, until = session.execute(_HOLDS, {"at": at}).one()
    return _Ground(
        version,
        f"{RULE}:{boundary}",
        [[r.grid_id, r.hash, r.west, r.south, r.east, r.north] for r in rows],
        reserved,
        (since, until),
    )


def _read(session: Session) -> TownTerritory:
    rows = session.execute(
        text("select grid_id, st_asbinary(area_plane) as area from territory order by grid_id")
    ).all()
    boundary = session.scalar(text("select st_asbinary(boundary_plane) from kept_territory"))
    polygons = np.empty(len(rows), dtype=object)
    # A ground of one piece is one polygon, as it was when it was made.
    polygons[:] = [_plain(shapely.from_wkb(bytes(row.area))) for row in rows]
    grids = {
        row.id: (row.code, row.name)
        for row in session.execute(text("select id, code, name from grid"))
    }
    labels = np.array([row.grid_id for row in rows], dtype=np.int64)
    return TownTerritory(
        Territory(labels, polygons),
        shapely.from_wkb(bytes(boundary or b"")),
        town_facts(session).plane_epsg,
        grids,
    )


def _plain(shape: shapely.Geometry) -> shapely.Geometry:
    parts = shapely.get_parts(shape)
    return parts[0] if len(parts) == 1 else shape


def _multi(shape: shapely.Geometry) -> shapely.Geometry:
    return shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])


def _differing(session: Session, at: datetime) -> list[Any]:
    """Segments that are not as they were kept: id, gone, moved, left_id, right_id, old_rank, line (old, plane)."""
    return list(session.execute(_DIFFERING, {"at": at}).all())


def _labels(session: Session, at: datetime) -> tuple[Ints, Ints]:
    rows = session.execute(_HELD, {"at": at}).all()
    left = np.array([row.left_id for row in rows], dtype=np.int64)
    return left, np.array([row.right_id for row in rows], dtype=np.int64)


def _write_ground(session: Session, made: TownTerritory, touched: Ints | None) -> None:
    if touched is None:
        session.execute(text("delete from territory"))
        chosen = np.ones(len(made.whole.labels), dtype=bool)
    else:
        session.execute(
            text("delete from territory where grid_id = any(:ids)"), {"ids": touched.tolist()}
        )
        chosen = np.isin(made.whole.labels, touched)
    planes = made.whole.polygons[chosen]
    shapes = geometries_from_plane(planes, made.plane_epsg)
    copy_rows(
        session,
        "territory",
        ("grid_id", "area_m2", "area", "area_plane"),
        (
            (int(label), float(plane.area), ewkb(_multi(shape)), ewkb(_multi(plane), None))
            for label, plane, shape in zip(made.whole.labels[chosen], planes, shapes, strict=True)
        ),
    )


def _write_segments(session: Session, at: datetime) -> None:
    for statement in (_FORGET, _REMEMBER):
        session.execute(statement, {"at": at})


def _write_state(session: Session, ground: _Ground, made: TownTerritory, at: datetime) -> None:
    session.execute(
        _STATE,
        {
            "version": ground.version,
            "at": at,
            "since": ground.holds[0],
            "until": ground.holds[1],
            "boundary": ewkb(made.boundary, None),
            "hash": ground.boundary_hash,
            "areas": Jsonb(ground.areas),
        },
    )


_BOUNDARY_HASH = text(
    "select coalesce((select md5(st_asbinary(boundary)) from town where boundary is not null),"
    " (select md5(st_asbinary(st_normalize(st_convexhull(st_collect(line_plane)))))"
    " from segment where gone_at is null))"
)
_AREAS = text(
    "select g.code, a.grid_id, md5(st_asbinary(a.area_plane)) as hash, st_xmin(a.area_plane) as west,"
    " st_ymin(a.area_plane) as south, st_xmax(a.area_plane) as east, st_ymax(a.area_plane) as north"
    " from grid_area a join grid g on g.id = a.grid_id"
    " where a.valid @> cast(:at as timestamptz) order by g.code, a.id"
)
# The moments at which what grids hold changes, before and after the one asked.
_HOLDS = text(
    "select max(m) filter (where m <= :at), min(m) filter (where m > :at) from ("
    " select lower(valid) as m from grid_segment union select upper(valid) from grid_segment"
    " union select lower(valid) from grid_area union select upper(valid) from grid_area) moments"
)
_HELD_NOW = """
    select s.id, s.rank, s.line_plane,
        max(h.grid_id) filter (where h.side = 'left') as left_id,
        max(h.grid_id) filter (where h.side = 'right') as right_id
    from segment s left join grid_segment h on h.segment_id = s.id
        and h.valid @> cast(:at as timestamptz)
    where s.gone_at is null group by s.id
"""
_HELD = text(f"select id, left_id, right_id from ({_HELD_NOW}) n order by id")  # noqa: S608 (fixed words)
_SAME_LINE = "st_asbinary(k.line_plane) is not distinct from st_asbinary(n.line_plane)"
_DIFFERING = text(
    f"""
    select coalesce(n.id, k.segment_id) as id, n.id is null as gone, n.left_id, n.right_id,
        k.rank is distinct from n.rank or not ({_SAME_LINE}) as moved,
        k.rank as old_rank, st_asbinary(k.line_plane) as line
    from ({_HELD_NOW}) n full join territory_segment k on k.segment_id = n.id
    where k.rank is distinct from n.rank or not ({_SAME_LINE})
        or k.left_grid_id is distinct from n.left_id or k.right_grid_id is distinct from n.right_id
    order by 1
    """  # noqa: S608 (fixed words)
)
_FORGET = text(
    "delete from territory_segment k where not exists"
    " (select 1 from segment s where s.id = k.segment_id and s.gone_at is null)"
)
_REMEMBER = text(
    f"""
    insert into territory_segment as k (segment_id, rank, left_grid_id, right_grid_id, line_plane)
    select n.id, n.rank, n.left_id, n.right_id, n.line_plane from ({_HELD_NOW}) n
    on conflict (segment_id) do update set rank = excluded.rank,
        left_grid_id = excluded.left_grid_id, right_grid_id = excluded.right_grid_id,
        line_plane = excluded.line_plane
    where (k.rank, k.left_grid_id, k.right_grid_id)
        is distinct from (excluded.rank, excluded.left_grid_id, excluded.right_grid_id)
        or st_asbinary(k.line_plane) is distinct from st_asbinary(excluded.line_plane)
    """  # noqa: S608 (fixed words)
)
_STATE = text(
    "insert into kept_territory"
    " (id, ground_version, made_at, holds, boundary_plane, boundary_hash, areas) values"
    " (1, :version, :at, tstzrange(:since, :until), st_geomfromewkb(decode(:boundary, 'hex')), :hash, :areas)"
    " on conflict (id) do update set ground_version = excluded.ground_version,"
    " made_at = excluded.made_at, holds = excluded.holds, boundary_plane = excluded.boundary_plane,"
    " boundary_hash = excluded.boundary_hash, areas = excluded.areas"
)
