"""The bureau's rules over HTTP: changed from a day on, logged, seen at once by every process; nothing filed changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.services import Services, make_services
from dispatch.catalogue_edits import take_over
from tests.web import Office, office

OVERFLOW = "06042"


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def neighbour(town_services: Services) -> Iterator[Services]:
    """Another process on the same town: services of its own, that have read the rules already."""
    other = make_services(town_services.settings)
    with other.sessions() as session:
        other.desk.read(session)
    yield other
    other.engine.dispose()


def reported(desk: Office, category: str, **more: Any) -> dict[str, Any]:
    lon, lat = desk.ground_of("cleaner")
    body = {"channel": "patrol", "category": category, "description": "垃圾桶满溢",
            "location": {"lon": lon, "lat": lat, "datum": "wgs84"}, **more}  # fmt: skip
    answer = desk.post("operator", "/incidents", body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def limit_of(incident: dict[str, Any]) -> tuple[float, str]:
    clock = next(c for c in incident["clocks"] if c["kind"] == "disposal")
    return clock["value"], clock["unit"]


def told(desk: Office, method: str, path: str, body: Any = None, status: int = 204) -> Any:
    answer = desk.ask("admin", method, f"/admin{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def day(offset: int) -> str:
    from zoneinfo import ZoneInfo

    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    return (today + timedelta(days=offset)).isoformat()


def test_a_changed_limit_holds_for_what_is_filed_from_then_on(
    desk: Office, neighbour: Services
) -> None:
    before = reported(desk, OVERFLOW)
    assert limit_of(before) == (4.0, "working_hours")
    shown = next(c for c in told(desk, "GET", "/categories", status=200) if c["code"] == OVERFLOW)
    code = shown["conditions"][0]["code"]
    told(desk, "PATCH", f"/conditions/{code}", {"limit_value": 3, "limit_unit": "hours"})
    assert limit_of(reported(desk, OVERFLOW)) == (3.0, "hours")
    kept = desk.get("dispatcher", f"/incidents/{before['number']}").json()
    assert limit_of(kept) == (4.0, "working_hours")
    with neighbour.sessions() as session:
        _, rules = neighbour.desk.read(session)
        leading = rules.leading_condition(OVERFLOW, datetime.now(UTC))
    assert leading is not None
    assert (leading.limit.value, str(leading.limit.unit)) == (3.0, "hours")
    # Planned for next week: nothing changes today.
    told(desk, "PATCH", f"/conditions/{code}", {"limit_value": 1, "from": day(7)})
    assert limit_of(reported(desk, OVERFLOW)) == (3.0, "hours")
    shown = next(c for c in told(desk, "GET", "/categories", status=200) if c["code"] == OVERFLOW)
    assert [p["limit_value"] for p in shown["conditions"][0]["planned"]] == [1.0]
    newest = told(desk, "GET", "/changes?subject=condition", status=200)
    assert [(c["actor"], c["before"], c["after"]) for c in newest[:2]] == [
        ("account:admin", {"limit_value": 3.0}, {"limit_value": 1.0}),
        (
            "account:admin",
            {"limit_value": 4.0, "limit_unit": "working_hours"},
            {"limit_value": 3.0, "limit_unit": "hours"},
        ),
    ]


def test_a_category_changes_its_post_today_or_on_its_day(
    desk: Office, town_services: Services
) -> None:
    made = {"code": "99001", "name_zh": "试验", "name_en": "Trial", "post": "officer",
            "limit_value": 2, "limit_unit": "working_days"}  # fmt: skip
    told(desk, "POST", "/categories", made, 201)
    assert reported(desk, "99001")["tasks"][0]["post"] == "officer"
    told(desk, "PATCH", "/categories/99001", {"name_en": "Renamed", "from": day(3)})
    told(desk, "PATCH", "/categories/99001", {"post": "cleaner"})
    assert reported(desk, "99001")["tasks"][0]["post"] == "cleaner"

    def names(ended: bool = False) -> dict[str, str]:
        rows = desk.get("operator", f"/categories?ended={ended}").json()
        return {row["code"]: row["name_en"] for row in rows}

    assert names()["99001"] == "Trial"
    with town_services.sessions() as session:
        assert take_over(session, datetime.now(UTC)) == []
        # The planned name comes on its day, with the post that was changed meanwhile.
        assert take_over(session, datetime.now(UTC) + timedelta(days=4)) == ["99001"]
        row = session.execute(text("select name_en, post from category where code = '99001'")).one()
        assert tuple(row) == ("Renamed", "cleaner")
        session.rollback()
    shown = next(c for c in told(desk, "GET", "/categories", status=200) if c["code"] == "99001")
    assert [plan["change"] for plan in shown["planned"]] == [{"name_en": "Renamed"}]
    planned = desk.ask(
        "admin", "DELETE", "/admin/categories/99001/planned",
        params={"from": shown["planned"][0]["from"]},
    )  # fmt: skip
    assert planned.status_code == 204
    shown = next(c for c in told(desk, "GET", "/categories", status=200) if c["code"] == "99001")
    assert shown["planned"] == []


def test_an_ended_category_gives_way_to_another(desk: Office) -> None:
    made = {"code": "99002", "name_zh": "旧类", "name_en": "Old", "post": "officer",
            "limit_value": 2, "limit_unit": "working_days"}  # fmt: skip
    told(desk, "POST", "/categories", made, 201)
    old = reported(desk, "99002")
    told(desk, "POST", "/categories/99002/end", {"replaced_by": OVERFLOW})
    new = reported(desk, "99002")
    assert new["category"]["code"] == OVERFLOW
    assert "category.replaced" in [r["code"] for r in new["reasons"]]
    kept = desk.get("dispatcher", f"/incidents/{old['number']}").json()
    assert kept["category"]["code"] == "99002"
    codes = [row["code"] for row in desk.get("operator", "/categories").json()]
    assert "99002" not in codes
    looped = desk.ask(
        "admin", "POST", f"/admin/categories/{OVERFLOW}/end", json={"replaced_by": "99002"}
    )
    assert (looped.status_code, looped.json()["code"]) == (422, "category.replaced_by_itself")
    told(desk, "POST", "/categories/99002/end", {})
    lon, lat = desk.ground_of("cleaner")
    body = {
        "channel": "patrol",
        "category": "99002",
        "description": "旧类",
        "location": {"lon": lon, "lat": lat},
    }
    refused = desk.post("operator", "/incidents", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "category.ended")
    told(desk, "DELETE", "/categories/99002/end")
    assert reported(desk, "99002")["category"]["code"] == "99002"


def test_an_ended_category_is_suggested_to_nobody(desk: Office) -> None:
    def suggested() -> tuple[set[str], set[str]]:
        inside = desk.get("operator", "/categories/suggestions", params={"q": "乱贴小广告"}).json()
        outside = desk.client.get("/report/suggestions.json", params={"q": "乱贴小广告"}).json()
        return {each["code"] for each in inside["items"]}, {each["code"] for each in outside}

    posted_bills = "07001"
    assert all(posted_bills in codes for codes in suggested())
    told(desk, "POST", f"/categories/{posted_bills}/end", {})
    assert not any(posted_bills in codes for codes in suggested())
    told(desk, "DELETE", f"/categories/{posted_bills}/end")
    assert all(posted_bills in codes for codes in suggested())


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PATCH", "/categories/06042", {"post": "mayor"}, "category.post_unknown"),
        ("PATCH", "/categories/06042", {"support_posts": ["cleaner"]}, "category.support_unknown"),
        ("PATCH", "/categories/06042", {"name_en": " "}, "category.name_missing"),
        ("PATCH", "/categories/06042", {"from": "2020-01-01"}, "rules.from_past"),
        ("PATCH", "/categories/nothing", {"post": "officer"}, "category.unknown"),
        ("PATCH", "/conditions/06042-1", {"limit_value": -1}, "limit.value_bad"),
        ("PATCH", "/conditions/06042-1", {"limit_unit": "years"}, "limit.unit_unknown"),
        ("PUT", "/stage-limits", {"stage": "dinner", "value": 1, "unit": "hours"}, "limit.stage_unknown"),
        ("PUT", "/chase-rules", {"code": "x", "clock": "disposal", "share": 0.5, "after_value": 1,
                                 "after_unit": "hours", "tell": "leader"}, "chase.after_bad"),
        ("PUT", "/chase-rules", {"code": "x", "clock": "disposal", "share": 1, "tell": "king"},
         "chase.tell_unknown"),
        ("PUT", "/calendar/days/1999-01-01", {"is_workday": True, "name_zh": "x"},
         "calendar.year_outside"),
        ("DELETE", "/calendar/days/2026-11-24", None, "calendar.day_plain"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_reason(
    desk: Office, method: str, path: str, body: Any, code: str
) -> None:
    answer = desk.ask("admin", method, f"/admin{path}", json=body)
    assert answer.status_code in (404, 409, 422)
    assert answer.json()["code"] == code


def test_the_last_condition_of_a_category_stays(desk: Office) -> None:
    shown = next(
        c for c in told(desk, "GET", "/categories", status=200) if len(c["conditions"]) == 1
    )
    code = shown["conditions"][0]["code"]
    told(desk, "POST", f"/conditions/{code}/end", {}, 409)
    words = {
        "name_zh": "另一",
        "name_en": "Another",
        "limit_value": 5,
        "limit_unit": "natural_days",
    }
    made = told(desk, "POST", f"/categories/{shown['code']}/conditions", words, 201)["condition"]
    told(desk, "POST", f"/conditions/{code}/end", {})
    rows = told(desk, "GET", "/categories", status=200)
    again = next(c for c in rows if c["code"] == shown["code"])
    assert [c["code"] for c in again["conditions"]] == [made]


def test_limits_of_stages_and_rules_of_chasing(desk: Office) -> None:
    wanted = {"stage": "dispatch", "urgency": "emergency", "value": 7, "unit": "minutes"}
    told(desk, "PUT", "/stage-limits", wanted)
    told(desk, "PUT", "/stage-limits", {**wanted, "value": 6})  # twice on one day: the last counts
    told(desk, "PUT", "/stage-limits", {**wanted, "value": 5, "from": day(1)})
    rows = told(desk, "GET", "/stage-limits", status=200)
    found = next(r for r in rows if (r["stage"], r["urgency"]) == ("dispatch", "emergency"))
    assert (found["value"], [p["value"] for p in found["planned"]]) == (6.0, [5.0])
    rule = {"code": "mine", "clock": "disposal", "share": 0.5, "tell": "unit_head"}
    told(desk, "PUT", "/chase-rules", rule)
    told(desk, "PUT", "/chase-rules", {"code": "mine", "from": day(2)})
    rows = told(desk, "GET", "/chase-rules", status=200)
    found = next(r for r in rows if r["code"] == "mine")
    assert found["tell"] == "unit_head"
    assert found["to"] is not None
    assert desk.get("operator", "/incidents/queues").status_code == 200


def test_a_day_off_moves_what_is_due(desk: Office, town_services: Services) -> None:
    made = {"code": "99003", "name_zh": "工作日", "name_en": "Days", "post": "cleaner",
            "limit_value": 3, "limit_unit": "working_days"}  # fmt: skip
    told(desk, "POST", "/categories", made, 201)
    incident = reported(desk, "99003")
    due = datetime.fromisoformat(incident["due_at"])
    last = due.astimezone(town_services.desk.zone).date()
    told(desk, "PUT", f"/calendar/days/{last}", {"is_workday": False, "name_zh": "停电日"})
    from dispatch.chasing import sweep

    with town_services.sessions() as session:
        sweep(session, town_services.desk, datetime.now(UTC))
        session.commit()
    later = desk.get("dispatcher", f"/incidents/{incident['number']}").json()
    moved = datetime.fromisoformat(later["due_at"])
    assert moved > due
    assert (
        moved.astimezone(town_services.desk.zone).time()
        == due.astimezone(town_services.desk.zone).time()
    )
    told(desk, "DELETE", f"/calendar/days/{last}")
    told(desk, "PUT", "/calendar/2027", {"official": True})
    assert told(desk, "GET", "/calendar/2027", status=200)["official"] is True


def test_a_channel_loses_trust_and_gets_a_reply_limit(desk: Office) -> None:
    assert reported(desk, OVERFLOW, channel="media")["status"] == "in_disposal"
    told(
        desk,
        "PATCH",
        "/channels/media",
        {"trusted": False, "reply_value": 2, "reply_unit": "hours"},
    )
    waiting = reported(desk, OVERFLOW, channel="media")
    assert waiting["status"] == "reported"
    reply = next(c for c in waiting["clocks"] if c["kind"] == "reply")
    assert (reply["value"], reply["unit"]) == (2.0, "hours")
    told(desk, "PATCH", "/channels/media", {"trusted": True, "reply_unit": ""})
    again = reported(desk, OVERFLOW, channel="media")
    assert again["status"] == "in_disposal"
    assert "reply" not in {c["kind"] for c in again["clocks"]}
    newest = told(desk, "GET", "/changes?subject=channel&code=media", status=200)
    assert [c["after"]["trusted"] for c in newest] == [True, False]
    for body, code in (
        ({"datum": "mars"}, "datum.unknown"),
        ({"reply_value": 0, "reply_unit": "hours"}, "limit.value_bad"),
    ):
        answer = desk.ask("admin", "PATCH", "/admin/channels/media", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
