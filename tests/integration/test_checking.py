"""Each thing that `gridward check` proves, broken by SQL, is named; what it can mend is mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from shapely.geometry import box
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.i18n import has
from api.services import Services
from dispatch.checking import check_record
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from grid.changing import apply_plan, plan_move
from grid.checking import Finding, check_ground
from grid.given_areas import NamedArea, apply_areas, plan_give
from grid.kept_territory import keep_territory
from grid.loading.people import load_crews, load_staff
from grid.mending import mend_ground
from tests.ground import LADDER, MORNING, at, load_lines, segment_ids, two_grids

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)
POSTS = ("officer", "cleaner", "gardener", "maintainer")
PARK = NamedArea("公园", box(*at(0.2, 0.3), *at(0.6, 0.7)))
MARKET = NamedArea("市场", box(*at(1.2, 0.3), *at(1.6, 0.7)))


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town, whole: two grids with all posts held, a park and a market, the territory kept; rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        staff = [(f"{c}-{post}", f"{c}的{post}", post, "局") for c in "AB" for post in POSTS]
        load_staff(session, pd.DataFrame(staff, columns=["staff_no", "name", "post", "unit"]))
        rows = [{"grid_code": c} | {post: f"{c}-{post}" for post in POSTS} for c in "AB"]
        load_crews(session, pd.DataFrame(rows), MORNING, time_zone="Asia/Shanghai")
        apply_areas(session, plan_give(session, "A", [PARK], NOW))
        apply_areas(session, plan_give(session, "B", [MARKET], NOW))
        keep_territory(session, NOW)
        assert check_ground(session, NOW) == []
        assert check_record(session) == []
        yield session
        session.rollback()


# code: (SQL that breaks it, a word of the thing that must be named, whether --mend mends it)
BROKEN = {
    "ground.side_without_grid": (
        "delete from grid_segment where segment_id = (select min(id) from segment) and side = 'left'",
        "",
        False,
    ),
    "ground.gone_segment_held": (
        "update segment set gone_at = '2025-10-01' where id = (select min(id) from segment)",
        "",
        True,
    ),
    "ground.ended_grid_holds": (
        "update grid set valid = tstzrange(lower(valid), '2025-10-01') where code = 'B'",
        "B",
        True,
    ),
    "ground.post_empty": ("delete from post_holding where post = 'cleaner'", "A cleaner", False),
    "ground.grid_disconnected": (
        ("update grid_segment set grid_id = (select id from grid where code = 'B')"
        " where segment_id = (select s.id from segment s join street t on t.id = s.street_id"
        " where t.name = '一巷')"),
        "A",
        False,
    ),
    "ground.outside_grids_life": (
        "update grid_area set valid = tstzrange('2001-01-01', null) where name = '公园'",
        "A 公园",
        True,
    ),
    "ground.outside_segments_life": (
        "update grid_segment set valid = tstzrange('2001-01-01', null) where side = 'right'",
        " right",
        True,
    ),
    "ground.outside_persons_life": (
        ("insert into absence (staff_id, valid)"
        " select id, tstzrange('2030-01-01', '2030-02-01') from staff where staff_no = 'A-cleaner';"
        " update staff set left_at = '2029-01-01' where staff_no = 'A-cleaner'"),
        "A-cleaner absence",
        True,
    ),
    "ground.time_without_owner": (
        ("update grid_segment set valid = tstzrange(lower(valid), '2025-08-01') where side = 'left'"
        " and segment_id = (select max(id) from segment);"
        " insert into grid_segment (segment_id, side, grid_id, valid)"
        " select segment_id, side, grid_id, tstzrange('2025-09-01', null) from grid_segment"
        " where upper(valid) = '2025-08-01'"),
        " left",
        True,
    ),
    "ground.area_invalid": (
        ("update grid_area set area_plane = st_translate(st_multi(st_geomfromtext("
        "'POLYGON((0 0, 20 20, 20 0, 0 20, 0 0))')), st_xmin(area_plane), st_ymin(area_plane))"
        " where name = '公园'"),
        "公园 (A)",
        True,
    ),
    "ground.areas_overlap": (
        ("update grid_area set area_plane = (select st_translate(area_plane, 5, 5) from grid_area"
        " where name = '公园') where name = '市场'"),
        "公园 (A) / 市场 (B)",
        True,
    ),
    "ground.territory_outdated": (
        ("update segment set line_plane = st_translate(line_plane, 1, 0)"
        " where id = (select max(id) from segment)"),
        " / ",
        True,
    ),
    "ground.territory_broken": (("delete from territory where grid_id in"
        " (select id from grid where code = 'B')"), "gap", True),
}  # fmt: skip


def found(session: Session) -> dict[str, Finding]:
    return {finding.code: finding for finding in check_ground(session, NOW)}


@pytest.mark.parametrize("code", BROKEN)
def test_what_is_broken_by_sql_is_named_and_mended(ladder: Session, code: str) -> None:
    statements, word, can_be_mended = BROKEN[code]
    for statement in statements.split(";"):
        ladder.execute(text(statement))
    findings = found(ladder)
    assert code in findings
    finding = findings[code]
    assert finding.count >= len(finding.things) > 0
    assert any(word in str(thing) for thing in finding.things), finding.things
    assert finding.repair.startswith("gridward ")
    assert has(f"check.{code}")
    mend_ground(ladder, NOW)
    assert (code in found(ladder)) is not can_be_mended
    # A street that went or a person who left leaves something for people to do.
    left = ("ground.gone_segment_held", "ground.ended_grid_holds", "ground.outside_persons_life")
    if can_be_mended and code not in left:
        assert found(ladder) == {}


def test_a_kept_territory_that_does_not_know_of_a_change_is_told(ladder: Session) -> None:
    apply_plan(ladder, plan_move(ladder, segment_ids(ladder)["二巷"], "A", NOW))
    assert list(found(ladder)) == ["ground.territory_outdated"]
    keep_territory(ladder, NOW)
    assert found(ladder) == {}


def test_a_post_may_be_older_than_its_grid_and_not_outlive_it(ladder: Session) -> None:
    older = "update post_holding set valid = tstzrange('2001-01-01', null) where post = 'gardener'"
    ladder.execute(text(older))
    assert found(ladder) == {}
    ladder.execute(
        text("insert into grid (code, name, valid) values ('C', '旧', '[2001-01-01, 2002-01-01)')")
    )
    ladder.execute(
        text(
            "insert into post_holding (grid_id, post, staff_id, valid)"
            " select g.id, 'officer', s.id, '[2001-01-01, 2003-01-01)' from grid g, staff s"
            " where g.code = 'C' and s.staff_no = 'A-officer'"
        )
    )
    assert found(ladder)["ground.outside_grids_life"].things == ["C officer"]


def test_an_overlap_in_the_future_or_the_past_is_told_too(ladder: Session) -> None:
    ladder.execute(
        text(
            "insert into grid_area (grid_id, name, area_plane, valid)"
            " select g.id, '旧园', a.area_plane, tstzrange(:since, :until)"
            " from grid_area a, grid g where a.name = '公园' and g.code = 'B'"
        ),
        {"since": SOON, "until": SOON + timedelta(days=1)},
    )
    assert list(found(ladder)) == ["ground.areas_overlap"]


def test_an_open_incident_outside_the_town_is_named(
    ladder: Session, empty_services: Services
) -> None:
    report = Report(
        channel="hotline_12345",
        description="垃圾满溢",
        category="06042",
        point=GivenPoint(*at(1.02, 0.5), "wgs84"),
    )
    number = take_in(ladder, empty_services.desk, report, "account:test", NOW).number
    assert [f.code for f in check_record(ladder)] == []
    far = "update incident set point = st_setsrid(st_makepoint(:x, :y), 4326) where number = :n"
    # The town ends 250 m beyond its outermost streets as long as no boundary was imported.
    for column, codes in ((4.0, []), (4.9, ["record.outside_town"])):
        lon, lat = at(column, 0.5)
        ladder.execute(text(far), {"x": lon, "y": lat, "n": number})
        assert [f.code for f in check_record(ladder)] == codes
    assert check_record(ladder)[0].things == [number]
    ladder.execute(text("update incident set status = 'closed' where number = :n"), {"n": number})
    assert "record.outside_town" not in {f.code for f in check_record(ladder)}


def test_with_a_boundary_the_boundary_decides(ladder: Session, empty_services: Services) -> None:
    ladder.execute(
        text(
            "update town set boundary = st_multi(st_makeenvelope(:west, :south, :east, :north, 4326))"
        ),
        dict(
            zip(("west", "south", "east", "north"), (*at(-0.5, -0.5), *at(2.5, 1.5)), strict=True)
        ),
    )
    report = Report(
        channel="hotline_12345",
        description="垃圾满溢",
        category="06042",
        point=GivenPoint(*at(2.7, 0.5), "wgs84"),
    )
    number = take_in(ladder, empty_services.desk, report, "account:test", NOW).number
    findings = {f.code: f.things for f in check_record(ladder)}
    assert findings["record.outside_town"] == [number]
