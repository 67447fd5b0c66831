"""Layers into files: what QGIS and geopandas open in the right place, with grid, crew and state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput
from grid.crews import crews_frame
from grid.models import HOLDINGS
from grid.town_territory import town_territory

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf"}


def segments_frame(session: Session, at: datetime, *, with_people: bool) -> gpd.GeoDataFrame:
    """Segments in force: id, street, class, form, oneway, level, length_m, number ranges, grids, crew; EPSG:4326."""
    frame = _read(
        session,
        "select s.id, t.name as street, s.class, s.form, s.oneway, s.level, s.length_m,"
        " s.left_from, s.left_to, s.right_from, s.right_to,"
        " l.code as grid_left, r.code as grid_right, st_asbinary(s.line) as geometry"
        " from segment s left join street t on t.id = s.street_id"
        " left join grid_segment hl on hl.segment_id = s.id and hl.side = 'left'"
        " and hl.valid @> cast(:at as timestamptz) left join grid l on l.id = hl.grid_id"
        " left join grid_segment hr on hr.segment_id = s.id and hr.side = 'right'"
        " and hr.valid @> cast(:at as timestamptz) left join grid r on r.id = hr.grid_id"
        " where s.gone_at is null order by s.id",
        at,
    )
    frame.insert(
        1, "grid_code", frame["grid_left"].where(frame["grid_left"] == frame["grid_right"])
    )
    return _with_crews(session, frame, "grid_left", at) if with_people else frame


def grids_frame(session: Session, at: datetime, *, with_people: bool) -> gpd.GeoDataFrame:
    """Grids in force: code, name, name_en, segments, length_m, crew; geometry their streets, EPSG:4326."""
    frame = _read(
        session,
        "select g.code, g.name, g.name_en, count(*) as segments, sum(s.length_m) as length_m,"
        " st_asbinary(st_collect(s.line order by s.id)) as geometry from grid g"
        " join (select distinct grid_id, segment_id from grid_segment"
        " where valid @> cast(:at as timestamptz)) h"
        " on h.grid_id = g.id join segment s on s.id = h.segment_id and s.gone_at is null"
        " where g.valid @> cast(:at as timestamptz) group by g.id order by g.code",
        at,
    )
    return _with_crews(session, frame, "code", at) if with_people else frame


def incidents_frame(session: Session, at: datetime, *, with_people: bool) -> gpd.GeoDataFrame:
    """Incidents that have a place: state, category, times, grid, post, person; no reporter's data; EPSG:4326."""
    frame = _read(
        session,
        "select i.number, i.status, i.queue, i.channel_code as channel, i.category_code as category,"
        " c.name_zh as category_zh, c.name_en as category_en, i.address, i.occurred_at,"
        " i.reported_at, i.filed_at, i.dispatched_at, i.disposed_at, i.ended_at, i.due_at, i.match,"
        " i.confidence, i.spread_m, i.segment_id, t.name as street, i.side, i.cell_code as cell, g.code as grid_code,"
        " g.name as grid_name, k.post, p.name as assignee, st_asbinary(i.point) as geometry"
        " from incident i left join category c on c.code = i.category_code"
        " left join segment s on s.id = i.segment_id left join street t on t.id = s.street_id"
        " left join grid g on g.id = i.grid_id left join lateral (select post, assignee_id"
        " from task where task.incident_id = i.id order by lead desc, id desc limit 1) k on true"
        " left join staff p on p.id = k.assignee_id where i.point is not null order by i.id",
        at,
    )
    return frame if with_people else frame.drop(columns="assignee")


def territories_frame(session: Session, at: datetime, *, with_people: bool) -> gpd.GeoDataFrame:
    """The ground of each grid: code, name, area_m2, crew; a gapless coverage, EPSG:4326."""
    frame = town_territory(session, at).frame()
    return _with_crews(session, frame, "code", at) if with_people else frame


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can be exported: its name and how its frame is read."""

    name: str
    read: Callable[..., gpd.GeoDataFrame]


LAYERS = {
    layer.name: layer
    for layer in (
        Layer("segments", segments_frame),
        Layer("grids", grids_frame),
        Layer("incidents", incidents_frame),
        Layer("territories", territories_frame),
    )
}


def export_layer(
    session: Session, name: str, target: Path, at: datetime, *, with_people: bool
) -> int:
    """Writes a layer to a file by its ending; returns the number of features.

    Raises BadInput `export.layer_unknown` and what `write_frame` raises.
    """
    layer = LAYERS.get(name)
    if layer is None:
        raise BadInput("export.layer_unknown", field="layer", layer=name, known=", ".join(LAYERS))
    _driver(target)
    return write_frame(layer.read(session, at, with_people=with_people), name, target)


def write_frame(frame: gpd.GeoDataFrame, name: str, target: Path) -> int:
    """Writes a frame as a layer to a file by its ending; returns the number of features.

    A file that fails half-way is not left behind. Raises BadInput `export.ending_unknown`,
    `export.folder_missing`.
    """
    driver = _driver(target)
    fresh = target.with_name(f".{target.stem}.new{target.suffix}")
    try:
        fresh.unlink(missing_ok=True)
        options = {"RFC7946": "YES"} if driver == "GeoJSON" else {}
        pyogrio.write_dataframe(frame, fresh, driver=driver, layer=name, **options)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return len(frame)


def _driver(target: Path) -> str:
    driver = DRIVERS.get(target.suffix.lower())
    if driver is None:
        known = ", ".join(DRIVERS)
        raise BadInput("export.ending_unknown", field="out", ending=target.suffix, known=known)
    if not target.resolve().parent.is_dir():
        raise BadInput("export.folder_missing", field="out", folder=str(target.parent))
    return driver


def _read(session: Session, query: str, at: datetime) -> gpd.GeoDataFrame:
    result = session.execute(text(query), {"at": at})
    columns = list(result.keys())
    frame = pd.DataFrame([tuple(row) for row in result], columns=columns)
    shapes = shapely.from_wkb([None if g is None else bytes(g) for g in frame.pop("geometry")])
    for name in frame.columns:
        if name in ("left_from", "left_to", "right_from", "right_to", "segment_id"):
            frame[name] = frame[name].astype("Int64")
        elif name.endswith("_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True)
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)


def _with_crews(
    session: Session, frame: gpd.GeoDataFrame, column: str, at: datetime
) -> gpd.GeoDataFrame:
    """The same with a column for each post: the name of its holder."""
    crews = crews_frame(session, at)
    held = crews[crews["post"].notna()].pivot(index="grid_code", columns="post", values="name")
    for post in HOLDINGS:
        names = held[post] if post in held else pd.Series(dtype=object)
        frame[post] = frame[column].map(names)
    return frame
