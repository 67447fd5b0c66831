"""Street segments into force: compared with what is there, so that the same segment keeps its id.

A file of streets is the whole street network of the town. A segment that is the same street between
the same ends along the same way is unchanged; what the file no longer has is gone (its row and its
past stay); the rest is new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from grid.core.bulk import copy_rows, ewkb
from grid.core.crs import geometries_to_plane
from grid.core.errors import BadInput
from grid.models import CLASS_RANK, Crossing, Segment, Street
from grid.town import ensure_town, ground_changed, lock_ground

# Ends and middle within about 1 m (1e-5 degrees): a redrawn line of the same stretch is the same.
SAME_PLACE_DEGREES = 1e-5
UNKNOWN_CLASS_RANK = max(CLASS_RANK.values())
RANGES = ("left_from", "left_to", "right_from", "right_to")
Key = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class StreetChange:
    """What loading a street file did, in segments."""

    unchanged: int
    new: int
    gone: int
    streets: int
    crossings: int
    length_m: float


def load_streets(
    session: Session,
    segments: gpd.GeoDataFrame,
    crossings: gpd.GeoDataFrame,
    now: datetime,
    *,
    town_name: str | None = None,
    town_name_en: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> StreetChange:
    """Puts segments (columns of `grid.segments`, EPSG:4326) into force from `now`.

    Raises BadInput `import.no_streets` for an empty frame.
    """
    if segments.empty:
        raise BadInput("import.no_streets")
    tell = progress or (lambda _message: None)
    lock_ground(session)
    west, south, east, north = segments.total_bounds
    town = ensure_town(session, (west + east) / 2, (south + north) / 2, town_name, town_name_en)
    tell("compare")
    known = _segments_in_force(session)
    keys = _keys(segments["name"], segments["level"], segments.geometry.to_numpy())
    matched = [known[key].pop(0) if known.get(key) else None for key in keys]
    gone = [segment_id for ids in known.values() for segment_id in ids]
    fresh = segments[[segment_id is None for segment_id in matched]]
    street_ids = _street_ids(session, segments)
    crossing_ids = _crossing_ids(session, crossings, town.plane_epsg)
    tell("write")
    _copy_segments(session, fresh, street_ids, crossing_ids, town.plane_epsg, now)
    kept = [
        (segment_id, row)
        for segment_id, row in zip(matched, segments.itertuples(index=False), strict=True)
        if segment_id is not None
    ]
    changed = _refresh_attributes(session, kept)
    _retire(session, gone, now)
    if len(fresh) or gone or changed:
        ground_changed(session)
    return StreetChange(
        unchanged=len(kept),
        new=len(fresh),
        gone=len(gone),
        streets=len(street_ids),
        crossings=len(crossing_ids),
        length_m=float(segments["length_m"].sum()),
    )


def _keys(names: pd.Series, levels: pd.Series, lines: np.ndarray) -> list[Key]:
    """Identity of each line: street, level and the places of its ends and middle."""
    starts = shapely.get_coordinates(shapely.get_point(lines, 0))
    ends = shapely.get_coordinates(shapely.get_point(lines, -1))
    middles = shapely.get_coordinates(shapely.line_interpolate_point(lines, 0.5, normalized=True))
    rounded = np.rint(np.hstack([starts, ends, middles]) / SAME_PLACE_DEGREES).astype(np.int64)
    return [
        (None if pd.isna(name) else str(name), int(level), *map(int, places))
        for name, level, places in zip(names, levels, rounded, strict=True)
    ]


def _segments_in_force(session: Session) -> dict[Key, list[int]]:
    """Ids of the segments in force by identity."""
    rows = session.execute(
        text(
            "select s.id, t.name, s.level, st_asbinary(s.line) from segment s"
            " left join street t on t.id = s.street_id where s.gone_at is null order by s.id"
        )
    ).all()
    known: dict[Key, list[int]] = {}
    if rows:
        lines = shapely.from_wkb([bytes(row[3]) for row in rows])
        keys = _keys(
            pd.Series([row[1] for row in rows], dtype=object),
            pd.Series([row[2] for row in rows]),
            np.asarray(lines),
        )
        for key, row in zip(keys, rows, strict=True):
            known.setdefault(key, []).append(row[0])
    return known


def _street_ids(session: Session, segments: gpd.GeoDataFrame) -> dict[str, int]:
    """Ids of the named streets, new ones added; the names in other languages are kept up to date."""
    named = segments[segments["name"].notna()].drop_duplicates("name")
    rows = [
        {"name": row.name, "names": row.names if isinstance(row.names, dict) else {}}
        for row in named[["name", "names"]].itertuples(index=False)
    ]
    if rows:
        statement = insert(Street)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"names": Street.names.op("||")(statement.excluded.names)},
            ),
            rows,
        )
    return dict(session.execute(select(Street.name, Street.id)).tuples().all())


def _crossing_ids(session: Session, crossings: gpd.GeoDataFrame, plane_epsg: int) -> dict[int, int]:
    """Database id of each crossing of the frame, by its index there."""
    points = crossings.geometry.to_numpy()
    planes = geometries_to_plane(points, plane_epsg)
    session.execute(
        text(
            "create temp table arriving_crossing (source_key text, point geometry,"
            " point_plane geometry) on commit drop"
        )
    )
    copy_rows(
        session,
        "arriving_crossing",
        ("source_key", "point", "point_plane"),
        (
            (key, ewkb(point), ewkb(plane, None))
            for key, point, plane in zip(crossings["source_key"], points, planes, strict=True)
        ),
    )
    session.execute(
        text(
            "insert into crossing (source_key, point, point_plane)"
            " select source_key, point, point_plane from arriving_crossing"
            " on conflict (source_key) do update"
            " set point = excluded.point, point_plane = excluded.point_plane"
        )
    )
    ids = dict(
        session.execute(
            select(Crossing.source_key, Crossing.id).where(
                Crossing.source_key.in_(select(text("source_key from arriving_crossing")))
            )
        )
        .tuples()
        .all()
    )
    session.execute(text("drop table arriving_crossing"))
    return {
        int(node): ids[key]
        for node, key in zip(crossings.index, crossings["source_key"], strict=True)
    }


def _copy_segments(
    session: Session,
    fresh: gpd.GeoDataFrame,
    street_ids: dict[str, int],
    crossing_ids: dict[int, int],
    plane_epsg: int,
    now: datetime,
) -> None:
    lines = fresh.geometry.to_numpy()
    planes = geometries_to_plane(lines, plane_epsg)
    copy_rows(
        session,
        "segment",
        (
            *("source_key", "street_id", "class", "rank", "form", "oneway", "level"),
            *("from_crossing_id", "to_crossing_id", "length_m"),
            *("left_from", "left_to", "right_from", "right_to"),
            *("line", "line_plane", "since_at"),
        ),
        (
            (
                row.source_key,
                None if pd.isna(row.name) else street_ids[row.name],
                row.class_,
                CLASS_RANK.get(row.class_, UNKNOWN_CLASS_RANK),
                row.form,
                row.oneway,
                int(row.level),
                crossing_ids[int(row.from_node)],
                crossing_ids[int(row.to_node)],
                float(row.length_m),
                *(_whole(v) for v in (row.left_from, row.left_to, row.right_from, row.right_to)),
                ewkb(line),
                ewkb(plane, None),
                now,
            )
            for row, line, plane in zip(fresh.itertuples(index=False), lines, planes, strict=True)
        ),
    )


def _whole(value: object) -> int | None:
    return None if pd.isna(value) else int(value)  # type: ignore[call-overload]


def _refresh_attributes(session: Session, kept: list[tuple[int, object]]) -> int:
    """Brings class, one-way and number ranges of kept segments up to date; how many really changed.

    A range that the file does not tell is kept: it may have been worked out from door plates.
    """
    if not kept:
        return 0
    session.execute(
        text(
            "create temp table kept_segment (id bigint, class text, rank smallint, form text,"
            " oneway text, left_from int, left_to int, right_from int, right_to int) on commit drop"
        )
    )
    copy_rows(
        session,
        "kept_segment",
        (*("id", "class", "rank", "form", "oneway"), *RANGES),
        (
            (
                segment_id,
                row.class_,  # type: ignore[attr-defined]
                CLASS_RANK.get(row.class_, UNKNOWN_CLASS_RANK),  # type: ignore[attr-defined]
                row.form,  # type: ignore[attr-defined]
                row.oneway,  # type: ignore[attr-defined]
                *(_whole(getattr(row, name)) for name in RANGES),
            )
            for segment_id, row in kept
        ),
    )
    result = session.execute(
        text(
            "update segment s set class = k.class, rank = k.rank, form = k.form, oneway = k.oneway,"
            " left_from = coalesce(k.left_from, s.left_from),"
            " left_to = coalesce(k.left_to, s.left_to),"
            " right_from = coalesce(k.right_from, s.right_from),"
            " right_to = coalesce(k.right_to, s.right_to)"
            " from kept_segment k where k.id = s.id and"
            " (s.class, s.form, s.oneway, s.left_from, s.left_to, s.right_from, s.right_to)"
            " is distinct from"
            " (k.class, k.form, k.oneway, coalesce(k.left_from, s.left_from),"
            " coalesce(k.left_to, s.left_to), coalesce(k.right_from, s.right_from),"
            " coalesce(k.right_to, s.right_to))"
        )
    )
    session.execute(text("drop table kept_segment"))
    return int(result.rowcount)  # type: ignore[attr-defined]


def _retire(session: Session, gone: list[int], now: datetime) -> None:
    """Marks segments as gone and ends what was held by them; their rows and past stay."""
    if not gone:
        return
    values = {"ids": gone, "now": now}
    session.execute(text("update segment set gone_at = :now where id = any(:ids)"), values)
    for table in ("grid_segment", "post_holding"):
        session.execute(
            text(
                f"update {table} set valid = tstzrange(lower(valid), :now)"  # noqa: S608 (two fixed names)
                " where segment_id = any(:ids) and valid @> cast(:now as timestamptz)"
                " and lower(valid) < :now"
            ),
            values,
        )


def named_lines(session: Session) -> gpd.GeoDataFrame:
    """Segments in force: id, name, names, class_, level, form, length_m, number ranges; EPSG:4326."""
    rows = session.execute(
        select(
            Segment.id,
            Street.name,
            Street.names,
            Segment.class_,
            Segment.level,
            Segment.form,
            Segment.length_m,
            Segment.left_from,
            Segment.left_to,
            Segment.right_from,
            Segment.right_to,
            text("st_asbinary(segment.line)"),
        )
        .outerjoin(Street, Street.id == Segment.street_id)
        .where(Segment.gone_at.is_(None))
        .order_by(Segment.id)
    ).all()
    columns = ["id", "name", "names", "class_", "level", "form", "length_m", *RANGES, "line"]
    frame = pd.DataFrame([tuple(row) for row in rows], columns=columns)
    lines = shapely.from_wkb([bytes(line) for line in frame.pop("line")])
    for name in RANGES:
        frame[name] = frame[name].astype("Int64")
    return gpd.GeoDataFrame(frame, geometry=lines, crs=4326)
