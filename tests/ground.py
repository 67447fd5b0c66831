"""Small grounds and comparisons for tests: a drawn town of a few streets, and every table as it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd
from shapely.geometry import LineString, Point
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.database import Base
from grid.loading.grids import GridName, both_sides, put_in_force
from grid.loading.towns import TownReport, load_town

ZONE = ZoneInfo("Asia/Shanghai")
# A Wednesday inside office hours.
MORNING = datetime(2025, 6, 4, 9, 0, tzinfo=ZONE)
# Counters and the notes of what tiles must be drawn anew rise with every writing statement, also one that
# changes no row.
NEVER_COMPARED = frozenset({"alembic_version", "access_key", "change_count", "tile_pending"})
# Degrees of about 100 m at this latitude; the drawn town is a ladder of four streets.
WEST, SOUTH, STEP = 114.60, 33.60, 0.001


def at(column: float, row: float) -> tuple[float, float]:
    """lon, lat of a place of the drawn town, in steps of about 100 m."""
    return WEST + column * STEP, SOUTH + row * STEP


def street(
    name: str | None, *places: tuple[float, float], class_: str = "tertiary"
) -> dict[str, Any]:
    """One street line through places of the drawn town."""
    return {
        "source_key": f"drawn:{name}",
        "name": name,
        "names": {},
        "class_": class_,
        "oneway": "no",
        "level": 0,
        "form": "single",
        **dict.fromkeys(("left_from", "left_to", "right_from", "right_to")),
        "geometry": LineString([at(*place) for place in places]),
    }


LADDER = (
    street("东风路", (0, 0), (1, 0), (2, 0), class_="primary"),
    street("解放路", (0, 1), (1, 1), (2, 1)),
    street("一巷", (0, 0), (0, 1), class_="residential"),
    street("二巷", (1, 0), (1, 1), class_="residential"),
    street("三巷", (2, 0), (2, 1), class_="residential"),
)


def lines(*rows: dict[str, Any]) -> gpd.GeoDataFrame:
    """Street lines as the readers in `grid.sources` give them."""
    frame = pd.DataFrame(list(rows))
    for name in ("left_from", "left_to", "right_from", "right_to"):
        frame[name] = frame[name].astype("Int64")
    frame["node_ids"] = None
    return gpd.GeoDataFrame(frame, geometry="geometry", crs=4326)


def nothing() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"geometry": []}, geometry="geometry", crs=4326)


def load_lines(session: Session, now: datetime, *rows: dict[str, Any]) -> TownReport:
    """Loads drawn streets as the whole network of the town."""
    return load_town(
        session, lines(*rows), nothing(), nothing(), nothing(), now, merge=False, name="画中县"
    )


def segment_ids(session: Session) -> dict[str, list[int]]:
    """Ids of the segments in force by street name, west to east and south to north."""
    found: dict[str, list[int]] = {}
    for name, segment_id in session.execute(
        text(
            "select t.name, s.id from segment s join street t on t.id = s.street_id"
            " where s.gone_at is null"
            " order by t.name, st_x(st_centroid(s.line)) + st_y(st_centroid(s.line))"
        )
    ):
        found.setdefault(name, []).append(segment_id)
    return found


def two_grids(session: Session, now: datetime) -> dict[str, list[int]]:
    """West grid A and east grid B of the ladder; the segments by street."""
    ids = segment_ids(session)
    codes = {ids["东风路"][0]: "A", ids["解放路"][0]: "A", ids["一巷"][0]: "A"}
    codes |= {
        ids["东风路"][1]: "B",
        ids["解放路"][1]: "B",
        ids["二巷"][0]: "B",
        ids["三巷"][0]: "B",
    }
    put_in_force(session, [GridName("A", "西片"), GridName("B", "东片")], both_sides(codes), now)
    return ids


def every_table(session: Session) -> dict[str, list[str]]:
    """Every row of every table of ours, as text, in order."""
    return {
        table.name: [
            row[0]
            for row in session.execute(
                text(f"select cast(r as text) from {table.name} r order by 1")
            )
        ]
        for table in Base.metadata.sorted_tables
        if table.name not in NEVER_COMPARED
    }


def point(column: float, row: float) -> Point:
    return Point(*at(column, row))
