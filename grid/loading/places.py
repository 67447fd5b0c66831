"""Door plates, places, street marks and administrative boundaries into the database, by source key."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import shapely
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import copy_rows, ewkb
from grid.house_numbers import assign_plates
from grid.town import TownFacts, ground_changed, lock_ground


def load_door_plates(
    session: Session, plates: gpd.GeoDataFrame, segments: gpd.GeoDataFrame, town: TownFacts
) -> int:
    """Loads plates (street, house_number, community, geometry); returns how many were new or changed.

    `segments` are those in force (`named_lines`); each plate is tied to the nearest segment of its
    own street, so that a number knows its segment and side.
    """
    if plates.empty:
        return 0
    lock_ground(session)
    placed = assign_plates(segments, plates, town.plane_epsg)
    segment_ids = segments["id"].to_dict()
    columns = ("source_key", "street_name", "house_number", "community", "segment_id", "side")
    session.execute(
        text(
            "create temp table arriving_plate (source_key text, street_name text,"
            " house_number text, community text, segment_id bigint, side text, point geometry)"
            " on commit drop"
        )
    )
    copy_rows(
        session,
        "arriving_plate",
        (*columns, "point"),
        (
            (
                f"{row.street}|{row.house_number}|{row.geometry.x:.6f}|{row.geometry.y:.6f}",
                row.street,
                str(row.house_number),
                _text(row.community),
                None if pd.isna(row.segment) else int(segment_ids[row.segment]),
                None if pd.isna(row.segment) else row.side,
                ewkb(row.geometry),
            )
            for row in placed.itertuples(index=False)
        ),
    )
    result = session.execute(
        text(
            "insert into door_plate (source_key, street_id, street_name, house_number, community,"
            " segment_id, side, point)"
            # A plate may write its street otherwise ("SECOND ST", an English name): its segment tells.
            " select distinct on (a.source_key) a.source_key, coalesce(s.street_id, t.id),"
            " a.street_name, a.house_number, a.community, a.segment_id, a.side, a.point"
            " from arriving_plate a left join street t on t.name = a.street_name"
            " left join segment s on s.id = a.segment_id"
            " order by a.source_key"
            " on conflict (source_key) do update set street_id = excluded.street_id,"
            " segment_id = excluded.segment_id, side = excluded.side,"
            " community = excluded.community"
            " where (door_plate.street_id, door_plate.segment_id, door_plate.side,"
            " door_plate.community) is distinct from (excluded.street_id, excluded.segment_id,"
            " excluded.side, excluded.community)"
        )
    )
    session.execute(text("drop table arriving_plate"))
    return _finish(session, result)


def load_places(session: Session, places: gpd.GeoDataFrame) -> int:
    """Loads places (name, names, kind, address, geometry point or area); how many were new or changed."""
    if places.empty:
        return 0
    lock_ground(session)
    session.execute(
        text(
            "create temp table arriving_place (source_key text, name text, names jsonb, kind text,"
            " address text, point geometry, area geometry) on commit drop"
        )
    )
    copy_rows(
        session,
        "arriving_place",
        ("source_key", "name", "names", "kind", "address", "point", "area"),
        (
            (
                f"{row.name}|{row.kind}|{point.x:.6f}|{point.y:.6f}",
                row.name,
                Jsonb(row.names if isinstance(row.names, dict) else {}),
                row.kind,
                _text(row.address),
                ewkb(point),
                ewkb(_multipolygon(row.geometry)),
            )
            for row in places.itertuples(index=False)
            for point in (shapely.point_on_surface(row.geometry),)
        ),
    )
    result = session.execute(
        text(
            "insert into place (source_key, name, names, kind, address, point, area)"
            " select distinct on (source_key) source_key, name, names, kind, address, point, area"
            " from arriving_place order by source_key"
            " on conflict (source_key) do update set names = excluded.names,"
            " address = excluded.address, area = excluded.area"
            " where (place.names, place.address) is distinct from"
            " (excluded.names, excluded.address)"
        )
    )
    session.execute(text("drop table arriving_place"))
    return _finish(session, result)


def load_boundaries(session: Session, boundaries: gpd.GeoDataFrame) -> int:
    """Loads boundaries (name, names, level, code, area); the town's own area becomes its boundary."""
    if boundaries.empty:
        return 0
    lock_ground(session)
    changed = 0
    for row in boundaries.itertuples(index=False):
        area = _multipolygon(row.geometry)
        if area is None:
            continue
        result = session.execute(
            text(
                "insert into boundary (level, name, names, code, area)"
                " values (:level, :name, :names, :code, cast(:area as geometry))"
                " on conflict (level, name) do update set names = excluded.names,"
                " code = excluded.code, area = excluded.area"
                " where (boundary.names, boundary.code) is distinct from"
                " (excluded.names, excluded.code) or not (boundary.area ~= excluded.area)"
            ),
            {
                "level": row.level,
                "name": row.name,
                "names": Jsonb(row.names if isinstance(row.names, dict) else {}),
                "code": _text(row.code),
                "area": ewkb(area),
            },
        )
        changed += int(result.rowcount)  # type: ignore[attr-defined]
        if row.level == "town":
            session.execute(
                text("update town set boundary = cast(:area as geometry)"), {"area": ewkb(area)}
            )
    if changed:
        ground_changed(session)
    return changed


def load_street_marks(session: Session, marks: gpd.GeoDataFrame) -> int:
    """Loads kilometre posts and numbered facilities (kind, street, code, geometry point)."""
    if marks.empty:
        return 0
    lock_ground(session)
    result = session.execute(
        text(
            "insert into street_mark (kind, street_name, code, point)"
            " values (:kind, :street, :code, cast(:point as geometry))"
            " on conflict (kind, street_name, code) do nothing"
        ),
        [
            {"kind": r.kind, "street": r.street, "code": r.code, "point": ewkb(r.geometry)}
            for r in marks.itertuples(index=False)
        ],
    )
    return _finish(session, result)


def _finish(session: Session, result: object) -> int:
    changed = max(0, int(result.rowcount))  # type: ignore[attr-defined]
    if changed:
        ground_changed(session)
    return changed


def _text(value: object) -> str | None:
    return None if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]


def _multipolygon(geometry: shapely.Geometry) -> shapely.MultiPolygon | None:
    """The area of a geometry as a MultiPolygon; None for points and lines."""
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, shapely.Polygon)]
    return shapely.MultiPolygon(parts) if parts else None
