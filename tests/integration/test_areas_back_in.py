"""Edited grids, places and boundaries back through import: report as a layer, owners shown, in force from a date."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from sqlalchemy import text

from api.services import Services
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from tests.command import Command, command_on
from tests.ground import LADDER, MORNING, at, load_lines, two_grids

NOW = datetime.now(UTC)
SOON = (NOW + timedelta(days=40)).date().isoformat()


@pytest.fixture
def command(
    empty_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The drawn town with grids A and B committed, and one open incident in A's half of the middle."""
    with empty_services.sessions() as session:
        if not session.scalar(text("select count(*) from segment")):
            load_lines(session, MORNING, *LADDER)
            two_grids(session, MORNING)
            lon, lat = at(0.5, 0.02)
            take_in(
                session, empty_services.desk,
                Report(channel="patrol", description="垃圾", point=GivenPoint(lon, lat, "wgs84")),
                "account:x", NOW,
            )  # fmt: skip
        session.commit()
    return command_on(empty_services, monkeypatch, capsys)


def drawn(folder: Path, name: str = "grids", **areas: shapely.Geometry) -> Path:
    file = folder / f"{name}.gpkg"
    rows = {"code": list(areas), "name": [f"{code}片" for code in areas]}
    gpd.GeoDataFrame(rows, geometry=list(areas.values()), crs=4326).to_file(file, layer=name)
    return file


def half(west: float, east: float) -> shapely.Polygon:
    return shapely.box(*at(west, -1), *at(east, 2))


def owners(services: Services, moment: str = "now()") -> dict[str, int]:
    with services.sessions() as session:
        rows = session.execute(
            text(
                "select g.code, count(*) as n from grid_segment h join grid g on g.id = h.grid_id"
                f" where h.valid @> cast({moment} as timestamptz) group by 1"
            )
        )
        return {row.code: row.n for row in rows}


def test_a_dry_run_reports_faults_as_a_layer_and_changes_nothing(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    before = owners(empty_services)
    # B reaches half a step into A; between B and C lies a slip of a third of a metre.
    file = drawn(tmp_path, A=half(-1, 1), B=half(0.5, 1.5), C=half(1.5035, 3))
    report = tmp_path / "faults.gpkg"
    code, told = command("import", "grids", str(file), "--report", str(report), "--dry-run")
    assert code == 0
    assert (told["faults_overlap"], told["faults_sliver"]) == (1, 1)
    frame = gpd.read_file(report, layer="area_faults")
    assert frame["kind"].tolist() == ["overlap", "sliver"]
    assert frame["other"].tolist() == ["B", "B, C"]
    assert frame.crs.to_epsg() == 4326
    # Half a step of longitude by three of latitude, here 46.4 m by 332.8 m.
    assert frame["area_m2"][0] == pytest.approx(46.4 * 332.8, rel=0.01)
    assert owners(empty_services) == before


def test_the_open_incidents_that_would_change_owner_are_named(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    whole = drawn(tmp_path, A=half(1, 3), B=half(-1, 1))
    code, told = command("import", "grids", str(whole), "--dry-run")
    assert code == 0
    with empty_services.sessions() as session:
        number = session.scalar(text("select number from incident"))
    assert [(i["number"], i["from_grid"], i["to_grid"]) for i in told["incidents"]] == [
        (number, "A", "B")
    ]
    same = drawn(tmp_path, "same", A=half(-1, 1), B=half(1, 3))
    assert command("import", "grids", str(same), "--dry-run")[1]["incidents"] == []


def test_a_bow_tie_is_told_and_a_date_that_is_over_is_refused(
    command: Command, tmp_path: Path
) -> None:
    (w, s), (e, n) = at(-1, -1), at(3, 2)
    tie = shapely.Polygon([(w, s), (e, n), (e, s), (w, n)])
    file, report = drawn(tmp_path, A=tie), tmp_path / "faults.geojson"
    code, told = command("import", "grids", str(file), "--report", str(report), "--dry-run")
    assert (code, told["faults_invalid"]) == (0, 1)
    (feature,) = json.loads(report.read_text())["features"]
    assert feature["properties"]["why"] == "Self-intersection"
    assert command("import", "grids", str(file), "--from", "2001-01-01", "--dry-run")[0] == 2
    assert command("import", "grids", str(file), "--report", "/no/such/x.gpkg")[0] == 2
    assert command("import", "grids", str(file), "--report", "x.doc")[0] == 2


def test_boundaries_are_looked_at_level_by_level_and_parks_one_by_one(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "admin.gpkg"
    gpd.GeoDataFrame(
        {"name": ["镇", "东村", "西村"], "level": ["town", "community", "community"]},
        geometry=[half(-1, 3), half(0.9, 3), half(-1, 1)],
        crs=4326,
    ).to_file(file)
    code, told = command("import", "boundaries", str(file), "--dry-run")
    assert (code, told["faults_overlap"]) == (0, 1)
    assert "faults_gap" not in told
    parks = tmp_path / "parks.gpkg"
    gpd.GeoDataFrame(
        {"name": ["公园", "市场"], "kind": ["park", "market"]}, geometry=[half(0, 1), half(0.5, 2)], crs=4326
    ).to_file(parks)  # fmt: skip
    code, told = command("import", "places", str(parks), "--dry-run")
    assert code == 0
    assert not [key for key in told if key.startswith("faults_")]


def test_grids_are_in_force_from_their_date_and_not_before(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    file = drawn(tmp_path, A=half(1, 3), B=half(-1, 1))
    before = owners(empty_services)
    code, told = command("import", "grids", str(file), "--from", SOON)
    assert code == 0
    assert told["from"].startswith(SOON)
    assert owners(empty_services) == before
    assert owners(empty_services, f"'{SOON} 12:00+08'") != before
    with empty_services.sessions() as session:
        starts = session.scalars(text("select distinct lower(valid) from grid_area")).all()
        assert [f"{s:%Y-%m-%d}" for s in starts] == [
            (datetime.fromisoformat(f"{SOON}T00:00+08:00").astimezone(UTC)).date().isoformat()
        ]


def boundary_file(folder: Path, stem: str, **columns: object) -> Path:
    file = folder / f"{stem}.gpkg"
    gpd.GeoDataFrame(columns, geometry="geometry", crs=4326).to_file(file, layer="boundaries")
    return file


def stored(services: Services, query: str) -> list[tuple[object, ...]]:
    with services.sessions() as session:
        return [tuple(row) for row in session.execute(text(query))]


def version(services: Services) -> object:
    return stored(services, "select ground_version from town")[0][0]


def test_a_boundary_edited_within_its_box_is_taken_in(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    square = half(-1, 3)
    rows = {
        "name": ["画中县", "东村"],
        "level": ["town", "community"],
        "code": ["411623", "411623100201"],
    }
    first = boundary_file(tmp_path, "first", **rows, geometry=[square, half(1, 3)])
    assert command("import", "boundaries", str(first))[1]["new_or_changed"] == 2
    was = version(empty_services)
    assert command("import", "boundaries", str(first))[1]["new_or_changed"] == 0
    assert version(empty_services) == was
    # A bay that leaves the box as it was.
    (w, s), (e, n) = at(-1, -1), at(3, 2)
    bay = shapely.Polygon([(w, s), (e, s), (e, n), ((w + e) / 2, n - 0.0002), (w, n)])
    second = boundary_file(tmp_path, "second", **rows, geometry=[bay, half(1, 3)])
    assert bay.bounds == square.bounds
    told = command("import", "boundaries", str(second))[1]
    assert (told["new_or_changed"], told["new"]) == (1, 0)
    assert version(empty_services) != was
    areas = stored(
        empty_services,
        "select st_asbinary(b.area), st_asbinary(t.boundary) from boundary b, town t where level = 'town'",
    )
    for kept in areas[0]:
        assert shapely.from_wkb(bytes(kept)).equals(bay)  # type: ignore[call-overload]


def test_a_renamed_boundary_keeps_its_row_and_a_missing_one_goes_only_when_asked(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    names = ["甲村", "乙村", "丙村"]
    shapes = [half(-1, 0), half(0, 1), half(1, 3)]
    file = boundary_file(
        tmp_path,
        "three",
        name=names,
        level=["township"] * 3,
        code=["411623101", None, None],
        geometry=shapes,
    )
    assert command("import", "boundaries", str(file))[1]["new"] == 3
    asked = "select name, id from boundary where level = 'township' order by id"
    ids = dict(stored(empty_services, asked))
    # By its code, as another office gives it; and two that change names, by the file that was exported.
    other = boundary_file(
        tmp_path,
        "other",
        name=["甲镇"],
        level=["township"],
        code=["411623101"],
        geometry=shapes[:1],
    )
    assert command("import", "boundaries", str(other))[1]["new"] == 0
    assert dict(stored(empty_services, asked)) == {
        "甲镇": ids["甲村"],
        "乙村": ids["乙村"],
        "丙村": ids["丙村"],
    }
    out = tmp_path / "out.gpkg"
    assert command("export", "boundaries", str(out))[0] == 0
    frame = gpd.read_file(out)
    frame["name"] = frame["name"].replace({"乙村": "丙村", "丙村": "乙村"})
    frame.to_file(out, layer="boundaries")
    assert (command("import", "boundaries", str(out))[1]["new_or_changed"]) == 2
    assert dict(stored(empty_services, asked)) == {
        "甲镇": ids["甲村"],
        "乙村": ids["丙村"],
        "丙村": ids["乙村"],
    }
    assert command("import", "boundaries", str(out))[1]["new_or_changed"] == 0
    # A shorter file takes nothing away, unless it says that it is whole; other levels are no matter of it.
    assert command("import", "boundaries", str(other))[1]["retired"] == 0
    assert command("import", "boundaries", str(other), "--complete", "--dry-run")[1]["retired"] == 2
    assert len(stored(empty_services, asked)) == 3
    assert command("import", "boundaries", str(other), "--complete")[1]["retired"] == 2
    assert stored(empty_services, asked) == [("甲镇", ids["甲村"])]
    assert stored(empty_services, "select count(*) from boundary where level = 'town'")[0][0]
    # A name that another one has is refused, and nothing is done.
    taken = boundary_file(
        tmp_path,
        "taken",
        name=["戊镇", "己镇"],
        level=["township"] * 2,
        code=["1", "2"],
        geometry=shapes[:2],
    )
    command("import", "boundaries", str(taken))
    clash = boundary_file(
        tmp_path, "clash", name=["己镇"], level=["township"], code=["1"], geometry=shapes[:1]
    )
    assert command("import", "boundaries", str(clash))[0] == 2


def test_places_that_were_exported_come_back_as_themselves(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    park = shapely.MultiPolygon([half(0, 0.4), half(0.6, 1)])
    first = tmp_path / "places.gpkg"
    gpd.GeoDataFrame(
        {"name": ["东市场", "小学", "公园"], "name_en": ["East Market", None, "Park"], "kind": ["market", "school", "park"],
         "address": ["东风路1号", None, None]},
        geometry=[shapely.Point(*at(0.3, 0.1)), shapely.Point(*at(1.2, 0.1)), park], crs=4326,
    ).to_file(first, layer="places")  # fmt: skip
    assert command("import", "places", str(first))[1]["new"] == 3
    asked = "select name, id, kind, address, names ->> 'en', st_x(point), area is not null from place order by id"
    before = stored(empty_services, asked)
    for layer, ending in (("places", "gpkg"), ("place_areas", "gpkg"), ("places", "geojson"), ("place_areas", "shp.zip")):  # fmt: skip
        out = tmp_path / f"{layer}.{ending}"
        assert command("export", layer, str(out), "--crs", "EPSG:4547" if ending == "gpkg" else "EPSG:4326")[0] == 0  # fmt: skip
        was = version(empty_services)
        told = command("import", "places", str(out))[1]
        assert (told["read"], told["new_or_changed"]) == (3 if layer == "places" else 1, 0)
        assert version(empty_services) == was
    # Moved, renamed and of another kind, in the file that was exported: the same place.
    edited = tmp_path / "places.gpkg"
    command("export", "places", str(edited))
    frame = gpd.read_file(edited)
    market = frame["name"] == "东市场"
    frame.loc[market, "name"] = "大市场"
    frame.loc[market, "kind"] = "square"
    frame.loc[market, "geometry"] = shapely.Point(*at(0.9, 0.4))
    frame.to_file(edited, layer="places")
    told = command("import", "places", str(edited))[1]
    assert (told["new"], told["new_or_changed"]) == (0, 1)
    assert command("import", "places", str(edited))[1]["new_or_changed"] == 0
    after = {row[1]: row for row in stored(empty_services, asked)}
    assert len(after) == len(before)
    assert after[before[0][1]][:5] == ("大市场", before[0][1], "square", "东风路1号", "East Market")
    assert after[before[0][1]][5] == pytest.approx(at(0.9, 0.4)[0])
    # A point of a place with ground leaves the ground; the layer of areas moves it.
    areas = tmp_path / "areas.gpkg"
    command("export", "place_areas", str(areas))
    frame = gpd.read_file(areas)
    frame["geometry"] = [shapely.MultiPolygon([half(0, 0.4), half(0.7, 1)])]
    frame.to_file(areas, layer="place_areas")
    assert command("import", "places", str(areas))[1]["new_or_changed"] == 1
    assert command("import", "places", str(areas))[1]["new_or_changed"] == 0
    # Copied in a drawing program, a row takes its source along; only one of both is the old one.
    frame = gpd.read_file(edited)
    copied = frame[frame["name"] == "大市场"].copy()
    copied["name"], copied["geometry"] = "分市场", [shapely.Point(*at(1.5, 0.4))]
    gpd.GeoDataFrame(pd.concat([copied, frame]), crs=4326).to_file(edited, layer="places")
    told = command("import", "places", str(edited))[1]
    assert (told["new"], told["new_or_changed"]) == (1, 1)
    # What a whole file of schools lacks is taken away; other kinds are no matter of it.
    schools = tmp_path / "schools.gpkg"
    gpd.GeoDataFrame({"name": ["新小学"], "kind": ["school"]}, geometry=[shapely.Point(*at(1.4, 0.1))], crs=4326).to_file(schools)  # fmt: skip
    assert command("import", "places", str(schools))[1]["retired"] == 0
    assert command("import", "places", str(schools), "--complete")[1]["retired"] == 1
    names = {row[0] for row in stored(empty_services, "select name from place")}
    assert names == {"大市场", "分市场", "公园", "新小学"}


def test_grids_that_were_exported_as_ground_come_back_without_a_change(
    town_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    command = command_on(town_services, monkeypatch, capsys)
    out = tmp_path / "ground.gpkg"
    assert command("export", "territories", str(out))[0] == 0
    code, told = command("import", "grids", str(out), "--layer", "territories", "--dry-run")
    assert code == 0, told
    assert (told["grids"], told["sides_changed"], told["incidents"]) == (40, 0, [])
    # As their streets, with a street of which each side has a grid of its own.
    with town_services.sessions() as session:
        session.execute(
            text(
                "update grid_segment h set grid_id = (select min(id) from grid where id <> h.grid_id)"
                " where upper_inf(valid) and side = 'left' and segment_id in (select segment_id from grid_segment limit 3)"
            )
        )
        session.commit()
    for ending, crs in (("gpkg", "EPSG:4547"), ("geojson", "EPSG:4326")):
        lines = tmp_path / f"lines.{ending}"
        assert command("export", "grids", str(lines), "--crs", crs)[0] == 0
        code, told = command("import", "grids", str(lines), "--layer", "grids", "--dry-run")
        assert (code, told["grids"], told["sides_changed"], told["incidents"]) == (0, 40, 0, [])
    nothing = tmp_path / "points.geojson"
    gpd.GeoDataFrame(
        {"code": ["A"], "name": ["A"]}, geometry=[shapely.Point(*at(0, 0))], crs=4326
    ).to_file(nothing)
    assert command("import", "grids", str(nothing), "--dry-run")[0] == 2
    assert command("import", "cells", str(lines), "--dry-run")[1]["taken"] == 0


def test_a_dry_run_names_the_open_incidents_that_would_be_placed_otherwise(
    command: Command, empty_services: Services, tmp_path: Path
) -> None:
    file = tmp_path / "clinic.gpkg"

    def clinic(column: float) -> str:
        frame = {
            "name": ["仁爱医院"],
            "kind": ["hospital"],
            "source": ["仁爱医院|hospital|114.600300|33.600100"],
        }
        gpd.GeoDataFrame(frame, geometry=[shapely.Point(*at(column, 0.1))], crs=4326).to_file(file)
        return str(file)

    assert command("import", "places", clinic(0.3))[1]["new"] == 1
    lon, lat = at(1.6, 0.02)
    numbers = {}
    with empty_services.sessions() as session:
        for words, point in (("仁爱医院门口", None), ("路灯坏了", GivenPoint(lon, lat, "wgs84"))):
            report = Report(channel="patrol", description=words, address=words, point=point)
            take_in(session, empty_services.desk, report, "account:x", datetime.now(UTC))
            numbers[words] = session.scalar(text("select max(number) from incident"))
        session.commit()
    grid = dict(
        stored(
            empty_services,
            "select i.number, g.code from incident i left join grid g on g.id = i.grid_id",
        )
    )
    was = grid[numbers["仁爱医院门口"]]
    assert was is not None
    code, told = command("import", "places", clinic(1.7), "--dry-run")
    assert (code, told["new_or_changed"], told["new"]) == (0, 1, 0)
    (one,) = told["incidents"]
    assert (one["number"], one["why"], one["from_grid"]) == (numbers["仁爱医院门口"], "words", was)
    assert one["moved_m"] == pytest.approx(1.4 * 92.8, abs=2)
    assert command("import", "places", clinic(0.3), "--dry-run")[1]["incidents"] == []
    # A town that ends between the two streets leaves the lamp outside.
    town = boundary_file(
        tmp_path, "less", name=["画中县"], level=["town"], geometry=[half(-1, 1.4)]
    )
    code, told = command("import", "boundaries", str(town), "--dry-run")
    assert code == 0
    told_of = {one["number"]: (one["why"], one["to_grid"]) for one in told["incidents"]}
    assert told_of[numbers["路灯坏了"]] == ("beyond", None)
    assert numbers["仁爱医院门口"] not in told_of
