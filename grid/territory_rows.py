"""The rows of the kept territory: what it was made of, read and written; for `grid/kept_territory.py` alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import areas_in_force
from grid.core.bulk import copy_rows, ewkb
from grid.core.crs import geometries_from_plane
from grid.territory import Reserved, Territory
from grid.town import town_facts
from grid.town_territory import TownTerritory

# Part of what a kept territory was made of: raised when the rule of the nearest segment, or the tracing, changes.
RULE = "3"

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a territory is made of, apart from the segments themselves."""

    version: int
    boundary_hash: str
    areas: list[list[Any]]
    reserved: list[Reserved]
    holds: tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """What the kept territory was made of."""

    version: int
    made_at: datetime
    in_period: bool
    boundary_hash: str
    areas: list[list[Any]]

    def is_of(self, ground_version: int) -> bool:
        """Whether it was made of this ground, by the present rule, and its period holds still."""
        by_rule = self.boundary_hash.startswith(f"{RULE}:")
        return self.version == ground_version and self.in_period and by_rule


def kept_frame(session: Session, at: datetime) -> KeptFrame | None:
    """What the kept territory was made of, and whether a moment lies in its period; None when none is kept."""
    row = session.execute(
        text(
            "select ground_version, made_at, holds @> cast(:at as timestamptz) as in_period,"
            " boundary_hash, areas from kept_territory"
        ),
        {"at": at},
    ).one_or_none()
    return None if row is None else KeptFrame(*row)


def frame_at(session: Session, at: datetime) -> Frame:
    """What the territory of a moment is made of, as the tables stand now."""
    version = town_facts(session).ground_version
    boundary = session.scalar(_BOUNDARY_HASH)
    rows = session.execute(_AREAS, {"at": at}).all()
    grid_ids: dict[str, int] = {row.code: row.grid_id for row in rows}
    reserved = [
        Reserved(shapely.make_valid(area), grid_ids[code])
        for code, area in areas_in_force(session, at)
    ]
    since, until = session.execute(_HOLDS, {"at": at}).one()
    return Frame(
        version,
        f"{RULE}:{boundary}",
        [[r.grid_id, r.hash, r.west, r.south, r.east, r.north] for r in rows],
        reserved,
        (since, until),
    )


def kept_rows(session: Session) -> TownTerritory:
    """The kept territory as it was made."""
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


def differing_segments(session: Session, at: datetime) -> list[Any]:
    """Segments that are not as they were kept: id, gone, moved, left_id, right_id, old_rank, line (old, plane)."""
    return list(session.execute(_DIFFERING, {"at": at}).all())


def labels_at(session: Session, at: datetime) -> tuple[Ints, Ints]:
    """Grid ids of the left and the right sides of the segments in force, by id."""
    rows = session.execute(_HELD, {"at": at}).all()
    left = np.array([row.left_id for row in rows], dtype=np.int64)
    return left, np.array([row.right_id for row in rows], dtype=np.int64)


def write_ground(session: Session, made: TownTerritory, touched: Ints | None) -> None:
    """Writes the rows of the grids made anew (None: of all)."""
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


def write_segments(session: Session, at: datetime) -> None:
    """Remembers every segment as it is; only what differs is written."""
    for statement in (_FORGET, _REMEMBER):
        session.execute(statement, {"at": at})


def write_state(session: Session, ground: Frame, made: TownTerritory, at: datetime) -> None:
    """Writes the one row that says which ground the kept territory belongs to."""
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
