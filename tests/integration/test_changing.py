"""Grids changed by hand: planned, shown, put in force at a date, and nothing different before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.handover import incidents_of_plan
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from grid.changing import Plan, apply_plan, plan_merge, plan_move, plan_rename, plan_split
from grid.checking import check_ground
from grid.core.errors import BadInput, Conflict, NotFound
from grid.crews import crew_at
from grid.in_force import withdraw_planned
from grid.loading.grids import GridName, Holding, both_sides, put_in_force
from grid.loading.people import load_crews, load_staff
from maps.frames import grids_list, segments_geojson
from maps.layer_frames import layer_frame
from tests.command import Command, command_on
from tests.ground import (
    LADDER,
    MORNING,
    at,
    every_table,
    load_lines,
    segment_ids,
    street,
)
from tests.web import Office, office

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)
LATER = NOW + timedelta(days=60)
OVERFLOW = "06042"
SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"
POSTS = ("officer", "cleaner", "gardener", "maintainer")


def people(session: Session) -> None:
    """Every post of A and B held by a person of its own."""
    staff = [(f"{code}-{post}", f"{code}的{post}", post, "局") for code in "AB" for post in POSTS]
    load_staff(session, pd.DataFrame(staff, columns=["staff_no", "name", "post", "unit"]))
    rows = [{"grid_code": code} | {post: f"{code}-{post}" for post in POSTS} for code in "AB"]
    report = load_crews(session, pd.DataFrame(rows), MORNING, time_zone="Asia/Shanghai")
    assert (report.taken, report.refused) == (2, [])


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A (west) and B (east), all posts held; rolled back after the test."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER, street("孤路", (4, 0), (4, 1)))
        two_grids_and_island(session)
        people(session)
        yield session
        session.rollback()


def two_grids_and_island(session: Session) -> None:
    ids = segment_ids(session)
    west = [ids["东风路"][0], ids["解放路"][0], ids["一巷"][0]]
    codes = {i: "A" if i in west else "B" for group in ids.values() for i in group}
    put_in_force(
        session, [GridName("A", "西片", "West"), GridName("B", "东片")], both_sides(codes), MORNING
    )


def holders(session: Session, segment_id: int, moment: datetime) -> list[str]:
    """Codes of the grids that hold the left and the right side."""
    return list(
        session.scalars(
            text(
                "select g.code from grid_segment h join grid g on g.id = h.grid_id"
                " where h.segment_id = :id and h.valid @> cast(:at as timestamptz) order by h.side"
            ),
            {"id": segment_id, "at": moment},
        )
    )


def grid_id(session: Session, code: str, moment: datetime) -> int:
    found = session.scalar(
        text("select id from grid where code = :code and valid @> cast(:at as timestamptz)"),
        {"code": code, "at": moment},
    )
    return int(found or 0)


def officer(session: Session, code: str, moment: datetime) -> str | None:
    found = crew_at(session, grid_id(session, code, moment), None, moment).answering("officer")
    return found.person.name if found else None


def as_seen(session: Session, moment: datetime) -> object:
    """What people and programs see of the division at a moment."""
    return (
        segments_geojson(session, None, moment),
        grids_list(session, moment, with_people=True),
        layer_frame(session, "segments", moment, with_people=True).to_csv(),
        # A grid's end is known before it comes, and may be.
        layer_frame(session, "grids", moment, with_people=True).drop(columns="valid_to").to_csv(),
        [f.code for f in check_ground(session, moment)],
    )


def test_a_segment_moves_at_its_date_and_not_before(ladder: Session) -> None:
    lane = segment_ids(ladder)["二巷"][0]
    before = as_seen(ladder, NOW)
    plan = plan_move(ladder, [lane], "A", SOON)
    assert plan.moves == ((lane, "left", "A"), (lane, "right", "A"))
    assert plan.disconnected == ()
    assert apply_plan(ladder, plan) == 2
    assert as_seen(ladder, NOW) == before
    assert holders(ladder, lane, SOON - timedelta(seconds=1)) == ["B", "B"]
    assert holders(ladder, lane, SOON) == ["A", "A"]
    assert {g["code"]: g["segments"] for g in grids_list(ladder, SOON, with_people=False)} == {
        "A": 4,
        "B": 4,
    }


def test_one_side_may_go_alone(ladder: Session) -> None:
    lane = segment_ids(ladder)["二巷"][0]
    assert apply_plan(ladder, plan_move(ladder, [lane], "A", NOW, ("left",))) == 1
    assert holders(ladder, lane, NOW) == ["A", "B"]
    assert [f.code for f in check_ground(ladder, NOW)] == []


def test_a_grid_in_pieces_is_refused_unless_it_is_meant(ladder: Session) -> None:
    lane = segment_ids(ladder)["一巷"][0]
    plan = plan_move(ladder, [lane], "B", NOW)
    # Without its lane the two ends of A meet nowhere; B has no crossing with the lane.
    assert plan.disconnected == ("A", "B")
    with pytest.raises(Conflict) as raised:
        apply_plan(ladder, plan)
    assert (raised.value.code, raised.value.values["codes"]) == (
        "grids.would_be_disconnected",
        "A, B",
    )
    assert holders(ladder, lane, NOW) == ["A", "A"]
    apply_plan(ladder, plan, allow_disconnected=True)
    assert holders(ladder, lane, NOW) == ["B", "B"]
    found = check_ground(ladder, NOW)
    assert [(f.code, f.things) for f in found] == [("ground.grid_disconnected", ["A", "B"])]


def test_a_grid_that_was_in_pieces_before_is_not_blamed_on_the_change(ladder: Session) -> None:
    ids = segment_ids(ladder)
    apply_plan(ladder, plan_move(ladder, ids["一巷"], "B", NOW), allow_disconnected=True)
    assert plan_move(ladder, ids["二巷"], "A", NOW).disconnected == ()


def test_an_island_may_belong_to_any_grid(ladder: Session) -> None:
    island = segment_ids(ladder)["孤路"]
    plan = plan_move(ladder, island, "A", NOW)
    assert plan.disconnected == ()
    apply_plan(ladder, plan)
    assert check_ground(ladder, NOW) == []


def test_a_split_keeps_the_people_until_others_are_named(ladder: Session) -> None:
    ids = segment_ids(ladder)
    plan = plan_split(ladder, "B", SOON, "桥东片", ids["三巷"])
    assert [(m.code, m.name, m.crew_of) for m in plan.made] == [("G001", "桥东片", "B")]
    apply_plan(ladder, plan)
    assert grid_id(ladder, "G001", NOW) == 0
    assert holders(ladder, ids["三巷"][0], SOON) == ["G001", "G001"]
    assert officer(ladder, "G001", SOON) == officer(ladder, "B", SOON) == "B的officer"
    assert check_ground(ladder, SOON) == []


def test_a_split_without_segments_halves_the_length(ladder: Session) -> None:
    plan = plan_split(ladder, "A", NOW)
    apply_plan(ladder, plan)
    lengths = {g["code"]: g["length_m"] for g in grids_list(ladder, NOW, with_people=False)}
    whole = lengths["A"] + lengths["G001"]
    # Three segments of about 93, 93 and 111 m: the best halves are 186 and 111.
    assert max(lengths["A"], lengths["G001"]) / whole == pytest.approx(186 / 297, abs=0.08)
    assert check_ground(ladder, NOW) == []


def test_of_a_shared_street_only_the_own_side_goes(ladder: Session) -> None:
    ids = segment_ids(ladder)
    lane = ids["二巷"][0]
    apply_plan(ladder, plan_move(ladder, [lane], "A", NOW, ("left",)))
    plan = plan_split(ladder, "B", SOON, None, [lane])
    assert plan.moves == ((lane, "right", "G001"),)


def test_a_merged_grid_ends_with_its_posts_and_keeps_its_past(ladder: Session) -> None:
    everything = [i for group in segment_ids(ladder).values() for i in group]
    apply_plan(ladder, plan_merge(ladder, "B", "A", SOON))
    assert {tuple(holders(ladder, i, SOON)) for i in everything} == {("A", "A")}
    assert officer(ladder, "B", SOON - timedelta(seconds=1)) == "B的officer"
    assert officer(ladder, "B", SOON) is None
    assert [g["code"] for g in grids_list(ladder, SOON, with_people=False)] == ["A"]
    assert check_ground(ladder, SOON) == []


@pytest.mark.parametrize("moment", [NOW, SOON])
def test_a_new_name_holds_from_its_moment(ladder: Session, moment: datetime) -> None:
    segment = segment_ids(ladder)["一巷"][0]
    apply_plan(ladder, plan_rename(ladder, "A", "老城片", moment, "Old Town"))
    names = {
        g["code"]: (g["name"], g["name_en"]) for g in grids_list(ladder, moment, with_people=False)
    }
    assert names == {"A": ("老城片", "Old Town"), "B": ("东片", None)}
    assert holders(ladder, segment, moment) == ["A", "A"]
    assert officer(ladder, "A", moment) == "A的officer"
    assert check_ground(ladder, moment) == []
    if moment > NOW:
        before = grids_list(ladder, NOW, with_people=False)
        assert before[0]["name"] == "西片"
        assert officer(ladder, "A", NOW) == "A的officer"


def test_a_division_from_a_date_shows_nothing_before(ladder: Session) -> None:
    before = as_seen(ladder, NOW)
    everything = [i for group in segment_ids(ladder).values() for i in group]
    put_in_force(ladder, [GridName("A", "全县")], both_sides(dict.fromkeys(everything, "A")), SOON)
    assert as_seen(ladder, NOW) == before
    after = grids_list(ladder, SOON, with_people=True)
    assert [(g["code"], g["name"], g["segments"]) for g in after] == [("A", "全县", 8)]
    assert after[0]["crew"]["officer"]["name"] == "A的officer"


def test_what_is_planned_may_be_taken_back(ladder: Session) -> None:
    ids = segment_ids(ladder)
    before = every_table(ladder)
    apply_plan(ladder, plan_move(ladder, ids["二巷"], "A", SOON))
    apply_plan(ladder, plan_rename(ladder, "B", "新东片", SOON))
    apply_plan(ladder, plan_split(ladder, "B", LATER, None, ids["东风路"][1:]))
    with pytest.raises(Conflict) as raised:
        apply_plan(ladder, plan_move(ladder, ids["二巷"], "A", NOW))
    assert raised.value.code == "grids.changed_later"
    with pytest.raises(Conflict) as raised:
        put_in_force(ladder, [GridName("A", "一")], _all_to_a(ladder), NOW)
    assert raised.value.code == "grids.changed_later"
    taken = withdraw_planned(ladder, NOW)
    assert taken.grids >= 2
    after = every_table(ladder)
    assert [t for t in before if before[t] != after[t] and t != "town"] == []


def _all_to_a(session: Session) -> list[Holding]:
    everything = [i for group in segment_ids(session).values() for i in group]
    return both_sides(dict.fromkeys(everything, "A"))


def test_a_new_street_follows_its_neighbour_through_what_is_planned(ladder: Session) -> None:
    ids = segment_ids(ladder)
    apply_plan(ladder, plan_move(ladder, ids["二巷"], "A", SOON))
    load_lines(
        ladder,
        NOW,
        *LADDER,
        street("孤路", (4, 0), (4, 1)),
        street("新巷", (1, 0.5), (1.5, 0.5), class_="residential"),
    )
    fresh = segment_ids(ladder)["新巷"][0]
    assert len(holders(ladder, fresh, NOW)) == 2
    assert check_ground(ladder, NOW) == []
    assert check_ground(ladder, SOON) == []


REFUSED: dict[str, tuple[Callable[[Session, dict[str, list[int]]], object], str]] = {
    "an unknown grid": (lambda s, i: plan_move(s, i["二巷"], "Z", NOW), "grids.not_in_force"),
    "an unknown segment": (lambda s, i: plan_move(s, [999_999], "A", NOW), "grids.segment_unknown"),
    "nothing": (lambda s, i: plan_move(s, i["一巷"], "A", NOW), "grids.nothing_to_move"),
    "no side": (lambda s, i: plan_move(s, i["二巷"], "A", NOW, ("up",)), "grids.side_unknown"),
    "a grid left empty": (
        lambda s, i: plan_move(s, [i["东风路"][0], i["解放路"][0], i["一巷"][0]], "B", NOW),
        "grids.would_be_empty",
    ),
    "all of a grid": (
        lambda s, i: plan_split(s, "A", NOW, None, [i["东风路"][0], i["解放路"][0], i["一巷"][0]]),
        "grids.split_all",
    ),
    "another grid's": (
        lambda s, i: plan_split(s, "A", NOW, None, i["二巷"]),
        "grids.segment_of_other_grid",
    ),
    "itself": (lambda s, i: plan_merge(s, "A", "A", NOW), "grids.merge_self"),
    "no name": (lambda s, i: plan_rename(s, "A", "  ", NOW), "grids.name_missing"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused_with_its_code(ladder: Session, what: str) -> None:
    asked, code = REFUSED[what]
    before = every_table(ladder)
    with pytest.raises((BadInput, NotFound)) as raised:
        asked(ladder, segment_ids(ladder))
    assert raised.value.code == code
    assert every_table(ladder) == before


def test_open_incidents_that_change_owner_are_shown_first(
    ladder: Session, empty_services: Services
) -> None:
    ids = segment_ids(ladder)
    made = {}
    for name, place in (("二巷", (1.02, 0.5)), ("一巷", (0.02, 0.5))):
        report = Report(
            channel="hotline_12345",
            description="垃圾满溢",
            category=OVERFLOW,
            point=GivenPoint(*at(*place), "wgs84"),
        )
        made[name] = take_in(ladder, empty_services.desk, report, "account:test", NOW).number
    found = incidents_of_plan(ladder, plan_move(ladder, ids["二巷"], "A", SOON))
    assert [
        (f.number, f.from_grid, f.to_grid, f.post, f.person_now, f.person_then) for f in found
    ] == [(made["二巷"], "B", "A", "cleaner", "B的cleaner", "A的cleaner")]
    side = ladder.scalar(text("select side from incident where number = :n"), {"n": made["二巷"]})
    other = "left" if side == "right" else "right"
    assert incidents_of_plan(ladder, plan_move(ladder, ids["二巷"], "A", SOON, (other,))) == []
    split = incidents_of_plan(ladder, plan_split(ladder, "B", SOON, None, ids["二巷"]))
    assert [(f.to_grid, f.person_then) for f in split] == [("G001", "B的cleaner")]
    ladder.execute(
        text("update incident set status = 'closed' where number = :n"), {"n": made["二巷"]}
    )
    assert incidents_of_plan(ladder, plan_move(ladder, ids["二巷"], "A", SOON)) == []


EDIT = st.tuples(
    st.sampled_from(["move", "side", "split", "merge", "rename"]),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
LATTICE = [street(f"横{row}", *((column, row) for column in range(4))) for row in range(3)] + [
    street(f"纵{column}", *((column, row) for row in range(3))) for column in range(4)
]


@pytest.fixture(scope="module")
def lattice(empty_services: Services) -> Iterator[Session]:
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LATTICE)
        ids = [i for group in segment_ids(session).values() for i in group]
        put_in_force(session, [GridName("A", "一")], both_sides(dict.fromkeys(ids, "A")), MORNING)
        session.flush()
        yield session
        session.rollback()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(edits=st.lists(EDIT, min_size=1, max_size=6))
def test_random_edits_keep_what_the_check_proves(
    lattice: Session, edits: list[tuple[str, int, int]]
) -> None:
    saved = lattice.begin_nested()
    try:
        for kind, one, other in edits:
            plan = _drawn(lattice, kind, one, other)
            if plan is not None and not plan.disconnected:
                apply_plan(lattice, plan)
        codes = {f.code for f in check_ground(lattice, NOW)}
        assert codes <= {"ground.post_empty"}
        sides = lattice.scalar(
            text("select count(*) from grid_segment where valid @> cast(:at as timestamptz)"),
            {"at": NOW},
        )
        assert sides == 2 * 17
    finally:
        saved.rollback()


def _drawn(session: Session, kind: str, one: int, other: int) -> Plan | None:
    codes = [g["code"] for g in grids_list(session, NOW, with_people=False)]
    ids = sorted(i for group in segment_ids(session).values() for i in group)
    code, second = codes[one % len(codes)], codes[other % len(codes)]
    segment = ids[other % len(ids)]
    try:
        if kind == "move":
            return plan_move(session, [segment], code, NOW)
        if kind == "side":
            return plan_move(session, [segment], code, NOW, ("left",))
        if kind == "split":
            return plan_split(session, code, NOW)
        if kind == "merge":
            return plan_merge(session, code, second, NOW)
        return plan_rename(session, code, f"名{other}", NOW)
    except BadInput:
        return None


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def test_over_http_the_plan_comes_first_and_rights_are_checked(desk: Office) -> None:
    report = {"channel": "hotline_12345", "category": OVERFLOW, "description": SENTENCE}
    made = desk.post("operator", "/incidents", report).json()
    segment, code = made["segment"]["id"], made["grid"]["code"]
    other = next(g["code"] for g in desk.get("operator", "/grids").json() if g["code"] != code)
    asked = {"action": "move", "segment_ids": [segment], "to": other, "dry_run": True}
    assert desk.post(None, "/grids/changes", asked).status_code == 401
    assert desk.post("cleaner", "/grids/changes", asked).status_code == 403
    assert desk.post("operator", "/grids/changes", asked).status_code == 403
    body = desk.post("dispatcher", "/grids/changes", asked).json()
    assert body["applied"] is False
    assert {m["to"] for m in body["moves"]} == {other}
    first = next(item for item in body["incidents"] if item["number"] == made["number"])
    assert (first["from_grid"], first["to_grid"]) == (code, other)
    assert first["person_now"] == made["tasks"][0]["assignee"]["name"]
    assert first["person_then"]
    if body["disconnected"]:
        answer = desk.post("dispatcher", "/grids/changes", {**asked, "dry_run": False})
        assert (answer.status_code, answer.json()["code"]) == (409, "grids.would_be_disconnected")
    soon = {**asked, "dry_run": False, "allow_disconnected": True, "from": SOON.isoformat()}
    body = desk.post("dispatcher", "/grids/changes", soon).json()
    assert body["applied"] is True
    assert datetime.fromisoformat(body["from"]) == SOON
    with desk.services.sessions() as session:
        assert code in holders(session, segment, NOW)
        assert holders(session, segment, SOON) == [other, other]


def test_over_http_what_is_missing_or_past_is_said(desk: Office) -> None:
    for body, code in (
        ({"action": "merge", "code": "G001"}, "grids.field_missing"),
        (
            {"action": "rename", "code": "G001", "name": "x", "from": "2020-01-01T00:00:00Z"},
            "grids.date_past",
        ),
        ({"action": "rename", "code": "G001", "name": ""}, "grids.name_missing"),
    ):
        answer = desk.post("admin", "/grids/changes", body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["detail"] != code


@pytest.fixture
def run(
    town_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return command_on(town_services, monkeypatch, capsys)


def test_by_command_a_change_is_shown_made_and_taken_back(run: Command) -> None:
    assert run("grids", "withdraw")[0] == 0
    rename = ("grids", "rename", "G001", "新名片", "--from", "2199-01-01")
    code, said = run(*rename, "--dry-run")
    assert (code, said["dry_run"]) == (0, True)
    assert run("grids", "withdraw")[1]["grids"] == 0
    assert run(*rename)[0] == 0
    assert run("grids", "withdraw")[1]["grids"] > 0
    made = run("grids", "split", "G001")[1]["grids_made"]
    assert len(made) == 1
    code, said = run("grids", "merge", made[0], "--into", "G001")
    assert (code, said["grids_ended"]) == (0, made)
    assert run("grids", "rename", "G001", "x", "--from", "1999-01-01")[0] == 2
    assert run("grids", "move", "1", "--to", "Z")[0] == 2
