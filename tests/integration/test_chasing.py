"""Chasing: each is told once, at the moment worked out by hand; what nobody accepts comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.chasing import Swept, sweep
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import history_of, one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, PlaceGiven, fix_place, make_move
from tests.ground import MORNING

OVERFLOW, GRATE = "06042", "01004"
CHIEF = Actor("account:watch_chief", "watch_chief", None)
DISPATCHER = Actor("account:dispatcher", "dispatcher", None)
LEADER = Actor("account:leader", "leader", None)


@pytest.fixture
def town(town_services: Services) -> Iterator[Session]:
    """The invented town without the past's open incidents, so that only ours are swept."""
    with town_services.sessions() as session:
        session.execute(text("update incident set ended_at = now() where ended_at is null"))
        yield session
        session.rollback()


def on_ground(session: Session, post: str = "cleaner") -> tuple[int, GivenPoint]:
    """A holder of a post with a leader above, and the middle of a segment of the grid."""
    row = session.execute(
        text(
            "select p.staff_id, st_x(m) as lon, st_y(m) as lat from post_holding p"
            " join grid_segment h on h.grid_id = p.grid_id and upper_inf(h.valid)"
            " join segment s on s.id = h.segment_id and s.gone_at is null"
            " cross join lateral st_lineinterpolatepoint(s.line, 0.5) m"
            " where p.post = :post and upper_inf(p.valid) order by p.grid_id, s.length_m desc limit 1"
        ),
        {"post": post},
    ).one()
    return row.staff_id, GivenPoint(row.lon, row.lat, "wgs84")


def taken(
    services: Services, session: Session, category: str = OVERFLOW, **more: Any
) -> dict[str, Any]:
    _, point = on_ground(session)
    values = {"channel": "patrol", "description": "", "category": category, "point": point} | more
    made = take_in(session, services.desk, Report(**values), "account:test", MORNING)
    return one_incident(session, made.number)


def person(row: dict[str, Any]) -> Actor:
    lead = row["tasks"][-1]
    return Actor("account:crew", lead["post"], lead["assignee_id"])


def told(session: Session, incident_id: int) -> list[tuple[str, str, datetime]]:
    """rule, whom, when; of an incident."""
    rows = session.execute(
        text(
            "select r.code, r.tell, c.told_at from chase c join chase_rule r on r.id = c.rule_id"
            " where c.incident_id = :id order by c.told_at, r.code"
        ),
        {"id": incident_id},
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def swept(services: Services, session: Session, at: datetime) -> Swept:
    return sweep(session, services.desk, at)


def test_each_rule_tells_once_at_its_moment(town_services: Services, town: Session) -> None:
    # Wednesday 09:00, urgent, four working hours: amber 14:12, due 15:00, the leader an hour of
    # office time later, the leader above a working day after the limit: Thursday 15:00.
    row = taken(town_services, town)
    make_move(town, town_services.desk, row["number"], Asked("accept_task"), person(row), MORNING)
    day = MORNING.replace(hour=0)
    moments = {
        day.replace(hour=14, minute=11): [],
        day.replace(hour=14, minute=12): ["disposal_warning"],
        day.replace(hour=14, minute=59): [],
        day.replace(hour=15): ["disposal_overdue", "disposal_overdue_unit"],
        day.replace(hour=15, minute=59): [],
        day.replace(hour=16): ["disposal_overdue_leader"],
        day.replace(day=5, hour=14, minute=59): [],
        day.replace(day=5, hour=15): ["disposal_overdue_above"],
        day.replace(day=9, hour=15): [],
    }
    seen: list[tuple[str, datetime]] = []
    for moment, rules in moments.items():
        swept(town_services, town, moment)
        again = swept(town_services, town, moment)
        assert again.told == 0
        seen += [(rule, moment) for rule in rules]
        assert [(rule, at) for rule, _, at in told(town, row["id"])] == seen


def test_the_warning_reaches_the_person_and_the_escalation_those_above(
    town_services: Services, town: Session
) -> None:
    row = taken(town_services, town)
    me = row["tasks"][0]["assignee_id"]
    make_move(town, town_services.desk, row["number"], Asked("accept_task"), person(row), MORNING)
    swept(town_services, town, MORNING + timedelta(days=3))
    rows = town.execute(
        text(
            "select detail->>'rule' as rule, staff_id from notice"
            " where incident_id = :id and kind like 'disposal%'"
        ),
        {"id": row["id"]},
    ).all()
    people = {notice.rule: notice.staff_id for notice in rows}
    leader = town.execute(
        text(
            "select l.staff_id, s.reports_to from incident i join post_holding l"
            " on l.grid_id = i.grid_id and l.post = 'leader' join staff s on s.id = l.staff_id"
            " where i.id = :id"
        ),
        {"id": row["id"]},
    ).one()
    head = town.scalar(
        text(
            "select h.id from staff s join staff h on h.unit_id = s.unit_id and h.heads_unit"
            " where s.id = :me"
        ),
        {"me": me},
    )
    assert people["disposal_warning"] == people["disposal_overdue"] == me
    assert people.get("disposal_overdue_unit") == head
    assert people["disposal_overdue_leader"] == leader.staff_id
    assert people.get("disposal_overdue_above") == leader.reports_to
    after = one_incident(town, row["number"])
    assert after["queue"] == "overdue"


def test_extension_brings_new_moments_and_work_done_none(
    town_services: Services, town: Session
) -> None:
    desk = town_services.desk
    row = taken(town_services, town)
    me, number = person(row), row["number"]
    make_move(town, desk, number, Asked("accept_task"), me, MORNING)
    half_past_two = MORNING.replace(hour=14, minute=30)
    swept(town_services, town, half_past_two)
    make_move(town, desk, number, Asked("ask_extension", note="x"), me, half_past_two)
    make_move(town, desk, number, Asked("grant_extension"), CHIEF, half_past_two)
    # Eight hours now: due Thursday 09:00, amber at 384 minutes: 17:24.
    assert one_incident(town, number)["due_at"] == MORNING.replace(day=5)
    assert swept(town_services, town, MORNING.replace(hour=17, minute=23)).told == 0
    assert swept(town_services, town, MORNING.replace(hour=17, minute=24)).told == 1
    make_move(town, desk, number, Asked("supervise"), LEADER, MORNING.replace(hour=17, minute=30))
    town.execute(
        text(
            "insert into evidence (incident_id, stage, sha256, media_type, size_bytes, actor,"
            " received_at) values (:id, 'after', 'x', 'image/jpeg', 1, 'x', :at)"
        ),
        {"id": row["id"], "at": MORNING},
    )
    make_move(town, desk, number, Asked("finish_task"), me, MORNING.replace(hour=17, minute=40))
    rules = {rule for rule, _, _ in told(town, row["id"])}
    swept(town_services, town, MORNING + timedelta(days=5))
    later = {rule for rule, _, _ in told(town, row["id"])} - rules
    assert later == {"check_overdue"}


def test_what_nobody_accepts_comes_back_to_the_dispatcher(
    town_services: Services, town: Session
) -> None:
    # Urgent: an hour of office time to accept, from 09:00 to 10:00.
    row = taken(town_services, town)
    assert row["tasks"][0]["accept_by"] == MORNING.replace(hour=10)
    assert swept(town_services, town, MORNING.replace(hour=9, minute=59)).lapsed == 0
    assert swept(town_services, town, MORNING.replace(hour=10)).lapsed == 1
    assert swept(town_services, town, MORNING.replace(hour=10)).lapsed == 0
    after = one_incident(town, row["number"])
    assert (after["status"], after["queue"]) == ("filed", "not_accepted")
    assert [task["status"] for task in after["tasks"]] == ["lapsed"]
    lines = [(line["move"], line["actor"]) for line in history_of(town, row["id"])][-2:]
    assert lines == [("lapse_task", "system"), ("not_accepted", "system")]
    # Its disposal clock runs on: the dispatcher's choice of a person gives nothing back.
    assert after["due_at"] == MORNING.replace(hour=15)


def test_two_sweeps_at_once_tell_each_once(town_services: Services) -> None:
    with town_services.sessions() as session:
        session.execute(text("update incident set ended_at = now() where ended_at is null"))
        numbers = [taken(town_services, session)["id"] for _ in range(30)]
        session.execute(text("update chase_plan set wake_at = null"))
        session.commit()
    due = MORNING.replace(hour=15)
    together, failures = threading.Barrier(4), []

    def run() -> None:
        try:
            with town_services.sessions() as session:
                together.wait()
                sweep(session, town_services.desk, due)
                session.commit()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with town_services.sessions() as session:
        sweep(session, town_services.desk, due)
        session.commit()
        counts = session.execute(
            text(
                "select incident_id, detail->>'rule' as rule, count(*) as n from notice"
                " where incident_id = any(:ids) and kind like 'disposal%' group by 1, 2"
            ),
            {"ids": numbers},
        ).all()
    assert failures == []
    assert {row.n for row in counts} == {1}
    assert {row.incident_id for row in counts} == set(numbers)


def test_a_sweep_that_dies_is_made_again(town_services: Services, town: Session) -> None:
    row = taken(town_services, town)
    make_move(town, town_services.desk, row["number"], Asked("accept_task"), person(row), MORNING)
    broken = town.begin_nested()
    assert swept(town_services, town, MORNING.replace(hour=14, minute=12)).told == 1
    broken.rollback()
    assert swept(town_services, town, MORNING.replace(hour=14, minute=12)).told == 1
    assert swept(town_services, town, MORNING.replace(hour=14, minute=12)).told == 0


# A place or category corrected while the work is under way.


def other_ground(session: Session, grid: str, post: str) -> tuple[str, GivenPoint, int]:
    row = session.execute(
        text(
            "select g.code, p.staff_id, st_x(m) as lon, st_y(m) as lat from grid g"
            " join post_holding p on p.grid_id = g.id and p.post = :post and upper_inf(p.valid)"
            " join grid_segment h on h.grid_id = g.id and upper_inf(h.valid)"
            " join segment s on s.id = h.segment_id and s.gone_at is null"
            " cross join lateral st_lineinterpolatepoint(s.line, 0.5) m"
            " where g.code <> :grid and p.staff_id not in (select q.staff_id from post_holding q"
            " join grid a on a.id = q.grid_id where a.code = :grid)"
            " order by g.code desc, s.length_m desc limit 1"
        ),
        {"grid": grid, "post": post},
    ).one()
    return row.code, GivenPoint(row.lon, row.lat, "wgs84"), row.staff_id


def test_a_corrected_place_gives_the_work_to_the_right_person(
    town_services: Services, town: Session
) -> None:
    row = taken(town_services, town)
    before = row["tasks"][0]["assignee_id"]
    grid, point, _ = other_ground(town, row["grid_code"], "cleaner")
    at = MORNING + timedelta(minutes=30)
    fix_place(
        town, town_services.desk, row["number"], PlaceGiven(point, None, None, None), DISPATCHER, at
    )
    after = one_incident(town, row["number"])
    assert after["grid_code"] == grid
    assert (after["status"], after["queue"]) == ("in_disposal", None)
    assert [task["status"] for task in after["tasks"]] == ["withdrawn", "offered"]
    new = after["tasks"][1]["assignee_id"]
    assert new != before
    answering = town.scalar(
        text(
            "select p.staff_id from post_holding p join grid g on g.id = p.grid_id"
            " where g.code = :grid and p.post = 'cleaner' and upper_inf(p.valid)"
        ),
        {"grid": grid},
    )
    assert new == answering
    assert after["reason"][-1]["code"] == "task.rerouted"
    assert [line["move"] for line in history_of(town, row["id"])][-2:] == ["set_place", "reroute"]
    told_off = town.execute(
        text("select staff_id, kind from notice where incident_id = :id order by id"),
        {"id": row["id"]},
    ).all()
    assert (before, "task_withdrawn") in [tuple(n) for n in told_off]
    assert (new, "task_offered") in [tuple(n) for n in told_off]


def test_a_place_corrected_within_the_grid_leaves_the_task_alone(
    town_services: Services, town: Session
) -> None:
    row = taken(town_services, town)
    _, point = on_ground(town)
    near = GivenPoint(point.lon + 0.00002, point.lat, "wgs84")
    given = PlaceGiven(near, None, None, None)
    fix_place(town, town_services.desk, row["number"], given, DISPATCHER, MORNING)
    after = one_incident(town, row["number"])
    assert [task["status"] for task in after["tasks"]] == ["offered"]


def test_a_corrected_category_gives_the_work_to_the_right_post(
    town_services: Services, town: Session
) -> None:
    row = taken(town_services, town)
    asked = Asked("set_category", note="是箅子坏了", category=GRATE)
    at = MORNING + timedelta(minutes=30)
    make_move(town, town_services.desk, row["number"], asked, DISPATCHER, at)
    after = one_incident(town, row["number"])
    assert [(task["post"], task["status"]) for task in after["tasks"]] == [
        ("cleaner", "withdrawn"),
        ("maintainer", "offered"),
        ("cleaner", "waiting"),
    ]
    lead = next(task for task in after["tasks"] if task["status"] == "offered")
    assert (lead["post"], lead["lead"]) == ("maintainer", True)
    # Another unit begins anew with the new limit: two hours round the clock from 09:30.
    assert after["due_at"] == at + timedelta(hours=2)
