"""The evaluation over HTTP: five incidents walked by hand, every count and rate worked out by hand, and the pages of it.

All are reported on Monday 2026-03-02 at nine to the second with four working hours (due 15:00); a check has an hour.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from api.services import Services
from tests.acceptance.test_walks import OVERFLOW, WEEK, Walk, to_checking
from tests.web import Office, office

NINE = {"from": "2026-03-02T09:00:00+08:00", "to": "2026-03-02T09:00:01+08:00"}
LATER, NOON = "2026-03-03T08:00:00+08:00", "2026-03-02T12:20:00+08:00"


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        for role in ("operator", "collector", "watch_chief", "evaluator", "leader", "cleaner"):
            opened.token(role)
        with town_services.sessions() as session:
            session.execute(text("update access_key set expires_at = '2100-01-01'"))
            session.commit()
        yield opened
        opened.client.app.dependency_overrides.clear()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def walked(desk: Office) -> dict[str, Walk]:
    plain = to_checking(desk)
    plain.go("03-02 12:10", "collector", "check_passed")
    plain.go("03-02 12:30", "watch_chief", "close", condition="06042-1")
    again = to_checking(desk)
    again.go("03-02 12:10", "collector", "check_failed", note="桶边还有")
    again.go("03-02 15:00", "cleaner", "finish_task")
    again.go("03-02 16:30", "collector", "check_passed")
    again.go("03-02 16:40", "watch_chief", "close", condition="06042-1")
    late = Walk(desk, OVERFLOW, WEEK, "cleaner")
    late.clock("03-02 15:05")
    late.photograph("cleaner")
    late.go("03-02 15:10", "cleaner", "finish_task")
    late.go("03-02 15:30", "collector", "check_passed")
    late.go("03-02 16:00", "watch_chief", "close", condition="06042-1")
    untouched = Walk(desk, OVERFLOW, WEEK, "cleaner")
    returned = Walk(desk, OVERFLOW, WEEK, "cleaner")
    returned.go("03-02 09:30", "cleaner", "return_task", note="不归我管")
    returned.clock("03-04 09:00")
    return {"plain": plain, "again": again, "late": late, "open": untouched, "back": returned}


def asked(desk: Office, **more: Any) -> Any:
    answer = desk.get("evaluator", "/evaluation", params={**NINE, "category": OVERFLOW, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def rate(figures: Any, name: str) -> tuple[int, int]:
    found = figures["indicators"][name]
    return found["numerator"], found["denominator"]


def test_every_count_of_five_incidents(desk: Office, walked: dict[str, Walk]) -> None:
    total = asked(desk, at=LATER)["total"]
    counts = total["counts"]
    # The one that came back has no running limit, so it is not due.
    assert (counts["reported"], counts["filed"], counts["due"], counts["closed"]) == (5, 5, 4, 3)
    assert (counts["closed_on_time"], counts["closed_late"]) == (2, 1)
    assert rate(total, "closing_rate") == (3, 4)
    assert total["indicators"]["closing_rate"]["value"] == 0.75
    assert rate(total, "on_time_closing_rate") == (2, 4)
    assert rate(total, "on_time_disposal_rate") == (2, 4)
    # Late done, and never done.
    assert rate(total, "overdue_rate") == (2, 4)
    assert rate(total, "rework_rate") == (1, 4)
    assert rate(total, "on_time_dispatch_rate") == (5, 5)
    assert rate(total, "dispatch_accuracy") == (5, 5)
    # 40 minutes twice, 90 minutes once after the rework, 20 minutes.
    assert rate(total, "on_time_check_rate") == (3, 4)
    assert rate(total, "valid_report_rate") == (5, 5)
    assert total["indicators"]["satisfaction_rate"]["value"] is None
    # From the sending out at nine: 150, 360 and 370 minutes.
    assert total["mean_disposal_minutes"] == 293.33
    assert total["median_disposal_minutes"] == 360


def test_as_it_stood_at_noon(desk: Office, walked: dict[str, Walk]) -> None:
    total = asked(desk, at=NOON)["total"]
    counts = total["counts"]
    assert (counts["due"], counts["disposed"], counts["closed"], counts["overdue"]) == (1, 1, 0, 0)
    assert rate(total, "on_time_check_rate") == (2, 2)
    assert counts["rework_times"] == 1


def test_whose_they_are_and_the_cases_behind(desk: Office, walked: dict[str, Walk]) -> None:
    me = desk.get("cleaner", "/me").json()
    by_person = asked(desk, at=LATER, by="person")["rows"]
    assert [(row["key"], row["name"]) for row in by_person] == [(str(me["staff_id"]), me["name"])]
    (post,) = asked(desk, at=LATER, by="post", lang="en")["rows"]
    assert (post["key"], post["name"], post["counts"]["due"]) == ("cleaner", "Cleaner", 4)
    (grid,) = asked(desk, at=LATER, by="grid")["rows"]
    assert grid["key"] == walked["plain"].body["grid"]["code"]
    found = desk.get(
        "evaluator", "/evaluation/cases",
        params={**NINE, "category": OVERFLOW, "at": LATER, "key": grid["key"], "count": "overdue"},
    ).json()  # fmt: skip
    numbers = [walked[name].number for name in ("late", "open")]
    assert (found["total"], found["numbers"]) == (2, numbers)


def test_the_sheet_has_every_number(desk: Office, walked: dict[str, Walk]) -> None:
    day = {"from": "2026-03-02", "to": "2026-03-02", "category": OVERFLOW, "by": "post"}
    token = {"Authorization": f"Bearer {desk.token('evaluator')}", "Accept-Language": "en"}
    answer = desk.client.get("/evaluation.csv", params=day, headers=token)
    assert answer.status_code == 200, answer.text
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[-1]["Name"] == "Total"
    # The invented town may have had more of these on that day.
    assert int(rows[-1]["Closed"]) >= 3
    assert rows[-1]["Closing rate (numerator)"] == rows[-1]["Closed"]
    assert rows[-1]["Closing rate (denominator)"] == rows[-1]["Due"]
    assert sum(int(row["Reported"]) for row in rows[:-1]) == int(rows[-1]["Reported"])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"by": "street"}, "evaluation.by_unknown"),
        ({"from": "yesterday"}, "export.moment_unreadable"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "evaluation.period_turned"),
        ({"category": "a\x00b"}, "report.unreadable"),
    ],
)
def test_a_wrong_question_is_told(desk: Office, wrong: dict[str, str], code: str) -> None:
    answer = desk.get("evaluator", "/evaluation", params=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_leader_is_told_of_their_own_line(desk: Office, walked: dict[str, Walk]) -> None:
    mine = desk.get("leader", "/evaluation", params={"from": "2026-01-01", "by": "grid"}).json()
    whole = desk.get("evaluator", "/evaluation", params={"from": "2026-01-01", "by": "grid"}).json()
    grids = {row["key"] for row in mine["rows"]}
    assert grids < {row["key"] for row in whole["rows"]}
    same = {"from": mine["from"], "to": mine["to"], "page_size": 1}
    listed = desk.get("leader", "/incidents", params=same).json()
    assert mine["total"]["counts"]["reported"] == listed["total"]
    assert datetime.fromisoformat(mine["from"]) == datetime.fromisoformat("2026-01-01T00:00+08:00")
