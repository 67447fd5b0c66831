"""What thematic maps are made of: grids with their ground, streets, incidents under the console's filters.

Only reads. Geometry EPSG:4326, moments aware. Nothing of reporters nor their words.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.attendance import COVERED_SHARE
from dispatch.reading import IncidentFilter, where_of
from grid.core.errors import BadInput
from grid.core.values import dataclass
from maps.export_filters import Wanted, reading
from maps.layers import LAYERS

POSTS = ("officer", "cleaner", "gardener", "maintainer")
# More lines than this are not drawn for orientation: only the larger streets are.
MOST_STREETS = 12_000
LARGE = ("trunk", "primary", "secondary", "tertiary")
# Incidents read one by one for a map: more take a server's memory and minutes, and a shorter period tells as much.
MOST_READ = 300_000
# Degrees of about a metre and a half: not to be seen at the scale of a town.
FINE_DEG = 1.5e-5


@dataclass(frozen=True, slots=True)
class MapFilter(IncidentFilter):
    """The console's filters, and a condition (CQL2) on the columns of the layer `incidents`."""

    where: str | None = None


def grids_frame(session: Session) -> gpd.GeoDataFrame:
    """Grids in force: id, code, name, name_en, length_m, the four posts and the leader as x_id, has_ground, geometry.

    The geometry is the grid's kept territory, or its streets where none is kept.
    """
    rows = session.execute(
        text(
            "select g.id, g.code, g.name, g.name_en, g.length_m, g.officer_id, g.cleaner_id, g.gardener_id,"
            " g.maintainer_id, g.leader_id, t.geom is not null as has_ground,"
            " st_asbinary(coalesce(st_simplifypreservetopology(t.geom, :fine), g.geom)) as shape"
            " from gis.grids g left join gis.territories t on t.code = g.code order by g.code"
        ),
        {"fine": FINE_DEG},
    )
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(rows.keys()))
    shapes = shapely.from_wkb([bytes(shape) for shape in frame.pop("shape")])
    for column in (*(f"{post}_id" for post in POSTS), "leader_id"):
        frame[column] = frame[column].astype("Int64")
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)


def streets_series(session: Session) -> gpd.GeoSeries:
    """Lines of the streets in force; in a large town of the larger streets only."""
    count = session.scalar(text("select count(*) from segment where gone_at is null")) or 0
    rows = session.execute(
        text(
            "select st_asbinary(st_simplify(line, :fine)) from segment"
            " where gone_at is null and (:all or class = any(:large)) order by id limit :most"
        ),
        {"fine": FINE_DEG, "all": count <= MOST_STREETS, "large": list(LARGE), "most": 60_000},
    ).scalars()
    return gpd.GeoSeries(shapely.from_wkb([bytes(row) for row in rows]), crs=4326)


def people_names(session: Session) -> dict[int, str]:
    """Names by id of the people; only for those who may read them."""
    rows = session.execute(text("select id, name from gis.people"))
    return {row.id: row.name for row in rows}


def incident_count(session: Session, asked: IncidentFilter) -> int:
    """How many incidents with a place a filter finds."""
    where, values = _where(asked)
    found = session.scalar(
        text(f"select count(*) from incident i {where}"),  # noqa: S608 (our own words)
        values,
    )
    return int(found or 0)


def incidents_frame(session: Session, asked: IncidentFilter) -> pd.DataFrame:
    """Incidents with a place (BadInput `maps.too_many` beyond MOST_READ): number, lon, lat, category, category_zh, category_en, status, reported_at, filed_at,
    dispatched_at, due_at, disposed_at, ended_at, reworks, grid_id, grid_code, segment_id, street; by time.
    """
    where, values = _where(asked)
    rows = session.execute(
        text(
            "select i.number, st_x(i.point) as lon, st_y(i.point) as lat, i.category_code as category,"  # noqa: S608
            " k.name_zh as category_zh, k.name_en as category_en, i.status, i.reported_at, i.filed_at,"
            " i.dispatched_at, i.due_at, i.disposed_at, i.ended_at,"
            " coalesce((i.facts ->> 'reworks')::int, 0) as reworks, i.grid_id, g.code as grid_code,"
            " i.segment_id, t.name as street from incident i"
            " left join category k on k.code = i.category_code left join grid g on g.id = i.grid_id"
            " left join segment s on s.id = i.segment_id left join street t on t.id = s.street_id"
            f" {where} order by i.reported_at, i.id limit {MOST_READ + 1}"
        ),
        values,
    )
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(rows.keys()))
    if len(frame) > MOST_READ:
        raise BadInput("maps.too_many", field="from", most=f"{MOST_READ:,}")
    for column in ("reported_at", "filed_at", "dispatched_at", "due_at", "disposed_at", "ended_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame


def incident_squares(
    session: Session, asked: IncidentFilter, side_deg: float, step_seconds: float, start: datetime
) -> pd.DataFrame:
    """Incidents put together by the server: lon, lat (their mean), n, step (of `step_seconds` after `start`)."""
    where, values = _where(asked)
    rows = session.execute(
        text(
            "select avg(st_x(i.point)) as lon, avg(st_y(i.point)) as lat, count(*) as n,"  # noqa: S608
            " floor(extract(epoch from i.reported_at - cast(:start as timestamptz)) / :step)::int as step"
            f" from incident i {where}"
            " group by floor(st_x(i.point) / :side), floor(st_y(i.point) / :side), 4 order by 4, 1, 2"
        ),
        {**values, "side": side_deg, "step": step_seconds, "start": start},
    )
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(rows.keys()))
    return frame.astype({"lon": float, "lat": float, "n": int, "step": int})


def counts_by_grid(session: Session, asked: IncidentFilter) -> dict[int, int]:
    """How many incidents with a place a filter finds in each grid, by grid id."""
    where, values = _where(asked)
    rows = session.execute(
        text(
            "select i.grid_id, count(*) as n from incident i"  # noqa: S608 (our own words)
            f" {where} group by i.grid_id"
        ),
        values,
    )
    return {row.grid_id: row.n for row in rows if row.grid_id is not None}


def ground_points(session: Session) -> NDArray[np.float64]:
    """Where streets are, metres of the plane: both ends and the middle of each segment, (n, 2)."""
    rows = session.execute(
        text(
            "select st_x(p), st_y(p) from segment s cross join lateral (values"
            " (st_startpoint(s.line_plane)), (st_lineinterpolatepoint(s.line_plane, 0.5)),"
            " (st_endpoint(s.line_plane))) e (p) where s.gone_at is null"
        )
    ).all()
    return np.array([tuple(row) for row in rows], dtype=float).reshape(-1, 2)


def cells_frame(session: Session) -> gpd.GeoDataFrame:
    """Standard unit cells: id, code, geometry."""
    rows = session.execute(
        text("select id, code, st_asbinary(area) as shape from cell order by id")
    )
    return _shaped(rows)


def segments_frame(session: Session) -> gpd.GeoDataFrame:
    """Segments in force: id, street, from_crossing_id, to_crossing_id, length_m, grid_code, x_id of the posts and the leader, geometry."""
    rows = session.execute(
        text(
            "select v.id, v.street, s.from_crossing_id, s.to_crossing_id, v.length_m, v.grid_left as grid_code,"
            " v.officer_id, v.cleaner_id, v.gardener_id, v.maintainer_id, v.leader_id,"
            " st_asbinary(st_simplify(v.geom, :fine)) as shape"
            " from gis.segments v join segment s on s.id = v.id order by v.id"
        ),
        {"fine": FINE_DEG},
    )
    return _shaped(rows)


def patrols_frame(
    session: Session, since: datetime, until: datetime, staff_ids: tuple[int, ...] | None
) -> pd.DataFrame:
    """Segments that shifts begun in a period came near: segment_id, shifts (that saw at least half of it), share
    (the most that one shift saw), last_at. `staff_ids`: only these people's shifts.
    """
    rows = session.execute(
        text(
            "select c.segment_id, count(*) filter (where c.share >= :enough) as shifts,"
            " max(c.share)::float8 as share, max(a.began_at) as last_at"
            " from patrol_cover c join attendance a on a.id = c.attendance_id"
            " where a.began_at >= :since and a.began_at < :until"
            " and (:every or a.staff_id = any(:staff)) group by c.segment_id order by c.segment_id"
        ),
        {
            "enough": COVERED_SHARE, "since": since, "until": until,
            "every": staff_ids is None, "staff": list(staff_ids or ()),
        },
    )  # fmt: skip
    return pd.DataFrame([tuple(row) for row in rows], columns=list(rows.keys()))


def first_report(session: Session) -> datetime | None:
    """The moment of the oldest report."""
    found: Any = session.scalar(text("select min(reported_at) from incident"))
    return found if isinstance(found, datetime) else None


def _shaped(rows: Any) -> gpd.GeoDataFrame:
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(rows.keys()))
    shapes = shapely.from_wkb([bytes(shape) for shape in frame.pop("shape")])
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)


def _where(asked: IncidentFilter) -> tuple[str, dict[str, Any]]:
    """` where …` on `incident i` for incidents of a filter that have a place, and its values."""
    found = where_of(asked)
    found.add("i.point is not null")
    if isinstance(asked, MapFilter) and asked.where:
        layer = LAYERS["incidents"]
        only = reading(layer, Wanted(where=asked.where, columns=("id",)), "null as geom").query
        # Colons of its values are no parameters.
        written = only.as_string(None).replace(":", "\\:")
        found.add(f"i.id in (select q.id from ({written}) q)")  # noqa: S608 (every value quoted)
    return found.sql(), found.values
