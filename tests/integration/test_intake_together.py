"""Reports that come at the same time are taken in as if each had come alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.checking import check_record
from dispatch.intake import take_in, take_in_together
from dispatch.placement import GivenPoint
from dispatch.reading import history_of, one_incident
from dispatch.reports import Arrival, Report, Taken
from grid.core.errors import Trouble
from tests.ground import MORNING

SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"
# Each takes another way: to a person's phone, by a channel that waits, without a place, category or reporter.
REPORTS = (
    Report("hotline_12345", SENTENCE, "06042", reporter_name="张", reporter_phone="13800000000"),
    Report("hotline_12345", "没有这个地方", "06042"),
    Report("citizen", SENTENCE, "06042"),
    Report("hotline_12345", "站前路12号门前路面破损", None, external_id="together-1"),
    Report("patrol", "", "06042", point=GivenPoint(0.0, 0.0, "wgs84")),
    Report("hotline_12345", "永胜路与站前路交叉口西南角路灯不亮", "01004", address="永胜路"),
)
# What differs between two of the same report by its nature.
OWN = frozenset({"id", "number", "external_id", "version", "tasks"})


def arrivals(*reports: Report) -> list[Arrival]:
    return [Arrival(each, "account:test", MORNING) for each in reports]


def shown(session: Session, number: str) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """An incident without what is its own, its tasks and the moves of its history."""
    row = one_incident(session, number)
    tasks = [
        {k: v for k, v in task.items() if k not in ("id", "incident_id")} for task in row["tasks"]
    ]
    lines = [
        (line["move"], line["actor"], line["to_status"]) for line in history_of(session, row["id"])
    ]
    return {k: v for k, v in row.items() if k not in OWN}, tasks, lines


def test_together_they_become_what_each_would_have_become_alone(
    town_services: Services, session: Session
) -> None:
    desk = town_services.desk
    together = take_in_together(session, desk, arrivals(*REPORTS))
    made = [one for one in together if isinstance(one, Taken)]
    assert len(made) == len(REPORTS) == len({one.number for one in made})
    for report, one in zip(REPORTS, made, strict=True):
        again = Report(**{**_fields(report), "external_id": None})
        alone = take_in(session, desk, again, "account:test", MORNING)
        assert shown(session, one.number) == shown(session, alone.number)
        parts = session.execute(
            text(
                "select (select count(*) from reporter where incident_id = :id),"
                " (select count(*) from live_event where incident_id = :id),"
                " (select count(*) from chase_plan where incident_id = :id)"
            ),
            {"id": one.incident_id},
        ).one()
        assert tuple(parts) == (int(report.reporter_name is not None), 1, 1)
    assert [f for f in check_record(session) if f.code.startswith("record.history")] == []


def test_what_is_wrong_with_one_keeps_no_other_from_being_taken_in(
    town_services: Services, session: Session
) -> None:
    good = Report("hotline_12345", SENTENCE, "06042")
    wrong = [Report("hotline_12345", "  "), Report("no such", "x"), Report("patrol", "x", "99999")]
    found = take_in_together(
        session, town_services.desk, arrivals(wrong[0], good, *wrong[1:], good)
    )
    codes = [one.code if isinstance(one, Trouble) else type(one).__name__ for one in found]
    assert codes == [
        *("report.empty", "Taken", "channel.unknown", "category.unknown", "Taken"),
    ]


def test_the_same_report_twice_at_once_is_one_incident(
    town_services: Services, session: Session
) -> None:
    same = Report("hotline_12345", SENTENCE, "06042", idempotency_key="together-k")
    other = Report("hotline_12345", "另一件事", "06042", idempotency_key="together-k")
    first, second, third = take_in_together(
        session, town_services.desk, arrivals(same, same, other)
    )
    assert isinstance(first, Taken)
    assert isinstance(second, Taken)
    assert (first.created, second.created) == (True, False)
    assert first.number == second.number
    assert isinstance(third, Trouble)
    assert third.code == "incident.key_reused"


def test_a_machine_that_comes_in_company_waits_for_the_others_and_then_finds_what_it_repeats(
    town_services: Services, session: Session
) -> None:
    desk = town_services.desk
    seen = Report("camera", SENTENCE, "06042")
    person = Report("hotline_12345", SENTENCE, "06042")
    waits, taken, waits_too = take_in_together(session, desk, arrivals(seen, person, seen))
    assert (waits, waits_too) == (None, None)
    assert isinstance(taken, Taken)
    repeated = take_in(session, desk, seen, "account:test", MORNING)
    assert (repeated.created, repeated.number) == (False, taken.number)


def _fields(report: Report) -> dict[str, Any]:
    return {name: getattr(report, name) for name in report.__slots__}
