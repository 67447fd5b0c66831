"""The only file of this floor that queries: the ground and its people as GeoJSON and frames."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.crews import crews_frame, missing_posts
from maps.styles import grid_colour

SEGMENT_LIMIT = 200_000


def segments_geojson(
    session: Session,
    bbox: tuple[float, float, float, float] | None = None,
    at: datetime | None = None,
) -> bytes:
    """Segments in force with their grids at a moment (now) as GeoJSON (EPSG:4326): id, street, class, form, length_m, grid, grid_left, grid_right."""
    where = ""
    values: dict[str, Any] = {"at": at}
    if bbox is not None:
        where = " and s.line && st_makeenvelope(:west, :south, :east, :north, 4326)"
        values |= dict(zip(("west", "south", "east", "north"), bbox, strict=True))
    rows = session.execute(
        text(
            "select s.id, t.name as street, s.class as class, s.form, round(s.length_m::numeric, 1)"  # noqa: S608 (fixed words)
            " ::float as length_m, l.code as grid_left, r.code as grid_right,"
            " st_asgeojson(s.line, 6) as geometry from segment s"
            " left join street t on t.id = s.street_id"
            " left join grid_segment hl on hl.segment_id = s.id and hl.side = 'left'"
            " and hl.valid @> coalesce(cast(:at as timestamptz), statement_timestamp()) left join grid l on l.id = hl.grid_id"
            " left join grid_segment hr on hr.segment_id = s.id and hr.side = 'right'"
            " and hr.valid @> coalesce(cast(:at as timestamptz), statement_timestamp()) left join grid r on r.id = hr.grid_id"
            f" where s.gone_at is null {where} order by s.id limit {SEGMENT_LIMIT}"
        ),
        values,
    )
    features = []
    for row in rows:
        properties = {
            "id": row.id,
            "street": row.street,
            "class": row[2],
            "form": row.form,
            "length_m": row.length_m,
            "grid": row.grid_left if row.grid_left == row.grid_right else None,
            "grid_left": row.grid_left,
            "grid_right": row.grid_right,
        }
        features.append(_feature(row.id, row.geometry, properties))
    return _collection(features)


def grids_list(session: Session, at: datetime, *, with_people: bool) -> list[dict[str, Any]]:
    """Grids in force: code, name, name_en, colour, segments, length_m, crew by post, missing_posts."""
    rows = session.execute(
        text(
            "select g.id, g.code, g.name, g.name_en, count(distinct s.id) as segments,"
            " coalesce(sum(s.length_m), 0) / 2 as length_m from grid g"
            " left join grid_segment h on h.grid_id = g.id and h.valid @> cast(:at as timestamptz)"
            " left join segment s on s.id = h.segment_id and s.gone_at is null"
            " where g.valid @> cast(:at as timestamptz) group by g.id order by g.code"
        ),
        {"at": at},
    ).all()
    crews = _crews(session, at) if with_people else {}
    missing = missing_posts(session, at)
    return [
        {
            "code": row.code,
            "name": row.name,
            "name_en": row.name_en,
            "colour": grid_colour(row.code),
            "segments": row.segments,
            "length_m": round(float(row.length_m), 1),
            "crew": crews.get(row.code, {}),
            "missing_posts": missing.get(row.code, []),
        }
        for row in rows
    ]


def grids_geojson(session: Session, at: datetime, *, with_people: bool) -> bytes:
    """Grids in force as GeoJSON: geometry is the grid's streets (MultiLineString, EPSG:4326)."""
    facts = {item["code"]: item for item in grids_list(session, at, with_people=with_people)}
    rows = session.execute(
        text(
            "select g.code, st_asgeojson(st_collect(s.line), 6) as geometry from grid g"
            " join (select distinct grid_id, segment_id from grid_segment"
            " where valid @> cast(:at as timestamptz)) h"
            " on h.grid_id = g.id join segment s on s.id = h.segment_id and s.gone_at is null"
            " where g.valid @> cast(:at as timestamptz) group by g.id, g.code order by g.code"
        ),
        {"at": at},
    )
    return _collection([_feature(row.code, row.geometry, facts[row.code]) for row in rows])


def grids_at_a_glance(session: Session, at: datetime, *, with_people: bool) -> list[dict[str, Any]]:
    """`grids_list` with where each grid lies: bbox (west, south, east, north) and label, a point of its streets.

    For maps that draw the streets from tiles; both are null for a grid without streets. Degrees.
    """
    rows = session.execute(
        text(
            "select code, st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e), st_x(p), st_y(p) from"
            " (select g.code, b.e, st_closestpoint(b.lines, st_setsrid(st_centroid(b.e::geometry), 4326)) as p"
            " from grid g cross join lateral (select st_extent(s.line) as e, st_collect(s.line) as lines"
            " from grid_segment h join segment s on s.id = h.segment_id and s.gone_at is null"
            " where h.grid_id = g.id and h.valid @> cast(:at as timestamptz)) b"
            " where g.valid @> cast(:at as timestamptz)) q"
        ),
        {"at": at},
    )
    places = {row[0]: row for row in rows}
    return [
        {
            **item,
            "bbox": None if places[item["code"]][1] is None else list(places[item["code"]][1:5]),
            "label": None if places[item["code"]][5] is None else list(places[item["code"]][5:7]),
        }
        for item in grids_list(session, at, with_people=with_people)
    ]


def town_bounds(session: Session) -> tuple[float, float, float, float] | None:
    """West, south, east, north of the streets in force, degrees; None in an empty town."""
    row = session.execute(
        text(
            "select st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e)"
            " from (select st_extent(line) as e from segment where gone_at is null) b"
        )
    ).one()
    return None if row[0] is None else (row[0], row[1], row[2], row[3])


def _crews(session: Session, at: datetime) -> dict[str, dict[str, Any]]:
    crews: dict[str, dict[str, Any]] = {}
    frame = crews_frame(session, at)
    for row in frame[frame["post"].notna()].to_dict("records"):
        person = {"id": int(row["staff_id"]), "name": row["name"]}
        crews.setdefault(row["grid_code"], {})[row["post"]] = person
    return crews


def _feature(key: Any, geometry: str, properties: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "type": "Feature",
            "id": key,
            "geometry": orjson.Fragment(geometry.encode()),
            "properties": properties,
        }
    )


def _collection(features: list[bytes]) -> bytes:
    return b'{"type":"FeatureCollection","features":[' + b",".join(features) + b"]}"
