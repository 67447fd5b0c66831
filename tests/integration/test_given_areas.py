"""Parks, markets and squares given to a grid: they go before the nearest segment, in one point as in many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point, Polygon, box, mapping
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.area_handover import incidents_of_areas
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from grid.areas import areas_in_force, put_areas
from grid.bulk_locate import grids_of, read_ground_index
from grid.changing import apply_plan, plan_merge, plan_move, plan_rename, plan_split
from grid.checking import check_ground
from grid.core.bulk import ewkb
from grid.core.crs import to_plane
from grid.core.errors import Trouble
from grid.given_areas import (
    NamedArea,
    apply_areas,
    areas_frame,
    place_area,
    plan_give,
    plan_take,
)
from grid.in_force import withdraw_planned
from grid.kept_territory import read_territory
from grid.loading.grids import GridName, both_sides, put_in_force
from grid.locate import locate
from grid.town import town_facts
from tests.command import Command, command_on
from tests.ground import LADDER, MORNING, at, every_table, load_lines, segment_ids, two_grids
from tests.web import Office, office

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)
LATER = NOW + timedelta(days=60)
# West of the middle lane, where A's streets are the nearest.
PARK = NamedArea("人民公园", box(*at(0.2, 0.2), *at(0.8, 0.8)))
INSIDE, OUTSIDE = (0.5, 0.3), (0.5, 0.1)


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A (west) and B (east); rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        yield session
        session.rollback()


def give(session: Session, code: str, area: NamedArea = PARK, moment: datetime = NOW) -> int:
    return apply_areas(session, plan_give(session, code, [area], moment))[0]


def grids_at(session: Session, place: tuple[float, float], moment: datetime = NOW) -> set[str]:
    """Codes by the single path, the bulk path and the territory: one when all agree."""
    x, y = to_plane(*at(*place), town_facts(session).plane_epsg)
    single = locate(session, float(x), float(y), moment, neighbour_m=0.0)
    assert single is not None
    assert single.grid is not None
    ground = read_ground_index(session)
    found = ground.index.nearest(x, y, second=False)
    at_us = np.array([int(moment.timestamp() * 1_000_000)])
    points = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
    bulk, _ = grids_of(ground, found.row, found.side.astype(np.int64), at_us, points)
    whole, _ = read_territory(session, moment)
    inside = shapely.contains(whole.whole.polygons, Point(float(x), float(y)))
    (label,) = whole.whole.labels[inside]
    return {single.grid.code, ground.grids[int(bulk[0])][0], whole.grids[int(label)][0]}


def test_a_park_goes_before_the_nearest_segment_from_its_moment_on(ladder: Session) -> None:
    assert grids_at(ladder, INSIDE) == {"A"}
    number = give(ladder, "B", moment=SOON)
    assert grids_at(ladder, INSIDE, SOON - timedelta(seconds=1)) == {"A"}
    assert grids_at(ladder, INSIDE, SOON) == {"B"}
    assert grids_at(ladder, OUTSIDE, SOON) == {"A"}
    apply_areas(ladder, plan_take(ladder, [number], LATER))
    assert grids_at(ladder, INSIDE, LATER - timedelta(seconds=1)) == {"B"}
    assert grids_at(ladder, INSIDE, LATER) == {"A"}
    (row,) = areas_frame(ladder).itertuples(index=False)
    assert (row.kind, row.name, row.grid_code, row.from_at, row.until_at) == (
        "given", "人民公园", "B", SOON, LATER,
    )  # fmt: skip
    assert {f.code for f in check_ground(ladder, NOW)} == {"ground.post_empty"}


def test_single_bulk_and_territory_agree_all_over_the_town(ladder: Session) -> None:
    give(ladder, "B")
    give(ladder, "A", NamedArea("市场", box(*at(1.2, 0.2), *at(1.7, 0.9))))
    rng = np.random.default_rng(3)
    facts = town_facts(ladder)
    lon_lat = [at(*rng.uniform((-0.5, -0.5), (2.5, 1.5))) for _ in range(300)]
    x, y = to_plane([p[0] for p in lon_lat], [p[1] for p in lon_lat], facts.plane_epsg)
    ground = read_ground_index(ladder)
    found = ground.index.nearest(x, y, second=False)
    moments = np.full(len(x), int(NOW.timestamp() * 1_000_000))
    bulk, _ = grids_of(
        ground, found.row, found.side.astype(np.int64), moments, np.column_stack([x, y])
    )
    whole, _ = read_territory(ladder, NOW)
    borders = shapely.union_all(shapely.boundary(whole.whole.polygons))
    asked = 0
    for k, point in enumerate(shapely.points(x, y)):
        single = locate(ladder, float(x[k]), float(y[k]), NOW, neighbour_m=0.0)
        assert single is not None
        assert single.grid is not None
        assert single.grid.id == bulk[k]
        if borders.distance(point) > 0.5:
            (label,) = whole.whole.labels[shapely.contains(whole.whole.polygons, point)]
            assert label == bulk[k]
            asked += 1
    assert asked > 280


def test_what_is_given_stays_through_changes_and_goes_with_a_merge(ladder: Session) -> None:
    ids = segment_ids(ladder)
    give(ladder, "B")
    apply_plan(ladder, plan_move(ladder, ids["二巷"], "A", NOW))
    apply_plan(ladder, plan_split(ladder, "B", NOW, None, ids["三巷"]), allow_disconnected=True)
    apply_plan(ladder, plan_rename(ladder, "B", "新东片", SOON))
    assert grids_at(ladder, INSIDE) == grids_at(ladder, INSIDE, SOON) == {"B"}
    apply_plan(ladder, plan_merge(ladder, "B", "G001", LATER), allow_disconnected=True)
    assert grids_at(ladder, INSIDE, LATER) == {"G001"}
    everything = [i for group in ids.values() for i in group]
    with pytest.raises(Trouble, match=r"grids\.changed_later"):
        put_in_force(ladder, [GridName("A", "一")], both_sides(dict.fromkeys(everything, "A")), NOW)
    withdraw_planned(ladder, NOW)
    assert grids_at(ladder, INSIDE, LATER) == {"B"}
    assert "ground.outside_grids_life" not in {f.code for f in check_ground(ladder, NOW)}


def test_a_new_division_keeps_it_with_the_grid_that_stays_and_ends_it_with_one_that_goes(
    ladder: Session,
) -> None:
    everything = [i for group in segment_ids(ladder).values() for i in group]
    give(ladder, "B")
    codes = dict.fromkeys(everything, "A")
    put_in_force(ladder, [GridName("A", "一")], both_sides(codes), LATER)
    assert areas_in_force(ladder, LATER) == []
    withdraw_planned(ladder, NOW)
    codes[everything[-1]] = "B"
    names = [GridName("A", "一"), GridName("B", "二")]
    put_in_force(ladder, names, both_sides(codes), LATER)
    assert grids_at(ladder, INSIDE, LATER) == {"B"}


def test_grids_imported_as_polygons_leave_out_what_was_given_and_do_not_overlap(
    ladder: Session,
) -> None:
    give(ladder, "B")
    drawn = gpd.GeoDataFrame(
        {"code": ["B", "A"]},
        geometry=[box(*at(0.9, -1), *at(3, 2)), box(*at(-1, -1), *at(1.1, 2))],
        crs=4326,
    )
    assert put_areas(ladder, drawn, NOW) == 2
    assert grids_at(ladder, INSIDE) == {"B"}
    assert grids_at(ladder, (1.0, 0.5)) == {"A"}  # both drew it: the lower code has it
    assert {f.code for f in check_ground(ladder, NOW)} == {"ground.post_empty"}


def _place(session: Session, name: str, key: str, shape: Polygon | None) -> int:
    found = session.scalar(
        text(
            "insert into place (source_key, name, kind, point, area) values (:key, :name, 'park',"
            " cast(:point as geometry), st_multi(cast(:area as geometry))) returning id"
        ),
        {"key": key, "name": name, "point": ewkb(Point(*at(0.5, 0.5))), "area": ewkb(shape)},
    )
    return int(found or 0)


def test_a_place_is_found_by_name_or_number(ladder: Session) -> None:
    first = _place(ladder, "公园", "p1", PARK.shape)
    assert place_area(ladder, "公园").shape.equals(PARK.shape)
    assert place_area(ladder, str(first)).name == "公园"
    _place(ladder, "公园", "p2", PARK.shape)
    _place(ladder, "亭", "p3", None)
    for named, code in (
        ("公园", "areas.place_twice"),
        ("亭", "areas.place_without_area"),
        ("没有的", "areas.place_unknown"),
    ):
        with pytest.raises(Trouble) as refused:
            place_area(ladder, named)
        assert refused.value.code == code


def test_what_cannot_be_is_refused_with_its_names_and_changes_nothing(ladder: Session) -> None:
    bow = Polygon([at(0.2, 0.2), at(0.4, 0.4), at(0.4, 0.2), at(0.2, 0.4)])
    number = give(ladder, "B", moment=SOON)
    before = every_table(ladder)
    refused = {
        "grids.not_in_force": lambda: plan_give(ladder, "Z", [PARK], NOW),
        "areas.none": lambda: plan_give(ladder, "A", [], NOW),
        "areas.invalid": lambda: plan_give(ladder, "A", [NamedArea("结", bow)], NOW),
        "areas.no_area": lambda: plan_give(
            ladder, "A", [NamedArea("线", LineString([at(0, 0), at(1, 1)]))], NOW
        ),
        "areas.outside_town": lambda: plan_give(
            ladder, "A", [NamedArea("外", box(*at(4, 0), *at(6, 1)))], NOW
        ),
        "areas.overlap": lambda: plan_give(
            ladder, "A", [NamedArea("角", box(*at(0.1, 0.1), *at(0.3, 0.3)))], NOW
        ),
        "areas.unknown": lambda: plan_take(ladder, [number + 1], NOW),
    }
    for code, asked in refused.items():
        with pytest.raises(Trouble) as raised:
            asked()
        assert raised.value.code == code
        if code == "areas.overlap":
            assert raised.value.values["other"] == "人民公园"
            assert raised.value.values["grid_code"] == "B"
    assert every_table(ladder) == before
    # The same grid may be given what it has, and a neighbour up to the very border.
    give(ladder, "B", NamedArea("角", box(*at(0.1, 0.1), *at(0.3, 0.3))))
    give(ladder, "A", NamedArea("旁", box(*at(0.8, 0.2), *at(0.9, 0.8))))
    apply_plan(ladder, plan_merge(ladder, "A", "B", LATER))
    with pytest.raises(Trouble) as raised:
        plan_give(ladder, "A", [NamedArea("新", box(*at(0, 0.9), *at(0.1, 1)))], NOW)
    assert raised.value.code == "areas.grid_ends"


def test_open_incidents_that_change_owner_are_shown_first(
    ladder: Session, empty_services: Services
) -> None:
    made = {}
    for name, place in (("in", INSIDE), ("out", OUTSIDE)):
        report = Report(
            channel="hotline_12345",
            description="垃圾满溢",
            category="06042",
            point=GivenPoint(*at(*place), "wgs84"),
        )
        made[name] = take_in(ladder, empty_services.desk, report, "account:test", NOW).number
    before = every_table(ladder)
    plan = plan_give(ladder, "B", [PARK], SOON)
    assert [(h.number, h.from_grid, h.to_grid) for h in incidents_of_areas(ladder, plan)] == [
        (made["in"], "A", "B")
    ]
    assert every_table(ladder) == before
    number = give(ladder, "B")
    ladder.execute(
        text(
            "update incident set grid_id = (select id from grid where code = 'B') where number = :n"
        ),
        {"n": made["in"]},
    )
    back = incidents_of_areas(ladder, plan_take(ladder, [number], SOON))
    assert [(h.number, h.from_grid, h.to_grid) for h in back] == [(made["in"], "B", "A")]


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def _square(services: Services) -> tuple[str, str, dict[str, object]]:
    """A square of about 60 m in the middle of a grid, the grid's code and another's."""
    with services.sessions() as session:
        whole, _ = read_territory(session, datetime.now(UTC))
    frame = whole.frame()
    middle = shapely.maximum_inscribed_circle(frame.geometry[0]).coords[0]
    return frame["code"][0], frame["code"][1], mapping(Point(*middle).buffer(0.0003))


def test_over_http_an_area_is_shown_given_listed_and_taken(desk: Office) -> None:
    own, other, geometry = _square(desk.services)
    asked = {"geometry": geometry, "name": "街心公园", "dry_run": True}
    assert desk.post(None, f"/grids/{other}/areas", asked).status_code == 401
    assert desk.post("cleaner", f"/grids/{other}/areas", asked).status_code == 403
    shown = desk.post("dispatcher", f"/grids/{other}/areas", asked)
    assert shown.status_code == 200, shown.text
    assert (shown.json()["applied"], shown.json()["area_ids"]) == (False, [])
    assert desk.get("dispatcher", "/grids/areas").json()["features"] == []
    before = _territory(desk)
    given = desk.post("dispatcher", f"/grids/{other}/areas", {**asked, "dry_run": False}).json()
    (number,) = given["area_ids"]
    (feature,) = desk.get("cleaner", "/grids/areas").json()["features"]
    assert feature["properties"]["name"] == "街心公园"
    assert feature["properties"]["grid_code"] == other
    after = _territory(desk)
    assert after[other]["area_m2"] > before[other]["area_m2"] + 1000
    assert after[own]["area_m2"] < before[own]["area_m2"] - 1000
    assert after[own]["ground_version"] > before[own]["ground_version"]
    clash = desk.post("dispatcher", f"/grids/{own}/areas", {**asked, "dry_run": False})
    assert (clash.status_code, clash.json()["code"]) == (409, "areas.overlap")
    assert "街心公园" in clash.json()["detail"]
    for body, status, code in (
        ({"name": "x"}, 422, "areas.none"),
        ({"geometry": {"type": "Point", "coordinates": [114.6, 33.6]}}, 422, "areas.no_area"),
        ({"geometry": {"type": "Nonsense"}}, 422, "areas.no_area"),
        ({"place": "没有的公园"}, 404, "areas.place_unknown"),
        ({**asked, "from": "2001-01-01T00:00:00Z"}, 422, "grids.date_past"),
    ):
        answer = desk.post("dispatcher", f"/grids/{other}/areas", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    taken = desk.ask("dispatcher", "DELETE", f"/grids/areas/{number}")
    assert taken.json()["applied"] is True
    assert _territory(desk)[own]["area_m2"] == pytest.approx(before[own]["area_m2"], abs=0.2)
    assert desk.ask("dispatcher", "DELETE", f"/grids/areas/{number}").status_code == 404


def _territory(desk: Office) -> dict[str, dict[str, object]]:
    features = desk.get("dispatcher", "/grids/territory.geojson").json()["features"]
    return {f["properties"]["code"]: f["properties"] for f in features}


@pytest.fixture
def run(
    town_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return command_on(town_services, monkeypatch, capsys)


def test_by_command_a_file_of_areas_is_given_and_the_territory_follows(
    run: Command, town_services: Services, tmp_path: Path
) -> None:
    _, other, geometry = _square(town_services)
    file = tmp_path / "parks.geojson"
    feature = {"type": "Feature", "properties": {"name": "东园"}, "geometry": geometry}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    words = ("grids", "give-area", other, "--file", str(file))
    code, said = run(*words, "--dry-run")
    assert (code, said["areas"], said["area_ids"]) == (0, 1, [])
    code, said = run(*words)
    assert code == 0
    (number,) = said["area_ids"]
    listed = run("grids", "areas")[1]["areas"]
    assert [(a["id"], a["name"], a["grid_code"]) for a in listed] == [(number, "东园", other)]
    # The command has kept the territory: nothing is left to do.
    assert run("grids", "territory")[1]["how"] == "kept"
    assert run("check")[1]["ok"] is True
    assert run("grids", "take-area", str(number), "--from", "2199-01-01")[0] == 0
    assert run("grids", "withdraw")[0] == 0
    assert run("grids", "take-area", str(number))[0] == 0
    assert run("grids", "areas")[1]["areas"] == []
    assert len(run("grids", "areas", "--all")[1]["areas"]) >= 1
    assert run("grids", "take-area", str(number))[0] == 2
    assert run("grids", "give-area", other)[0] == 2
    assert run("grids", "territory", "--anew")[1]["how"] == "whole"
