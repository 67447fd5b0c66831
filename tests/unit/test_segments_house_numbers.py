"""House numbers: reading plates, finding their segment and side, and ranges from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from grid.core.crs import from_plane
from grid.house_numbers import assign_plates, divide_range, leading_number, ranges_from_plates
from grid.segments import cut
from grid.sources.base import RANGE_COLUMNS
from grid.sources.osm import read_osm
from grid.sources.vector import read_streets

PLANE = 4548  # CGCS2000, central meridian 117 E
EAST, NORTH = 500_000.0, 3_000_000.0


def at(x_m: float, y_m: float) -> tuple[float, float]:
    lon, lat = from_plane(EAST + x_m, NORTH + y_m, PLANE)
    return float(lon), float(lat)


def segments(*rows: tuple[str | None, list[tuple[float, float]]], **more: Any) -> Any:
    frame = gpd.GeoDataFrame(
        {
            "name": [name for name, _ in rows],
            "names": more.get("names", [{} for _ in rows]),
            "length_m": [shapely.LineString(line).length for _, line in rows],
            **{column: pd.array([pd.NA] * len(rows), dtype="Int64") for column in RANGE_COLUMNS},
        },
        geometry=[shapely.LineString([at(*place) for place in line]) for _, line in rows],
        crs=4326,
    )
    return frame


def plates(*rows: tuple[str, str, float, float]) -> Any:
    return gpd.GeoDataFrame(
        {"street": [row[0] for row in rows], "house_number": [row[1] for row in rows]},
        geometry=[shapely.Point(at(*row[2:])) for row in rows],
        crs=4326,
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("12A", 12),
        ("12-14", 12),
        ("76-3", 76),
        ("15附2", 15),
        ("32之1號", 32),
        ("１３６号", 136),
        ("甲28号", 28),
        ("", None),
        (None, None),
        ("无号", None),
        ("0", None),
        ("13800138000", None),
    ],
)
def test_leading_number(text: str | None, number: int | None) -> None:
    assert leading_number(text) == number


def test_ranges_divided_by_hand() -> None:
    assert divide_range(1, 9, [10, 10]) == [(1, 3), (5, 9)]
    assert divide_range(10, 2, [30, 20]) == [(10, 6), (4, 2)]
    assert divide_range(1, 4, [50, 50]) == [(1, 2), (3, 4)]
    assert divide_range(7, 7, [10, 90]) == [None, (7, 7)]


def test_plates_find_the_nearest_segment_of_their_own_street() -> None:
    #   北  8.........    建设路 runs east (segments 0 and 1), 文化路 (2) runs parallel 30 m north.
    roads = segments(
        ("建设路", [(0, 0), (100, 0)]),
        ("建设路", [(100, 0), (200, 0)]),
        ("文化路", [(0, 30), (200, 30)]),
        names=[{}, {"en": "Jianshe Road"}, {}],
    )
    found = assign_plates(
        roads,
        plates(
            ("建设路", "8号", 40, 20),
            ("建设路", "15", 150, -10),
            ("jianshe  ROAD", "17", 30, -10),
            ("无名路", "1", 10, 0),
            ("建设路", "900", 100, 900),
        ),
        PLANE,
    )
    assert found["segment"].tolist()[:3] == [0, 1, 1]
    assert found["segment"].isna().tolist() == [False, False, False, True, True]
    assert found["side"].tolist()[:3] == ["left", "right", "right"]
    assert found["along_m"].to_numpy()[:3] == pytest.approx([40, 50, 0], abs=0.01)
    assert found["offset_m"].to_numpy()[:2] == pytest.approx([20, 10], abs=0.01)
    assert found["number"].tolist()[:3] == [8, 15, 17]


def test_a_plate_at_the_corner_goes_to_the_first_segment() -> None:
    roads = segments(("路", [(0, 0), (100, 0)]), ("路", [(100, 0), (200, 0)]))
    assert assign_plates(roads, plates(("路", "1", 100, 9)), PLANE)["segment"].tolist() == [0]


def test_ranges_run_the_way_the_numbers_run_and_keep_parity() -> None:
    roads = segments(("路", [(0, 0), (100, 0)]))
    found = assign_plates(
        roads,
        plates(
            ("路", "9", 10, 5), ("路", "5", 50, 5), ("路", "1", 90, 5), ("路", "4", 60, 5),
            ("路", "8", 50, -5),
        ),
        PLANE,
    )  # fmt: skip
    ranges = ranges_from_plates(roads, found)
    # Odd on the left, falling along the line; the stray 4 is left aside. One number on the right.
    assert ranges.iloc[0].tolist() == [9, 1, 8, 8]


def test_ranges_of_the_source_stay() -> None:
    roads = segments(("路", [(0, 0), (100, 0)]))
    roads["left_from"], roads["left_to"] = (pd.array([n], dtype="Int64") for n in (101, 199))
    found = assign_plates(roads, plates(("路", "9", 10, 5), ("路", "8", 10, -5)), PLANE)
    assert ranges_from_plates(roads, found).iloc[0].tolist() == [101, 199, 8, 8]


def test_no_plates_no_ranges() -> None:
    roads = segments(("路", [(0, 0), (100, 0)]))
    found = assign_plates(roads, plates(("路", "9", 10, 5)).iloc[:0], PLANE)
    assert ranges_from_plates(roads, found).isna().all(axis=None)


def test_helsinki_plates_stand_on_one_parity_per_side(shared_data: Path) -> None:
    town = read_osm(shared_data / "europe" / "helsinki-center.osm.pbf")
    cut_segments = cut(town.streets).segments
    found = assign_plates(cut_segments, town.door_plates, 32635)
    assert found["segment"].notna().mean() > 0.97
    placed = found[found["segment"].notna() & found["number"].notna()]
    odd = (placed["number"] % 2).groupby([placed["segment"], placed["side"]]).mean()
    assert odd.isin([0.0, 1.0]).mean() > 0.95
    ranges = ranges_from_plates(cut_segments, found)
    assert int(ranges["left_from"].notna().sum()) > 100


def test_cambridge_parcels_fall_on_the_side_the_city_says(shared_data: Path) -> None:
    folder = shared_data / "us-cambridge"
    mapping = {"name": "Street", "left_from": "L_From", "left_to": "L_To"}
    mapping |= {"right_from": "R_From", "right_to": "R_To"}
    streets, _ = read_streets(folder / "street-centerlines.geojson", mapping=mapping)
    lines = cut(streets, merge=False).segments
    table = pd.read_csv(folder / "parcel-addresses-fy2014.csv.gz", dtype=str)
    parts = table["ADDRESS"].str.extract(r"^(?P<house_number>\S+)\s+(?P<street>.*)$")
    points = gpd.points_from_xy(table["LON"].astype(float), table["LAT"].astype(float))
    found = assign_plates(lines, gpd.GeoDataFrame(parts, geometry=points, crs=4326), 32619)
    placed = found[found["segment"].notna() & found["number"].notna()]
    row = placed["segment"].to_numpy(dtype=np.int64)
    left, right = (
        lines[f"{side}_from"].astype(float).to_numpy()[row] for side in ("left", "right")
    )
    said = np.where(placed["side"] == "left", left, right)
    known = ~np.isnan(said)
    same = said[known] % 2 == placed["number"].to_numpy(dtype=np.int64)[known] % 2
    assert len(same) > 12_000
    assert same.mean() > 0.97
