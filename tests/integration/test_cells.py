"""Standard unit cells: communities cut without gap or overlap, coded by rule, and named by every incident."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, PlaceGiven, fix_place
from grid.cells import cell_at, load_cells, make_cells
from grid.core.errors import BadInput, Conflict
from grid.loading.boundaries import load_boundaries
from maps.layer_frames import layer_frame
from tests.command import command_on
from tests.ground import LADDER, MORNING, at, load_lines, two_grids
from tests.web import office

OPERATOR = Actor("account:operator", "operator", None)


def boundary(
    name: str, level: str, code: str | None, west: float, east: float, north: float = 4.0
) -> dict[str, object]:
    """A rectangle in steps of the drawn town, from its southern edge."""
    corners = [at(west, -1), at(east, -1), at(east, north), at(west, north)]
    shape = shapely.MultiPolygon([shapely.Polygon(corners)])
    return {"name": name, "names": {}, "level": level, "code": code, "geometry": shape}


def boundaries(session: Session, *rows: dict[str, object]) -> None:
    load_boundaries(session, gpd.GeoDataFrame(list(rows), geometry="geometry", crs=4326))


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with two grids; rolled back after the test."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        yield session
        session.rollback()


def cells(session: Session) -> gpd.GeoDataFrame:
    rows = session.execute(
        text("select code, community, st_asbinary(area) as area from cell order by code")
    ).all()
    shapes = shapely.from_wkb([bytes(row.area) for row in rows])
    frame = {"code": [r.code for r in rows], "community": [r.community for r in rows]}
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)


TOWN = (
    boundary("县", "town", "411623", -2, 6),
    boundary("城关镇", "township", "411623100", -2, 6),
    boundary("东社区", "community", None, 1, 5),
    boundary("西社区", "community", "411623100001", -1, 1),
)


def test_cells_fill_their_community_without_overlap(ladder: Session) -> None:
    boundaries(ladder, *TOWN)
    made = make_cells(ladder)
    frame = cells(ladder)
    assert (made.cells, made.communities) == (len(frame), 2)
    plane = frame.to_crs(4547)
    for name, width in (("西社区", 2), ("东社区", 4)):
        own = plane[plane["community"] == name]
        # Steps of 0.001 degrees: 92.8 m by 110.9 m at this latitude.
        whole = width * 92.8 * 5 * 110.9
        assert own.area.sum() == pytest.approx(whole, rel=0.01)
        assert shapely.union_all(own.geometry).area == pytest.approx(own.area.sum(), rel=1e-6)
        # Whole cells are 10,000 m2; nothing is left smaller than a quarter, nothing grows beyond double.
        assert own.area.min() >= 2490
        assert own.area.max() < 20_000


def test_codes_follow_the_rule(ladder: Session) -> None:
    boundaries(ladder, *TOWN)
    make_cells(ladder)
    frame = cells(ladder)
    assert {len(code) for code in frame["code"]} == {15}
    by_community = frame.groupby("community")["code"]
    # The coded community keeps its code; the other takes the township's and the next free serial.
    assert {code[:12] for code in by_community.get_group("西社区")} == {"411623100001"}
    assert {code[:12] for code in by_community.get_group("东社区")} == {"411623100002"}
    for _, codes in by_community:
        serials = [int(code[12:]) for code in codes]
        assert serials == list(range(1, len(serials) + 1))
    own = frame[frame["community"] == "东社区"].to_crs(4547)
    middle = own.geometry.centroid
    rows: dict[int, list[float]] = {}
    for x, y in zip(middle.x, middle.y, strict=True):
        rows.setdefault(int(y // 100), []).append(x)
    assert list(rows) == sorted(rows, reverse=True)
    assert all(xs == sorted(xs) for xs in rows.values())


def test_without_codes_the_stated_defaults_stand_in(ladder: Session) -> None:
    boundaries(
        ladder, boundary("乙", "community", None, 1, 3), boundary("甲", "community", None, -1, 1)
    )
    make_cells(ladder)
    prefixes = {row.community: row.code[:12] for row in cells(ladder).itertuples()}
    assert prefixes == {"乙": "000000000001", "甲": "000000000002"}


def test_what_cannot_be_cut_is_refused(ladder: Session) -> None:
    with pytest.raises(Conflict) as raised:
        make_cells(ladder)
    assert raised.value.code == "cells.no_communities"
    boundaries(ladder, boundary("大", "community", None, -50, 50, 50))
    with pytest.raises(BadInput) as refused:
        make_cells(ladder, 100)
    assert refused.value.code == "cells.too_many"
    assert make_cells(ladder, 400).cells > 100
    widened = make_cells(ladder, 100, widen=True)
    assert widened.widened == 1
    most = text("select max(n) from (select count(*) as n from cell group by left(code, 12)) c")
    assert 250 < (ladder.scalar(most) or 0) <= 999
    with pytest.raises(BadInput) as refused:
        make_cells(ladder, 1)
    assert refused.value.code == "cells.size_bad"


def test_an_incident_carries_its_cell_and_keeps_it(
    ladder: Session, empty_services: Services
) -> None:
    boundaries(ladder, *TOWN)
    make_cells(ladder)
    lon, lat = at(0.02, 0.5)
    report = Report(
        channel="hotline_12345",
        description="垃圾满溢",
        category="06042",
        point=GivenPoint(lon, lat, "wgs84"),
    )
    number = take_in(ladder, empty_services.desk, report, "account:test", MORNING).number
    frame = cells(ladder)
    (expected,) = frame[frame.covers(shapely.Point(lon, lat))]["code"]
    assert one_incident(ladder, number)["cell_code"] == expected == cell_at(ladder, lon, lat)
    exported = layer_frame(ladder, "incidents", MORNING)
    assert list(exported["cell"]) == [expected]
    moved = at(1.98, 0.5)
    fix_place(
        ladder,
        empty_services.desk,
        number,
        PlaceGiven(GivenPoint(*moved, "wgs84"), None, None, None),
        OPERATOR,
        MORNING,
    )
    (expected,) = frame[frame.covers(shapely.Point(*moved))]["code"]
    assert one_incident(ladder, number)["cell_code"] == expected
    make_cells(ladder, 400)
    assert one_incident(ladder, number)["cell_code"] == expected


def test_a_report_without_a_place_or_outside_has_no_cell(
    ladder: Session, empty_services: Services
) -> None:
    boundaries(ladder, boundary("远", "community", None, 20, 22))
    make_cells(ladder)
    report = Report(
        channel="hotline_12345",
        description="垃圾满溢",
        category="06042",
        point=GivenPoint(*at(0.02, 0.5), "wgs84"),
    )
    number = take_in(ladder, empty_services.desk, report, "account:test", MORNING).number
    assert one_incident(ladder, number)["cell_code"] is None
    assert cell_at(ladder, None, None) is None


def test_imported_cells_take_the_place_of_those_made(ladder: Session) -> None:
    boundaries(ladder, *TOWN)
    make_cells(ladder)
    square = shapely.box(*at(0, 0), *at(1, 1))
    other = shapely.box(*at(1, 0), *at(2, 1))
    frame = gpd.GeoDataFrame(
        {"code": ["4116231000010001", "411623100001", "411623100001"]},
        geometry=[square, other, other],
        crs=4326,
    )
    taken, refused = load_cells(ladder, frame)
    assert (taken, [(r.row, r.code) for r in refused]) == (2, [(4, "cells.code_twice")])
    assert cell_at(ladder, *at(0.5, 0.5)) == "4116231000010001"
    # A point on the border of two belongs to the lower code.
    assert cell_at(ladder, at(1, 0.5)[0], at(1, 0.5)[1]) == "411623100001"
    assert cell_at(ladder, *at(3, 3)) is None


def test_by_command_cells_are_made_imported_and_answered(
    town_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = command_on(town_services, monkeypatch, capsys)
    code, made = run("cells", "make", "--size", "200")
    assert (code, made["cells"] > 10) == (0, True)
    with town_services.sessions() as session:
        frame = cells(session)
    frame.rename(columns={"code": "BM"}).to_file(tmp_path / "cells.gpkg", engine="pyogrio")
    code, said = run("import", "cells", str(tmp_path / "cells.gpkg"), "--map", "code=BM")
    assert (code, said["taken"], said["refused"]) == (0, len(frame), 0)
    with office(town_services) as desk:
        body = {"channel": "hotline_12345", "category": "06042"}
        text_ = "永胜路与站前路交叉口东北角垃圾满溢"
        answer = desk.post("operator", "/incidents", {**body, "description": text_}).json()
    point = shapely.Point(answer["location"]["lon"], answer["location"]["lat"])
    assert answer["cell"] in set(frame[frame.intersects(point.buffer(1e-6))]["code"])
