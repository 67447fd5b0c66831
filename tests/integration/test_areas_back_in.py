"""Edited grids, places and boundaries back through import: report as a layer, owners shown, in force from a date."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import text

from api.services import Services
from dispatch.intake import Report, take_in
from dispatch.placing import GivenPoint
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
