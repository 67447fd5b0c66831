"""A street file with 5 % of its streets changed: ids, grids, crews and incidents follow the edit list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from api.cli import imports
from api.cli.differences import layer_target, plain_difference, write_layer
from api.services import Services
from dispatch.checking import check_record, open_on_gone_segments
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput
from grid.crews import crew_at
from grid.loading.grids import GridName, Holding, put_in_force
from grid.loading.people import load_crews, load_staff
from grid.loading.towns import TownReport, load_town
from grid.sources import vector
from grid.town import town_facts
from tests.databases import TestCluster
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
from tests.street_edits import EditList, edited_streets

LATER = MORNING + timedelta(days=30)
GRIDS = ("A", "B", "C")
KEEPING = ("moved", "reversed", "renamed")


@pytest.fixture
def blank(empty_services: Services) -> Iterator[Session]:
    """A session on a database without a town, rolled back after the test."""
    with empty_services.sessions() as opened:
        yield opened
        opened.rollback()


def load(session: Session, streets: gpd.GeoDataFrame, now: Any) -> TownReport:
    return load_town(session, streets, nothing(), nothing(), nothing(), now, merge=False)


def ids_by_key(session: Session) -> dict[str, int]:
    """Ids of the segments in force by the source key of their row."""
    rows = session.execute(text("select source_key, id from segment where gone_at is null"))
    return {key.rsplit(":", 1)[0]: segment_id for key, segment_id in rows}


def held(session: Session, at: Any) -> dict[int, dict[str, str]]:
    """Grid code by side of every segment at a moment."""
    found: dict[int, dict[str, str]] = {}
    for segment_id, side, code in session.execute(
        text(
            "select h.segment_id, h.side, g.code from grid_segment h join grid g on g.id = h.grid_id"
            " where h.valid @> cast(:at as timestamptz)"
        ),
        {"at": at},
    ):
        found.setdefault(segment_id, {})[side] = code
    return found


def divide_by_id(session: Session) -> None:
    """Three grids; each segment's two sides in different ones, so that a swap would be seen."""
    ids = sorted(ids_by_key(session).values())
    holdings = [
        Holding(i, side, GRIDS[(i + n) % 3])
        for i in ids
        for n, side in enumerate(("left", "right"))
    ]
    put_in_force(session, [GridName(code, code) for code in GRIDS], holdings, MORNING)
    staff = pd.DataFrame(
        [(f"O{code}", f"Officer {code}", "officer") for code in GRIDS],
        columns=["staff_no", "name", "post"],
    )
    load_staff(session, staff)
    crews = pd.DataFrame([{"grid_code": c, "officer": f"O{c}"} for c in GRIDS])
    load_crews(session, crews, MORNING, time_zone="America/New_York")


def report_incidents(session: Session) -> None:
    """One closed and one open incident on every segment."""
    for word, status in (("past", "closed"), ("open", "dispatched")):
        session.execute(
            text(
                "insert into incident (number, channel_code, description, status, occurred_at,"
                " reported_at, segment_id, side, grid_id, facts, clocks, ground_version)"
                " select :word || '-' || s.id, (select min(code) from channel), 'x', :status, :at, :at,"
                " s.id, 'left', h.grid_id, '{}', '[]', 1 from segment s join grid_segment h"
                " on h.segment_id = s.id and h.side = 'left'"
            ),
            {"word": word, "status": status, "at": MORNING},
        )


def test_cambridge_with_five_percent_of_its_streets_changed(
    blank: Session, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "us-cambridge"
    read, _ = vector.read_streets(
        folder / "street-centerlines.geojson", None, {"name": "Street"}, None, to_wgs84
    )
    load(blank, read, MORNING)
    before = ids_by_key(blank)
    divide_by_id(blank)
    report_incidents(blank)
    holders = held(blank, MORNING)
    length_m = dict(blank.execute(text("select id, length_m from segment")).all())
    incidents = blank.execute(text("select number, segment_id, side, grid_id from incident")).all()
    changed, edits = edited_streets(read, town_facts(blank).plane_epsg, 0.05, seed=7)
    report = load(blank, changed, LATER)

    counted(report, edits)
    after = ids_by_key(blank)
    now = held(blank, LATER)
    gone = {before[key] for kind in ("split", "gone") for key in edits.rows[kind]}
    gone |= {before[key] for pair in edits.merged for key in pair}
    for key, segment_id in before.items():
        if segment_id not in gone:
            assert after[f"new:{key}"] == segment_id
            assert now[segment_id] == holders[segment_id]
        else:
            assert segment_id not in now
            assert held_until(blank, segment_id) == LATER
    for key in edits.rows["split"]:
        for half in (0, 1):
            assert now[after[f"half{half}:{key}"]] == holders[before[key]]
    for first, second in edits.merged:
        longer = max(before[first], before[second], key=lambda i: length_m[i])
        # Which side is left depends on the way the new row is drawn; the two grids do not.
        assert sorted(now[after[f"{first}+{second}"]].values()) == sorted(holders[longer].values())
    for key in edits.rows["new"]:
        assert len(now[after[key]]) == 2
    assert all(len(sides) == 2 for sides in now.values())

    assert blank.execute(text("select number, segment_id, side, grid_id from incident")).all() == (
        incidents
    )
    assert set(open_on_gone_segments(blank)) == {f"open-{i}" for i in gone}
    found = [f for f in check_record(blank) if f.code == "record.on_gone_segment"]
    assert [f.count for f in found] == [len(gone)]
    moved = before[edits.rows["moved"][0]]
    grid_id = blank.scalar(
        text(
            "select grid_id from grid_segment where segment_id = :id and side = 'left'"
            " and valid @> cast(:at as timestamptz)"
        ),
        {"id": moved, "at": LATER},
    )
    officer = crew_at(blank, grid_id, moved, LATER).posts["officer"]
    assert officer is not None
    assert officer.person.name == f"Officer {holders[moved]['left']}"

    layer_shows(report, edits, before, tmp_path / "changes.gpkg")
    tables = every_table(blank)
    again = load(blank, changed, LATER + timedelta(days=1))
    assert [name for name, rows in every_table(blank).items() if rows != tables[name]] == []
    assert (again.streets.rows_changed, again.streets.new, again.streets.gone) == (0, 0, 0)


def counted(report: TownReport, edits: EditList) -> None:
    """Every figure of the report, by hand from the edit list."""
    change = report.streets
    for kind in (*KEEPING, "split", "gone", "new"):
        assert getattr(change, kind) == len(edits.rows[kind]) > 0, kind
    assert change.merged == len(edits.merged) > 0
    assert change.unchanged == 2643 - len(edits.touched())
    sums = {k.kind: k for k in change.kinds}
    assert (sums["split"].after, sums["merged"].before) == (2 * change.split, 2 * change.merged)
    assert sums["split"].after_m == pytest.approx(sums["split"].before_m, abs=0.1)


def held_until(session: Session, segment_id: int) -> Any:
    return session.scalar(
        text("select distinct upper(valid) from grid_segment where segment_id = :id"),
        {"id": segment_id},
    )


def layer_shows(report: TownReport, edits: EditList, before: dict[str, int], file: Path) -> None:
    write_layer(report.streets.changes, file)
    layer = gpd.read_file(file)
    for kind in (*KEEPING, "split", "gone"):
        rows = layer[(layer["kind"] == kind) & (layer["state"] == "before")]
        assert set(rows["segment_id"]) == {before[key] for key in edits.rows[kind]}
    halves = layer[(layer["kind"] == "split") & (layer["state"] == "after")]
    assert len(halves) == 2 * len(edits.rows["split"])
    assert set(halves["segment_ids"].astype(int)) == {before[key] for key in edits.rows["split"]}
    assert halves["segment_id"].isna().all()
    plain = plain_difference(report.streets)
    assert len(plain["segments"]) == len(layer)
    json.dumps(plain)


def test_the_layer_must_have_a_known_ending_and_a_folder(tmp_path: Path) -> None:
    for file, code in (
        (tmp_path / "changes.doc", "export.ending_unknown"),
        (tmp_path / "none" / "changes.gpkg", "export.folder_missing"),
    ):
        with pytest.raises(BadInput) as raised:
            layer_target(file)
        assert raised.value.code == code


def test_a_street_drawn_the_other_way_keeps_its_direction_and_turns_its_numbers(
    blank: Session,
) -> None:
    numbers = {"left_from": 1, "left_to": 9, "right_from": 2, "right_to": 12}
    turned = {"left_from": 12, "left_to": 2, "right_from": 9, "right_to": 1}
    alley = street("一巷", (0, 0), (0, 1)) | {"oneway": "forward"}
    load_lines(blank, MORNING, *LADDER[:2], alley | numbers)
    before = segment_rows(blank)
    back = street("一巷", (0, 1), (0, 0)) | {"oneway": "backward"}
    report = load_lines(blank, LATER, *LADDER[:2], back | turned)
    assert (report.streets.reversed, report.streets.rows_changed) == (1, 0)
    assert segment_rows(blank) == before
    again = load_lines(blank, LATER, *LADDER[:2], back | turned)
    assert (again.streets.reversed, again.streets.unchanged) == (0, 3)
    assert segment_rows(blank) == before
    straight = load_lines(blank, LATER, *LADDER[:2], alley | numbers)
    assert (straight.streets.reversed, straight.streets.rows_changed) == (1, 0)
    assert segment_rows(blank) == before


def segment_rows(session: Session) -> list[Any]:
    """Every segment as it stands, but for the way the last file drew it."""
    return [
        row[0]
        for row in session.execute(
            text("select to_jsonb(s) - 'turned' from segment s order by s.id")
        )
    ]


def test_the_pieces_of_a_street_drawn_the_other_way_keep_their_sides(blank: Session) -> None:
    alley = street("一巷", (0, 0), (0, 1))
    load_lines(blank, MORNING, *LADDER[:2], alley)
    segment_id = segment_ids(blank)["一巷"][0]
    sides = [Holding(i, "left", "A") for ids in segment_ids(blank).values() for i in ids]
    sides += [Holding(h.segment_id, "right", "B") for h in sides]
    put_in_force(blank, [GridName("A", "西片"), GridName("B", "东片")], sides, MORNING)
    load_lines(blank, MORNING, *LADDER[:2], street("一巷", (0, 1), (0, 0)))
    halves = (street("一巷", (0, 1), (0, 0.5)), street("一巷", (0, 0.5), (0, 0)))
    load_lines(blank, LATER, *LADDER[:2], *halves, street("西巷", (0, 0.5), (-1, 0.5)))
    pieces = segment_ids(blank)["一巷"]
    assert segment_id not in pieces
    # Drawn southwards now: what lay left of the old line lies right of its pieces.
    assert [held(blank, LATER)[piece] for piece in pieces] == [{"left": "B", "right": "A"}] * 2


def test_posts_of_a_segment_and_plans_for_later_pass_to_the_pieces(blank: Session) -> None:
    load_lines(blank, MORNING, *LADDER)
    two_grids(blank, MORNING)
    alley = segment_ids(blank)["二巷"][0]
    soon = LATER + timedelta(days=5)
    blank.execute(text("insert into staff (staff_no, name, post) values ('C9', '李', 'cleaner')"))
    blank.execute(
        text(
            "insert into post_holding (segment_id, post, staff_id, valid)"
            " select :id, 'cleaner', id, tstzrange(:at, null) from staff where staff_no = 'C9'"
        ),
        {"id": alley, "at": MORNING},
    )
    blank.execute(
        text(
            "update grid_segment set valid = tstzrange(lower(valid), :soon) where segment_id = :id"
        ),
        {"id": alley, "soon": soon},
    )
    blank.execute(
        text(
            "insert into grid_segment (segment_id, side, grid_id, valid) select :id, side, g.id,"
            " tstzrange(:soon, null) from grid g, unnest(array['left', 'right']) side"
            " where g.code = 'A'"
        ),
        {"id": alley, "soon": soon},
    )
    halves = (street("二巷", (1, 0), (1, 0.5)), street("二巷", (1, 0.5), (1, 1)))
    rest = [row for row in LADDER if row["name"] != "二巷"]
    across = street("四巷", (1, 0.5), (1.4, 0.5))
    report = load_lines(blank, LATER, *rest, *halves, across)
    assert (report.streets.split, report.streets.new) == (1, 1)
    pieces = segment_ids(blank)["二巷"]
    assert len(pieces) == 2
    for piece in pieces:
        assert held(blank, LATER)[piece] == {"left": "B", "right": "B"}
        assert held(blank, soon)[piece] == {"left": "A", "right": "A"}
    assert alley not in held(blank, LATER)
    assert alley not in held(blank, soon)
    own = blank.execute(
        text("select segment_id, lower(valid), upper(valid) from post_holding order by 1")
    ).all()
    assert [tuple(row) for row in own] == [
        (alley, MORNING, LATER),
        *((piece, LATER, None) for piece in pieces),
    ]


def test_a_dry_run_shows_the_difference_and_changes_nothing(
    cluster: TestCluster,
    empty_template: str,
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = shared_data / "us-cambridge" / "street-centerlines.geojson"
    lines = gpd.read_file(source)
    former = lines.loc[5, "Street"]
    lines.loc[5, "Street"] = "Invented Way"
    lines.drop(index=lines.index[:3]).to_file(tmp_path / "changed.geojson")
    layer = tmp_path / "changes.gpkg"

    def run(file: Path, *options: str) -> dict[str, Any]:
        words = ["streets", str(file), "--map", "name=Street", "--json", *options]
        done = CliRunner().invoke(imports.app, words)
        assert done.exit_code == 0, done.output
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    with cluster.database(empty_template) as url:
        monkeypatch.setenv("GRIDWARD_DATABASE_URL", url)
        assert run(source)["streets"]["new"] == 2643
        shown = run(tmp_path / "changed.geojson", "--dry-run", "--changes", str(layer))
        assert run(source)["streets"]["unchanged"] == 2643
    found = {row["kind"]: (row["before"], row["after"]) for row in shown["difference"]}
    assert {kind: sums for kind, sums in found.items() if sums != (0, 0)} == {
        "unchanged": (2639, 2639),
        "renamed": (1, 1),
        "gone": (3, 0),
    }
    renamed = [row for row in shown["segments"] if row["state"] == "after"]
    assert [(row["street_before"], row["street"]) for row in renamed] == [(former, "Invented Way")]
    assert len(gpd.read_file(layer)) == len(shown["segments"]) == 5
