"""Open incidents when their ground or post passes to somebody else: at once, at a date, all, none, and in the record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.checking import check_record
from dispatch.handover import hand_over_due, incidents_of_plan
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import history_of, one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, make_move
from grid.changing import apply_plan, plan_merge, plan_move
from grid.loading.people import load_crews, load_staff
from tests.command import command_on
from tests.ground import LADDER, MORNING, at, load_lines, segment_ids, two_grids

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(days=30)
POSTS = ("officer", "cleaner", "gardener", "maintainer")
OVERFLOW = "06042"
DISPATCHER = Actor("account:dispatcher", "dispatcher", None)


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A (west) and B (east), a person of its own in each post; rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        staff = [
            (f"{code}-{post}", f"{code}的{post}", post, "局") for code in "ABZ" for post in POSTS
        ]
        load_staff(session, pd.DataFrame(staff, columns=["staff_no", "name", "post", "unit"]))
        rows = [{"grid_code": code} | {post: f"{code}-{post}" for post in POSTS} for code in "AB"]
        report = load_crews(session, pd.DataFrame(rows), MORNING, time_zone="Asia/Shanghai")
        assert report.refused == []
        yield session
        session.rollback()


def incident(session: Session, services: Services, column: float = 0.98, row: float = 0.5) -> str:
    """A full bin on 二巷 (grid B), offered to B's cleaner."""
    report = Report(
        channel="hotline_12345", description="垃圾满溢", category=OVERFLOW,
        point=GivenPoint(*at(column, row), "wgs84"),
    )  # fmt: skip
    return take_in(session, services.desk, report, "account:test", NOW - timedelta(hours=1)).number


def staff_id(session: Session, number: str) -> int:
    return int(
        session.scalar(text("select id from staff where staff_no = :no"), {"no": number}) or 0
    )


def accept(session: Session, services: Services, number: str, who: str) -> None:
    actor = Actor(f"account:{who}", "cleaner", staff_id(session, who))
    make_move(
        session, services.desk, number, Asked("accept_task"), actor, NOW - timedelta(minutes=30)
    )


def stands(session: Session, number: str) -> tuple[str, list[tuple[str, str]]]:
    """Grid code, and person and status of each open task."""
    row = one_incident(session, number)
    tasks = [
        (task["assignee_name"], task["status"])
        for task in row["tasks"]
        if task["status"] in ("offered", "accepted", "arrived")
    ]
    return row["grid_code"], tasks


def history(session: Session, number: str) -> list[dict[str, Any]]:
    """The record's lines, oldest first."""
    lines = history_of(session, one_incident(session, number)["id"])
    return sorted(lines, key=lambda line: line["seq"])


def moves(session: Session, number: str) -> list[str]:
    return [line["move"] for line in history(session, number)]


def lane_to_a(session: Session, when: datetime, hand_over: str = "offered") -> None:
    lane = segment_ids(session)["二巷"]
    apply_plan(session, plan_move(session, lane, "A", when), hand_over=hand_over)


def test_what_nobody_has_begun_follows_its_ground_with_a_line_a_notice_and_a_reason(
    ladder: Session, empty_services: Services
) -> None:
    number = incident(ladder, empty_services)
    assert stands(ladder, number) == ("B", [("B的cleaner", "offered")])
    lane_to_a(ladder, NOW)
    (moved,) = hand_over_due(ladder, empty_services.desk, NOW, DISPATCHER)
    assert (moved.number, moved.from_grid, moved.to_grid) == (number, "B", "A")
    assert (moved.from_person, moved.to_person) == ("B的cleaner", "A的cleaner")
    assert stands(ladder, number) == ("A", [("A的cleaner", "offered")])
    lines = {line["move"]: line for line in history(ladder, number)}
    assert (lines["follow_ground"]["detail"]["from"], lines["follow_ground"]["detail"]["to"]) == (
        "B",
        "A",
    )
    assert lines["reassign"]["actor"] == lines["follow_ground"]["actor"] == "account:dispatcher"
    codes = [item["code"] for item in one_incident(ladder, number)["reason"]]
    assert {"grid.followed", "task.handed_over"} <= set(codes)
    told = ladder.scalar(
        text("select count(*) from notice where staff_id = :id and kind = 'task_offered'"),
        {"id": staff_id(ladder, "A-cleaner")},
    )
    assert told == 1
    assert check_record(ladder) == []
    assert hand_over_due(ladder, empty_services.desk, NOW) == []


def test_begun_work_stays_with_its_person_unless_all_is_asked(
    ladder: Session, empty_services: Services
) -> None:
    number = incident(ladder, empty_services)
    accept(ladder, empty_services, number, "B-cleaner")
    shown = incidents_of_plan(ladder, plan_move(ladder, segment_ids(ladder)["二巷"], "A", NOW))
    assert [(item.number, item.begun) for item in shown] == [(number, True)]
    lane_to_a(ladder, NOW)
    assert hand_over_due(ladder, empty_services.desk, NOW) == []
    assert stands(ladder, number) == ("B", [("B的cleaner", "accepted")])
    ladder.execute(
        text("update grid_segment set hand_over = 'all' where lower(valid) = :at"), {"at": NOW}
    )
    assert len(hand_over_due(ladder, empty_services.desk, NOW)) == 1
    assert stands(ladder, number) == ("A", [("A的cleaner", "offered")])


def test_a_change_may_leave_open_incidents_where_they_are(
    ladder: Session, empty_services: Services
) -> None:
    number = incident(ladder, empty_services)
    lane_to_a(ladder, NOW, "none")
    assert hand_over_due(ladder, empty_services.desk, NOW + timedelta(days=1)) == []
    assert stands(ladder, number) == ("B", [("B的cleaner", "offered")])


def test_what_is_planned_is_handed_over_at_its_date_and_not_before(
    ladder: Session, empty_services: Services
) -> None:
    number = incident(ladder, empty_services)
    lane_to_a(ladder, SOON)
    assert hand_over_due(ladder, empty_services.desk, SOON - timedelta(seconds=1)) == []
    (moved,) = hand_over_due(ladder, empty_services.desk, SOON)
    assert (moved.number, moved.to_person) == (number, "A的cleaner")
    assert history(ladder, number)[-1]["actor"] == "system"


def test_a_merged_grid_hands_over_what_is_open_in_it(
    ladder: Session, empty_services: Services
) -> None:
    numbers = [incident(ladder, empty_services), incident(ladder, empty_services, 1.98)]
    closed = incident(ladder, empty_services)
    void = Asked("merge", "重复", numbers[0])
    make_move(ladder, empty_services.desk, closed, void, DISPATCHER, NOW - timedelta(minutes=5))
    apply_plan(ladder, plan_merge(ladder, "B", "A", NOW))
    moved = hand_over_due(ladder, empty_services.desk, NOW)
    assert [item.number for item in moved] == sorted(numbers)
    assert {stands(ladder, number)[0] for number in numbers} == {"A"}
    assert stands(ladder, closed)[0] == "B"


def new_cleaner(session: Session, when: datetime, hand_over: str = "offered") -> None:
    frame = pd.DataFrame(
        [{"grid_code": "B", "cleaner": "Z-cleaner", "valid_from": when.isoformat()}]
    )
    report = load_crews(session, frame, NOW, time_zone="Asia/Shanghai", hand_over=hand_over)
    assert report.refused == []


@pytest.mark.parametrize(
    ("hand_over", "offered", "begun"),
    [("offered", "Z", "B"), ("all", "Z", "Z"), ("none", "B", "B")],
)
def test_a_post_handed_over_takes_its_open_tasks_along(
    ladder: Session, empty_services: Services, hand_over: str, offered: str, begun: str
) -> None:
    first, second = incident(ladder, empty_services), incident(ladder, empty_services)
    accept(ladder, empty_services, second, "B-cleaner")
    new_cleaner(ladder, SOON, hand_over)
    assert hand_over_due(ladder, empty_services.desk, SOON - timedelta(seconds=1)) == []
    moved = {item.number for item in hand_over_due(ladder, empty_services.desk, SOON)}
    assert stands(ladder, first)[1][0][0] == f"{offered}的cleaner"
    assert stands(ladder, second)[1][0][0] == f"{begun}的cleaner"
    assert moved == {n for n, who in ((first, offered), (second, begun)) if who == "Z"}
    assert hand_over_due(ladder, empty_services.desk, SOON + timedelta(days=1)) == []
    assert "follow_ground" not in moves(ladder, first)


def test_whom_the_dispatcher_chose_keeps_the_work(
    ladder: Session, empty_services: Services
) -> None:
    chosen = incident(ladder, empty_services)
    asked = Asked("reassign", "他在附近", staff_id(ladder, "Z-gardener"))
    make_move(ladder, empty_services.desk, chosen, asked, DISPATCHER, NOW - timedelta(minutes=5))
    lane_to_a(ladder, NOW)
    new_cleaner(ladder, NOW)
    hand_over_due(ladder, empty_services.desk, NOW)
    assert stands(ladder, chosen) == ("A", [("Z的gardener", "offered")])


def test_whoever_leaves_keeps_nothing(ladder: Session, empty_services: Services) -> None:
    begun = incident(ladder, empty_services)
    accept(ladder, empty_services, begun, "B-cleaner")
    ladder.execute(
        text("update staff set left_at = :at where staff_no = 'B-cleaner'"), {"at": SOON}
    )
    new_cleaner(ladder, SOON, "none")
    assert hand_over_due(ladder, empty_services.desk, NOW) == []
    (moved,) = hand_over_due(ladder, empty_services.desk, SOON)
    assert (moved.number, moved.to_person) == (begun, "Z的cleaner")
    assert stands(ladder, begun) == ("B", [("Z的cleaner", "offered")])


def test_by_command_a_moved_segment_takes_its_incident_along(
    town_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with town_services.sessions() as session:
        report = Report(
            channel="hotline_12345", description="永胜路与站前路交叉口东北角垃圾满溢", category=OVERFLOW
        )  # fmt: skip
        number = take_in(
            session, town_services.desk, report, "account:test", datetime.now(UTC)
        ).number
        row: dict[str, Any] = one_incident(session, number)
        other = session.scalar(
            text("select min(code) from grid where code <> :code and upper_inf(valid)"),
            {"code": row["grid_code"]},
        )
        session.commit()
    run = command_on(town_services, monkeypatch, capsys)
    words = ("grids", "move", str(row["segment_id"]), "--to", str(other), "--allow-disconnected")
    assert run(*words, "--hand-over", "some")[0] == 2
    code, told = run(*words)
    assert (code, [item["number"] for item in told["handed_over"]]) == (0, [number])
    with town_services.sessions() as session:
        assert one_incident(session, number)["grid_code"] == other
    for group in ("grids", "crews"):
        assert run(group, "hand-over") == (
            0,
            {"handed_over": [], "gone_on": [], "dry_run": False},
        )
