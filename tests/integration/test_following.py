"""Open incidents after a change of people or ground: what waited for somebody goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.jobs import PERIODIC
from api.services import Services
from dispatch.checking import check_record
from dispatch.following import follow_changes, go_on_waiting
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import history_of, one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, make_move
from grid.loading.people import load_crews, load_staff
from tests.ground import LADDER, MORNING, at, load_lines, two_grids

NOW = datetime.now(UTC).replace(microsecond=0)
OVERFLOW = "06042"
DISPATCHER = Actor("account:dispatcher", "dispatcher", None)
POSTS = ("officer", "cleaner", "gardener", "maintainer")


@pytest.fixture
def nobody(empty_services: Services) -> Iterator[Session]:
    """The drawn town with its streets and people, but no grid and no post held; rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        people = [(f"B-{post}", f"B的{post}", post, "局") for post in POSTS]
        load_staff(session, pd.DataFrame(people, columns=["staff_no", "name", "post", "unit"]))
        yield session
        session.rollback()


def incident(session: Session, services: Services) -> str:
    """A full bin on 二巷, which grid B will hold."""
    report = Report(
        channel="hotline_12345", description="垃圾满溢", category=OVERFLOW,
        point=GivenPoint(*at(0.98, 0.5), "wgs84"),
    )  # fmt: skip
    return take_in(session, services.desk, report, "account:test", NOW - timedelta(hours=1)).number


def hold(session: Session, valid_from: datetime = MORNING) -> None:
    rows = pd.DataFrame([{"grid_code": "B"} | {post: f"B-{post}" for post in POSTS}])
    assert load_crews(session, rows, valid_from, time_zone="Asia/Shanghai").refused == []


def codes(session: Session, number: str) -> list[str]:
    return [item["code"] for item in one_incident(session, number)["reason"]]


def test_what_had_nobody_goes_on_when_its_post_is_filled(
    nobody: Session, empty_services: Services
) -> None:
    two_grids(nobody, MORNING)
    number = incident(nobody, empty_services)
    waiting = one_incident(nobody, number)
    assert (waiting["status"], waiting["queue"]) == ("filed", "to_dispatch")
    assert "person.none" in codes(nobody, number)
    assert go_on_waiting(nobody, empty_services.desk, NOW) == []
    hold(nobody)
    assert follow_changes(nobody, empty_services.desk, NOW).gone_on == [number]
    row = one_incident(nobody, number)
    assert (row["status"], row["queue"]) == ("in_disposal", None)
    (task,) = [task for task in row["tasks"] if task["lead"]]
    assert (task["assignee_name"], task["status"]) == ("B的cleaner", "offered")
    assert "person.none" not in codes(nobody, number)
    assert {"person.holder", "post.by_category"} <= set(codes(nobody, number))
    lines = sorted(history_of(nobody, row["id"]), key=lambda line: line["seq"])
    assert [(line["move"], line["actor"]) for line in lines[-2:]] == [
        ("dispatch", "system"),
        ("assign", "system"),
    ]
    told = text("select count(*) from notice where kind = 'task_offered' and incident_id = :id")
    assert nobody.scalar(told, {"id": row["id"]}) == 1
    assert check_record(nobody) == []
    assert follow_changes(nobody, empty_services.desk, NOW).gone_on == []


def test_what_lay_in_no_grid_goes_on_when_grids_come_with_their_people(
    nobody: Session, empty_services: Services
) -> None:
    number = incident(nobody, empty_services)
    assert one_incident(nobody, number)["grid_code"] is None
    two_grids(nobody, MORNING)
    followed = follow_changes(nobody, empty_services.desk, NOW)
    assert [item.number for item in followed.moved] == [number]
    assert followed.gone_on == []
    hold(nobody)
    assert follow_changes(nobody, empty_services.desk, NOW).gone_on == [number]
    row = one_incident(nobody, number)
    assert (row["grid_code"], row["status"]) == ("B", "in_disposal")
    assert "grid.none" not in codes(nobody, number)
    assert check_record(nobody) == []


def test_a_post_that_is_filled_later_takes_up_the_work_at_its_date(
    nobody: Session, empty_services: Services
) -> None:
    two_grids(nobody, MORNING)
    number = incident(nobody, empty_services)
    later = NOW + timedelta(days=3)
    hold(nobody, later)
    assert follow_changes(nobody, empty_services.desk, NOW).gone_on == []
    moment = later + timedelta(minutes=1)
    assert follow_changes(nobody, empty_services.desk, moment).gone_on == [number]
    assert {"follow_changes", "keep_territory"} <= {name for name, _, _ in PERIODIC}


def test_what_a_person_returned_stays_with_the_dispatcher(
    nobody: Session, empty_services: Services
) -> None:
    two_grids(nobody, MORNING)
    number = incident(nobody, empty_services)
    gardener = nobody.scalar(text("select id from staff where staff_no = 'B-gardener'"))
    moment = NOW - timedelta(minutes=50)
    desk = empty_services.desk
    make_move(nobody, desk, number, Asked("dispatch", to=gardener), DISPATCHER, moment)
    actor = Actor("account:gardener", "gardener", gardener)
    make_move(nobody, desk, number, Asked("return_task", note="不归我"), actor, moment)
    assert one_incident(nobody, number)["queue"] == "returned"
    hold(nobody)
    assert follow_changes(nobody, desk, NOW).gone_on == []
    assert one_incident(nobody, number)["queue"] == "returned"
