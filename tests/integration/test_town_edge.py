"""What lies beyond the town's boundary is never given to a grid as if it were known: single, in bulk, in words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.bulk import CrewBook, read_point_router
from dispatch.bulk_words import WordFinder
from dispatch.checking import check_record
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, PlaceGiven, fix_place
from grid.bulk_locate import read_ground_index
from grid.core.errors import BadInput
from grid.loading.boundaries import load_boundaries
from grid.reach import Reach
from grid.town_territory import town_territory
from tests.command import command_on
from tests.ground import LADDER, MORNING, at, load_lines, two_grids

OPERATOR = Actor("account:operator", "operator", None)
# The ladder's streets lie in columns 0 to 2 and rows 0 to 1, a step about 100 m; the boundary cuts off its east end
# and reaches far north, where no street is. (place in steps, what is true of it by the drawing)
EDGE = 1.5
PLACES = {
    "beside a street": ((0.5, 0.02), "A"),
    "inside, 2 m from the boundary": ((EDGE - 0.02, 0.05), "B"),
    "beside a street, 28 m beyond the boundary": ((EDGE + 0.3, 0.02), None),
    "inside, 500 m from every street": ((0.5, 6), None),
    "beyond the boundary and far from every street": ((9, 6), None),
}


@pytest.fixture
def edged(empty_services: Services) -> Any:
    """The ladder with two grids and a boundary that leaves its east end out."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        frame = {"name": ["画中县"], "names": [{}], "level": ["town"], "code": [None]}
        area = shapely.box(*at(-1, -1), *at(EDGE, 8))
        load_boundaries(session, gpd.GeoDataFrame(frame, geometry=[area], crs=4326))
        yield session
        session.rollback()


def taken(services: Services, session: Session, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"channel": "hotline_12345", "description": "满", "category": "06042"}
    made = take_in(session, services.desk, Report(**values | changes), "account:test", MORNING)
    return one_incident(session, made.number)


def test_one_point_many_points_and_the_ground_agree_on_what_is_outside(
    empty_services: Services, edged: Session
) -> None:
    settings = empty_services.settings.town
    catalogue = empty_services.desk.catalogue(edged)
    epsg = empty_services.desk.read(edged)[0].town.plane_epsg  # type: ignore[union-attr]
    router = read_point_router(edged, read_ground_index(edged), catalogue, settings, epsg)
    lon, lat = np.array([at(*place) for place, _ in PLACES.values()]).T
    moments = np.full(len(lon), int(MORNING.timestamp() * 1e6))
    placed = router.place(lon, lat, [None] * len(lon), moments)
    table = router.table(placed, CrewBook(edged).crews(placed.stretches)).to_pylist()
    territory = town_territory(edged, MORNING).frame().set_index("code").geometry

    for (place, code), row in zip(PLACES.values(), table, strict=True):
        assert row["grid_code"] == code
        assert (row["reason"] == "point_outside") == (code is None)
        one = taken(empty_services, edged, point=GivenPoint(*at(*place), "wgs84"))
        assert one["grid_code"] == code
        if code is None:
            assert (one["queue"], one["flags"][0], one["lon"]) == (
                "place_needed",
                "point_outside",
                None,
            )
        within = territory.index[territory.contains(shapely.Point(*at(*place)))].tolist()
        beyond = place[0] > EDGE
        # Ground far from every street is a grid's too; only a point there is not believed by itself.
        assert within == ([] if beyond else [code or "A"])
    assert check_record(edged) == []


def test_the_reason_says_how_far_beyond_and_a_hand_may_set_what_lies_inside(
    empty_services: Services, edged: Session
) -> None:
    beyond, far = at(EDGE + 0.3, 0.02), at(0.5, 6)
    row = taken(empty_services, edged, point=GivenPoint(*beyond, "wgs84"))
    told = row["reason"][0]
    # 0.3 of a step of 0.001 degree at 33.6 N: 0.0003 * 111,320 m * cos 33.6 = 27.8 m.
    assert (told["code"], told["values"]["beyond_m"]) == ("place.point_beyond", 28)
    later = MORNING + timedelta(minutes=5)

    def put(number: str, lon: float, lat: float) -> None:
        point = GivenPoint(lon, lat, "wgs84", by_hand=True)
        fix_place(
            edged, empty_services.desk, number, PlaceGiven(point, None, None, None), OPERATOR, later
        )

    with pytest.raises(BadInput) as raised:
        put(row["number"], *beyond)
    assert raised.value.code == "place.outside"
    put(row["number"], *far)
    after = one_incident(edged, row["number"])
    assert (after["grid_code"], after["lon"]) == ("A", pytest.approx(far[0]))


def test_words_that_mean_a_place_beyond_wait_too(empty_services: Services, edged: Session) -> None:
    row = taken(empty_services, edged, description="东风路与三巷交叉口垃圾满溢")
    assert row["queue"] == "place_needed"
    assert "point_outside" in row["flags"]
    assert "place.words_beyond" in [item["code"] for item in row["reason"]]
    ground = empty_services.desk.read(edged)[0]
    assert ground is not None
    finder = WordFinder(ground, read_ground_index(edged), Reach(ground.boundary, 250.0))
    words = ["东风路与三巷交叉口", "东风路与一巷交叉口"]
    found = finder.table(words, None, int(MORNING.timestamp() * 1e6)).to_pylist()
    assert [r["match"] for r in found] == ["crossing", "crossing"]
    assert [r["grid_code"] for r in found] == [None, "A"]


def test_a_wrong_column_is_refused_before_the_town_is_read(
    empty_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    command = command_on(empty_services, monkeypatch, capsys)

    def read(*_what: object) -> None:
        raise AssertionError("the town was read")

    monkeypatch.setattr("api.cli.pointing.opened", read)
    pd.DataFrame({"x": [1], "text": ["a"]}).to_csv(tmp_path / "in.csv", index=False)
    source, target = str(tmp_path / "in.csv"), str(tmp_path / "out.csv")
    for words in (
        ("route", source, target),
        ("geocode", source, target, "--column", "nope"),
        ("route", source, target, "--datum", "mars"),
        ("route", str(tmp_path / "none.csv"), target),
        ("route", source, str(tmp_path / "no" / "folder.csv")),
    ):
        assert command(*words)[0] == 2
