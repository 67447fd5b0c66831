"""Divisions proposed, kept, compared and put in force from a date; a proposal changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli.importing import datum_change
from api.services import Services
from grid.checking import check_ground
from grid.core.errors import Conflict, NotFound
from grid.dividing import propose
from grid.division import CLASS_WEIGHTS
from grid.in_force import withdraw_planned
from grid.loading.towns import load_town
from grid.proposals import (
    apply_division,
    division_frame,
    division_table,
    figures_plain,
    store,
    stored_division,
    stored_divisions,
)
from grid.sources import vector
from maps.frames import grids_list
from maps.layer_frames import write_frame
from tests.command import command_on
from tests.ground import (
    LADDER,
    MORNING,
    every_table,
    load_lines,
    nothing,
    segment_ids,
    street,
    two_grids,
)

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A (west) and B (east); rolled back after the test."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        yield session
        session.rollback()


def test_a_proposal_is_kept_with_its_figures_and_changes_nothing_else(ladder: Session) -> None:
    before = every_table(ladder)
    proposal = propose(ladder, 2, keep=True)
    number = store(ladder, proposal, NOW)
    after = every_table(ladder)
    assert [table for table in before if before[table] != after[table]] == ["division"]
    (row,) = stored_divisions(ladder)
    assert (row["id"], row["applied"], row["in_force_from"]) == (number, False, None)
    figures = row["figures"]
    assert figures == figures_plain(proposal)
    # Two grids hold all seven segments in one piece each; three streets stand in both grids at most.
    assert (figures["grids"], figures["connected"]) == (2, 2)
    assert figures["balance"] >= 1
    assert figures["cut_streets"] <= 3


def test_the_length_that_changes_hands_is_counted_on_the_codes(ladder: Session) -> None:
    proposal = propose(ladder, 1)
    number = store(ladder, proposal, NOW)
    frame = division_frame(ladder, number)
    (code,) = set(frame["grid_code"])
    rows = ladder.execute(text("select id, length_m from segment"))
    lengths = {row.id: row.length_m for row in rows}
    now = dict(zip(frame["segment_id"], frame["grid_now"], strict=True))
    moved = sum(lengths[i] for i in lengths if now[i] != code)
    figures = stored_division(ladder, number).figures
    assert figures["moved_length_m"] == pytest.approx(moved, abs=0.06)
    assert figures["moved_length_share"] == pytest.approx(moved / sum(lengths.values()), abs=1e-4)
    assert frame["changes_hands"].sum() == sum(now[i] != code for i in lengths)


def test_a_proposal_is_put_in_force_from_a_date_and_not_before(ladder: Session) -> None:
    number = store(ladder, propose(ladder, 3), NOW)
    before = grids_list(ladder, NOW, with_people=False)
    assert apply_division(ladder, number, SOON) > 0
    assert grids_list(ladder, NOW, with_people=False) == before
    table = division_table(ladder, number)
    after = {
        g["code"]: (g["name"], g["segments"]) for g in grids_list(ladder, SOON, with_people=False)
    }
    assert after == {r.code: (r.name, r.segments) for r in table.itertuples()}
    (row,) = stored_divisions(ladder)
    assert (row["applied"], row["in_force_from"]) == (True, SOON)
    assert {f.code for f in check_ground(ladder, SOON)} <= {"ground.post_empty"}


def test_a_division_taken_back_is_a_proposal_again(ladder: Session) -> None:
    number = store(ladder, propose(ladder, 3), NOW)
    before = grids_list(ladder, SOON, with_people=False)
    apply_division(ladder, number, SOON)
    withdraw_planned(ladder, NOW)
    assert grids_list(ladder, SOON, with_people=False) == before
    (row,) = stored_divisions(ladder)
    assert (row["applied"], row["in_force_from"]) == (False, None)


def test_a_proposal_older_than_the_streets_is_refused(ladder: Session) -> None:
    number = store(ladder, propose(ladder, 2), NOW)
    load_lines(ladder, NOW, *LADDER, street("四巷", (0, 1), (0, 2)))
    with pytest.raises(Conflict) as raised:
        apply_division(ladder, number, SOON)
    assert (raised.value.code, raised.value.values["count"]) == ("division.outdated", 1)


def test_a_street_that_is_gone_is_left_out(ladder: Session) -> None:
    number = store(ladder, propose(ladder, 2), NOW)
    gone = segment_ids(ladder)["三巷"][0]
    load_lines(ladder, NOW, *LADDER[:4])
    apply_division(ladder, number, SOON)
    held = ladder.scalar(
        text(
            "select count(*) from grid_segment where segment_id = :id"
            " and valid @> cast(:at as timestamptz)"
        ),
        {"id": gone, "at": SOON},
    )
    assert held == 0
    assert len(division_frame(ladder, number)) == 6


def test_without_communities_nothing_is_divided_inside_them(ladder: Session) -> None:
    with pytest.raises(Conflict) as refused:
        propose(ladder, 2, within="communities")
    assert refused.value.code == "cells.no_communities"


def test_an_unknown_division_is_said(ladder: Session) -> None:
    with pytest.raises(NotFound) as raised:
        stored_division(ladder, 999_999)
    assert raised.value.code == "division.unknown"


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".fgb"])
def test_a_proposal_is_a_layer(ladder: Session, tmp_path: Path, ending: str) -> None:
    number = store(ladder, propose(ladder, 2), NOW)
    out = tmp_path / f"plan{ending}"
    assert write_frame(division_frame(ladder, number), "plan", out) == 7
    read = gpd.read_file(out)
    assert {"segment_id", "grid_code", "grid_now", "changes_hands"} <= set(read.columns)
    assert read.crs.to_epsg() == 4326
    assert set(read["grid_now"]) == {"A", "B"}


def test_cambridge_with_one_grid_more_hands_over_at_most_a_tenth(
    empty_services: Services, shared_data: Path
) -> None:
    read, _ = vector.read_streets(
        shared_data / "us-cambridge" / "street-centerlines.geojson",
        None,
        {"name": "Street"},
        None,
        datum_change,
    )
    with empty_services.sessions() as session:
        load_town(session, read, nothing(), nothing(), nothing(), MORNING, merge=False)
        first = store(session, propose(session, 40), NOW)
        figures = stored_division(session, first).figures
        assert (figures["connected"], figures["moved_length_share"]) == (40, None)
        assert figures["balance"] <= 1.03
        apply_division(session, first, NOW)
        second = store(session, propose(session, 41, keep=True, at=SOON), NOW)
        figures = stored_division(session, second).figures
        assert (figures["grids"], figures["connected"]) == (41, 41)
        assert 0 < figures["moved_length_share"] <= 0.10
        frame = division_frame(session, second)
        moved_m = frame.loc[frame["changes_hands"], "length_m"].sum()
        assert figures["moved_length_m"] == pytest.approx(moved_m, abs=0.1)
        session.rollback()


def test_by_command_a_division_is_proposed_shown_and_put_in_force(
    town_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = command_on(town_services, monkeypatch, capsys)
    code, made = run("divide", "--grids", "5", "--floor", "0.8")
    assert (code, made["applied"], made["grids"], made["floor_met"]) == (0, False, 5, True)
    number = str(made["division"])
    listed = run("divisions", "list")[1]["divisions"]
    assert (listed[0]["id"], listed[0]["figures"]["balance"]) == (int(number), made["balance"])
    shown = run("divisions", "show", number)[1]
    assert sorted(shown["table"], key=str) == sorted(made["table"], key=str)
    layer = run("divisions", "export", number, str(tmp_path / "plan.gpkg"))[1]
    assert layer["features"] == sum(row["segments"] for row in made["table"])
    assert run("divisions", "apply", number, "--from", "2199-01-01")[0] == 0
    assert run("divide", "--grids", "5", "--apply")[0] == 1  # a later one is planned
    assert run("grids", "withdraw")[0] == 0
    code, again = run("divide", "--grids", "5", "--apply")
    assert (code, again["applied"], again["sides_changed"] > 0) == (0, True, True)
    assert run("divide", "--grids", "5", "--from", "2199-01-01")[0] == 2
    assert run("divisions", "show", "999999")[0] == 2


def test_dividing_by_weighted_length_or_by_the_incidents_of_a_period(
    town_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = command_on(town_services, monkeypatch, capsys)
    weights = {"primary": 3.0, "residential": 0.5}
    given = [f"--class-weight={name}={weight}" for name, weight in weights.items()]
    code, told = run("divide", "--grids", "6", "--balance", "weighted", *given)
    assert (code, told["balanced_by"], told["connected"]) == (0, "weighted", 6)
    # The work of each grid counted again from the tables.
    with town_services.sessions() as session:
        codes = stored_division(session, told["division"]).codes
        work: dict[str, float] = {}
        for row in session.execute(
            text("select id, class as c, form, length_m from segment where gone_at is null")
        ):
            sides = 1 if row.form == "dual" else 2
            weight = {**CLASS_WEIGHTS, **weights}[row.c]
            grid = codes[row.id]
            work[grid] = work.get(grid, 0.0) + row.length_m * weight * sides
        late = session.scalar(text("select max(occurred_at) from incident"))
    assert told["balance"] == pytest.approx(max(work.values()) * 6 / sum(work.values()), abs=1e-4)
    assert {row["code"]: round(row["weight"]) for row in told["table"]} == {
        grid: round(amount) for grid, amount in work.items()
    }
    period = ("--balance", "incidents", "--incidents-to", str(late.date()))
    assert run("divide", "--grids", "3", *period)[0] == 0
    for wrong in (
        ("--balance", "weighted", "--class-weight", "boulevard=2"),
        ("--balance", "weighted", "--class-weight", "primary=much"),
        ("--class-weight", "primary=2"),
        ("--incidents-from", "2025-01-01"),
        ("--balance", "incidents", "--incidents-from", "2999-01-01"),
        ("--balance", "incidents", "--incidents-from", "someday"),
    ):
        assert run("divide", "--grids", "3", *wrong)[0] == 2, wrong


def test_what_changes_hands_is_told_by_side(ladder: Session) -> None:
    """East and west change places on one street's north side: half its metres move, one segment is touched."""
    ids = segment_ids(ladder)
    length = dict(ladder.execute(text("select id, length_m from segment")).all())
    moved = ids["东风路"][0]
    ladder.execute(
        text(
            "update grid_segment set grid_id = (select id from grid where code = 'B')"
            " where segment_id = :id and side = 'right'"
        ),
        {"id": moved},
    )
    figures = figures_plain(propose(ladder, 1, keep=True))
    town = propose(ladder, 1, keep=True)
    (name,) = town.names.values()
    held = {"A": [ids["东风路"][0], ids["解放路"][0], ids["一巷"][0]]}
    held["B"] = [i for i in length if i not in held["A"]]
    other = "B" if name.code == "A" else "A"
    expected = sum(length[i] for i in held[other])
    expected += length[moved] / 2 * (1 if other == "B" else -1)
    assert figures["moved_length_m"] == pytest.approx(expected, abs=0.06)
    assert figures["moved_segments"] == len(held[other]) + (1 if other == "B" else 0)
