"""The invented year: its mix and hours follow the domain notes, and each text means the place it claims."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely

from dispatch.categories import seed_categories
from fixtures.sentences import AT_PLACES, KINDS
from fixtures.telling import numeral
from fixtures.town import InventedTown, make_town
from grid.core.crs import geometries_to_plane, to_plane
from grid.core.datums import to_wgs84


@pytest.fixture(scope="module")
def town() -> InventedTown:
    return make_town()


@pytest.fixture(scope="module")
def truth_xy(town: InventedTown) -> np.ndarray:
    x, y = to_plane(town.incidents["truth_lon"], town.incidents["truth_lat"], town.plane_epsg)
    return np.column_stack([x, y])


@pytest.fixture(scope="module")
def street_lines(town: InventedTown) -> dict[str, shapely.Geometry]:
    plane = geometries_to_plane(town.streets.geometry.to_numpy(), town.plane_epsg)
    named = town.streets["name"].notna().to_numpy()
    groups = pd.Series(plane[named]).groupby(town.streets.loc[named, "name"].to_numpy())
    return {str(name): shapely.union_all(group.to_numpy()) for name, group in groups}


def test_categories_exist_and_keep_the_mix(town: InventedTown) -> None:
    kinds = {c.code: c.kind for c in seed_categories()}
    assert {k.code for k in KINDS} <= set(kinds)
    assert set(AT_PLACES) <= {k.code for k in KINDS}
    table = town.incidents
    assert len(table) == 6_000
    events = (table["category"].map(kinds) == "event").mean()
    assert 0.93 < events < 0.97
    # Street order (09) and appearance: what stands, hangs, is stuck or piled where it should not.
    appearance = {
        "06001",
        "06003",
        "06004",
        "06007",
        "06008",
        "06034",
        "06035",
        "06036",
        "06040",
        "06038",
    }
    order = table["category"].str.startswith("09") | table["category"].isin(appearance)
    adverts = table["category"].str.startswith("07")
    assert 0.45 < (order | adverts).mean() < 0.65
    assert (
        table["category"].value_counts().index[0] == "07001"
    )  # as in the counted month of the notes


def test_hours_peak_in_the_morning_and_the_evening(town: InventedTown) -> None:
    at = town.incidents["occurred_at"]
    assert str(at.dt.tz) == "Asia/Shanghai"
    assert at.is_monotonic_increasing
    assert set(at.dt.year) == {2025}
    hours = at.dt.hour.value_counts().reindex(range(24), fill_value=0)
    assert hours[[7, 8]].mean() > 1.6 * hours[[12, 13, 14]].mean()
    assert hours[[17, 18, 19]].mean() > 1.6 * hours[[12, 13, 14]].mean()
    assert hours[[1, 2, 3, 4]].sum() < 0.02 * len(at)
    months = town.incidents.groupby("category")["occurred_at"].agg(lambda t: set(t.dt.month))
    assert months["06029"] <= {3, 4, 5, 6, 7, 8, 9, 10}  # barbecues in the open
    assert months["10001"] <= {1, 2, 3, 11, 12}  # snow and ice
    days = at.dt.day_of_week.value_counts()
    assert days[[5, 6]].mean() < 0.9 * days[[0, 1, 2, 3, 4]].mean()


def test_hot_spots_lie_where_the_notes_say(town: InventedTown, truth_xy: np.ndarray) -> None:
    """Near a market, school, bus station or hospital stand more incidents than door plates."""
    hot = town.places[town.places["kind"].isin(["market", "school", "bus_station", "hospital"])]
    tree = shapely.STRtree(geometries_to_plane(hot.geometry.to_numpy(), town.plane_epsg))
    plates = geometries_to_plane(town.door_plates.geometry.to_numpy(), town.plane_epsg)

    def share(points: np.ndarray) -> float:
        hit = tree.query(points, predicate="dwithin", distance=60.0)
        return len(np.unique(hit[0])) / len(points)

    assert share(shapely.points(truth_xy)) > 1.5 * share(plates)
    assert set(town.incidents["zone"]) == {
        "none",
        "market",
        "school",
        "bus_station",
        "hospital",
        "park",
    }


def test_truth_lies_at_the_street_it_names(
    town: InventedTown, truth_xy: np.ndarray, street_lines: dict[str, shapely.Geometry]
) -> None:
    table = town.incidents
    points = shapely.points(truth_xy)
    lines = np.array([street_lines[s] for s in table["truth_street"]], dtype=object)
    distance = shapely.distance(points, lines)
    limit = table["truth_kind"].map(
        {"crossing": 40, "offset": 36, "street": 22, "span": 14, "km_post": 30, "pole": 15}
    )
    told = limit.notna().to_numpy()
    assert (distance[told] <= limit[told]).all()
    assert np.quantile(distance[(table["truth_kind"] == "number").to_numpy()], 0.99) < 45
    assert not town.river.contains(shapely.Point(0, 0))


def test_crossings_name_two_streets_that_meet_there(
    town: InventedTown, truth_xy: np.ndarray, street_lines: dict[str, shapely.Geometry]
) -> None:
    rows = np.flatnonzero(
        ((town.incidents["truth_kind"] == "crossing") & ~town.incidents["misspelt"]).to_numpy()
    )
    assert len(rows) > 500
    for row in rows[::3]:
        text = town.incidents["description"].iat[row]
        here = shapely.Point(truth_xy[row])
        near = [
            name
            for name, line in street_lines.items()
            if name in text and line.distance(here) < 40.0
        ]
        assert len(near) >= 2, text


def test_numbers_lie_at_their_plates(town: InventedTown, truth_xy: np.ndarray) -> None:
    plates = geometries_to_plane(town.door_plates.geometry.to_numpy(), town.plane_epsg)
    at = {
        f"{s}{n}号": p
        for s, n, p in zip(
            town.door_plates["street"], town.door_plates["house_number"], plates, strict=True
        )
    }
    table = town.incidents
    checked = 0
    for row in np.flatnonzero((table["truth_kind"] == "number").to_numpy()):
        address = table["address"].iat[row]
        if address is None or "对面" in address or table["misspelt"].iat[row]:
            continue
        plate = at.get(address.split("号")[0] + "号")
        if plate is not None:
            checked += 1
            assert plate.distance(shapely.Point(truth_xy[row])) < 12.0
    assert checked > 500


def test_points_come_in_the_datum_they_say(town: InventedTown, truth_xy: np.ndarray) -> None:
    table = town.incidents
    for channel, datum, error_m in (
        ("patrol", "wgs84", 25.0),
        ("video", "wgs84", 45.0),
        ("wechat", "gcj02", 60.0),
    ):
        mine = ((table["channel"] == channel) & (table["point"] == "good")).to_numpy()
        assert (table.loc[mine, "datum"] == datum).all()
        lon, lat = to_wgs84(table.loc[mine, "lon"], table.loc[mine, "lat"], datum)
        x, y = to_plane(lon, lat, town.plane_epsg)
        off = np.hypot(x - truth_xy[mine, 0], y - truth_xy[mine, 1])
        assert off.max() < error_m
    words_only = table["channel"].isin(["hotline_12319", "leader"])
    assert table.loc[words_only, "lon"].isna().all()
    assert table.loc[words_only, "datum"].isna().all()
    assert table.loc[table["channel"] == "hotline_12345", "lon"].notna().mean() < 0.15


def test_second_reports_follow_their_first(town: InventedTown) -> None:
    table = town.incidents
    second = table[table["duplicate_of"].notna()]
    first = table.loc[second["duplicate_of"].astype(int)]
    assert 100 < len(second) < 300
    assert (first["category"].to_numpy() == second["category"].to_numpy()).all()
    assert (first["truth_lon"].to_numpy() == second["truth_lon"].to_numpy()).all()
    assert (second["occurred_at"].to_numpy() >= first["occurred_at"].to_numpy()).all()
    keys = table.dropna(subset=["external_id"])
    assert not keys.duplicated(["channel", "external_id"]).any()


def test_every_way_of_speaking_and_every_ending_occurs(town: InventedTown) -> None:
    table = town.incidents
    assert set(table["truth_kind"]) == {
        "crossing", "number", "place", "street", "offset", "span", "km_post", "pole", "none",
    }  # fmt: skip
    assert 0.01 < (table["truth_kind"] == "none").mean() < 0.04
    assert 0.005 < table["misspelt"].mean() < 0.02
    text = "".join(table["description"])
    for words in (
        "市民反映",
        "请处理：",
        "对面",
        "隔壁",
        "公里",
        "路灯杆",
        "东北角",
        "左右",
        "至",
        "（原",
        "环岛",
    ):
        assert words in text, words
    assert table["reporter_phone"].dropna().str.match(r"0000-9\d{6}$").all()
    assert set(table["outcome"]) == {"closed", "refused", "void"}
    limits = {c.code: c.limit for c in seed_categories()}
    plain = table[table["category"].map(lambda c: limits[c].unit == "hours")]
    late = plain["finish_minutes"] > plain["category"].map(lambda c: limits[c].value * 60.0)
    assert 0.05 < late.mean() < 0.2
    assert 0.02 < table["rework"].mean() < 0.1
    asked = table["satisfied"].dropna()
    assert (asked == "yes").mean() > 0.8


def test_numerals_are_written_as_spoken() -> None:
    spoken = {
        5: "五",
        10: "十",
        15: "十五",
        20: "二十",
        106: "一百零六",
        110: "一百一十",
        150: "一百五十",
        1200: "一千二百",
    }
    assert {n: numeral(n) for n in spoken} == spoken
    assert numeral(1005) == "一千零五"


def test_any_number_of_incidents(town: InventedTown) -> None:
    assert len(make_town(incident_count=0).incidents) == 0
    few = make_town(seed=5, incident_count=37, year=2024).incidents
    assert len(few) == 37
    assert set(few["occurred_at"].dt.year) == {2024}
    assert list(few.columns) == list(town.incidents.columns)
