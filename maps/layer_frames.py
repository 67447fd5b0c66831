"""A layer as a GeoDataFrame, and a frame as a file: what is small enough to be held whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput
from maps.export_filters import Wanted, reading
from maps.layers import find_layer

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf"}


def layer_frame(
    session: Session, name: str, at: datetime | None = None, *, with_people: bool = False
) -> gpd.GeoDataFrame:
    """A layer at a moment (now) as a frame, read in the session's own transaction; columns as the dictionary says, EPSG:4326.

    Raises BadInput `export.layer_unknown`.
    """
    layer = find_layer(name)
    asked = reading(layer, replace(Wanted(), with_names=with_people))
    session.execute(
        text("select set_config('gridward.at', :at, true)"), {"at": at.isoformat() if at else ""}
    )
    query = asked.query.as_string(None) + " order by i.id"
    result = session.connection().exec_driver_sql(query)
    frame = pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()))
    session.execute(text("select set_config('gridward.at', '', true)"))
    shapes = shapely.from_wkb([None if g is None else bytes(g) for g in frame.pop("geom")])
    for entry in asked.attributes:
        if entry.type == "integer":
            frame[entry.column] = frame[entry.column].astype("Int64")
        elif entry.type == "moment":
            frame[entry.column] = pd.to_datetime(frame[entry.column], utc=True)
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)


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
