"""The dispatcher's desk over HTTP: many moves at once, saved filters, presence, marks, neighbours, hand-over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.services import Services
from dispatch import overview
from tests.acceptance.site import category_of, report_at, spot_of
from tests.web import Office, office


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def numbers(town_services: Services) -> list[str]:
    """Three incidents of one cleaner's grid and one that waits for its place."""
    spot, cleaning = spot_of(town_services), category_of(town_services, "cleaner")
    placed = [report_at(town_services, spot, f"第{n}处垃圾满溢", cleaning) for n in range(3)]
    return [*placed, report_at(town_services, None, "那边很脏", cleaning)]


def version(desk: Office, number: str) -> int:
    found: int = desk.get("dispatcher", f"/incidents/{number}").json()["version"]
    return found


def bulk(desk: Office, role: str = "dispatcher", **body: Any) -> dict[str, Any]:
    answer = desk.post(role, "/incidents/moves", body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_each_of_many_has_its_own_result_and_none_is_half_done(
    desk: Office, numbers: list[str]
) -> None:
    before = {number: version(desk, number) for number in numbers}
    asked = [numbers[0], "20200101-999999", numbers[3], numbers[1], numbers[0]]
    answer = bulk(desk, numbers=asked, move="give", post="officer", note="请城管先看")
    results = {each["number"]: each for each in answer["results"]}
    # Once each, in the order asked.
    assert list(results) == [numbers[0], "20200101-999999", numbers[3], numbers[1]]
    assert answer["done"] == 2
    assert results[numbers[0]]["done"]
    assert results["20200101-999999"]["code"] == "incident.unknown"
    assert not results[numbers[3]]["done"]
    assert version(desk, numbers[3]) == before[numbers[3]]
    for number in (numbers[0], numbers[1]):
        incident = desk.get("dispatcher", f"/incidents/{number}").json()
        crew = desk.get("dispatcher", f"/grids/{incident['grid']['code']}/crew").json()
        officer = crew["posts"]["officer"]["answering"]["name"]
        running = [t["assignee"]["name"] for t in incident["tasks"] if t["status"] == "offered"]
        assert officer in running
        notes = [
            line["note"] for line in desk.get("dispatcher", f"/incidents/{number}/history").json()
        ]
        assert "请城管先看" in notes


def test_what_changed_since_it_was_seen_is_left_alone(desk: Office, numbers: list[str]) -> None:
    seen = version(desk, numbers[2])
    assert bulk(desk, numbers=[numbers[2]], move="note", note="别人更快")["done"] == 1
    late = bulk(desk, numbers=numbers[1:3], move="note", note="迟了", versions={numbers[2]: seen})
    assert late["done"] == 1
    assert late["results"][1]["code"] == "incident.changed"


def test_many_are_moved_only_by_those_who_may(desk: Office, numbers: list[str]) -> None:
    body = {"numbers": numbers[:1], "move": "give", "post": "officer", "note": "x"}
    assert desk.post("analyst", "/incidents/moves", body).status_code == 403
    assert desk.post(None, "/incidents/moves", body).status_code == 401
    # A gardener does not even learn that another's incident exists.
    answer = bulk(desk, "gardener", numbers=numbers[:1], move="note", note="x")
    assert answer["results"][0]["code"] in ("incident.unknown", "move.not_yours")


def test_filters_are_saved_shared_replaced_and_taken_away(desk: Office) -> None:
    body = {"name": "我的待派遣", "query": {"queue": "to_dispatch", "status": "open"}}
    made = desk.post("dispatcher", "/saved-filters", {**body, "shared": "nobody"}).json()
    seen_by = lambda role: [f["name"] for f in desk.get(role, "/saved-filters").json()]  # noqa: E731
    assert seen_by("dispatcher") == ["我的待派遣"]
    assert seen_by("operator") == []
    again = desk.post("dispatcher", "/saved-filters", {**body, "shared": "desk"}).json()
    assert again["id"] == made["id"]
    shared = desk.get("operator", "/saved-filters").json()
    assert [(f["name"], f["own"], f["query"]) for f in shared] == [
        ("我的待派遣", False, body["query"])
    ]
    assert desk.ask("operator", "DELETE", f"/saved-filters/{made['id']}").status_code == 404
    assert desk.ask("dispatcher", "DELETE", f"/saved-filters/{made['id']}").status_code == 204
    assert seen_by("operator") == []
    wrong = desk.post("dispatcher", "/saved-filters", {"name": "x", "query": {"page_size": "9"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "filter.unknown")


def test_it_is_seen_who_else_has_an_incident_open_and_when_they_have_gone(
    desk: Office, numbers: list[str], town_services: Services
) -> None:
    path = f"/incidents/{numbers[0]}/presence"
    assert desk.post("dispatcher", path, {}).json() == []
    others = desk.post("operator", path, {}).json()
    assert [each["role"] for each in others] == ["dispatcher"]
    desk.post("dispatcher", path, {"open": False})
    assert desk.post("operator", path, {}).json() == []
    # Whoever fell silent is gone too.
    with town_services.sessions() as session:
        session.execute(text("update presence set seen_at = seen_at - interval '1 minute'"))
        session.commit()
    assert desk.post("dispatcher", path, {}).json() == []
    assert desk.post("cleaner", path, {}).status_code == 403


def test_overdue_is_counted_by_the_clock_and_listed_by_the_same_rule(
    desk: Office, numbers: list[str], town_services: Services
) -> None:
    counted = desk.get("dispatcher", "/desk/queues").json()
    listed = desk.get("dispatcher", "/incidents", params={"open": True, "overdue": True}).json()
    assert counted["overdue"] == listed["total"]
    everything = desk.get("dispatcher", "/incidents", params={"open": True}).json()
    assert counted["open"] == everything["total"]
    with town_services.sessions() as session:
        later = overview.queue_numbers(session, datetime.now(UTC) + timedelta(days=400))
    assert later["overdue"] > counted["overdue"]


def test_marks_are_the_same_incidents_and_are_counted_together_when_many(
    desk: Office, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = desk.get("dispatcher", "/incidents", params={"open": True, "page_size": 500}).json()
    placed = {i["number"]: i["lamp"] for i in listed["items"] if i["location"]}
    found = desk.get("dispatcher", "/desk/marks", params={"open": True}).json()
    assert {m["number"]: m["lamp"] for m in found["marks"]} == placed
    assert found["clusters"] == []
    monkeypatch.setattr(overview, "MOST_MARKS", 1)
    many = desk.get("dispatcher", "/desk/marks", params={"open": True, "cell": 0.001}).json()
    assert sum(c["count"] for c in many["clusters"]) + len(many["marks"]) == len(placed)
    assert max(c["count"] for c in many["clusters"]) >= 3
    far = desk.get("dispatcher", "/desk/marks", params={"bbox": "0,0,1,1"}).json()
    assert far["total"] == 0


def test_open_neighbours_are_shown_before_saving_the_likest_first(
    desk: Office, numbers: list[str], town_services: Services
) -> None:
    spot, cleaning = spot_of(town_services), category_of(town_services, "cleaner")
    here = {"lon": spot.lon, "lat": spot.lat}
    asked = {**here, "category": cleaning, "q": "第1处垃圾满溢"}
    found = desk.get("dispatcher", "/desk/neighbours", params=asked).json()
    assert {each["number"] for each in found} >= set(numbers[:3])
    assert found[0]["number"] == numbers[1]
    assert all(each["distance_m"] <= 80 for each in found)
    # 80 m is about 0.0007 degrees of latitude.
    away = {**here, "lat": spot.lat + 0.002}
    beside = desk.get("dispatcher", "/desk/neighbours", params=away).json()
    assert numbers[0] not in {each["number"] for each in beside}


def test_on_duty_tells_leave_and_who_stands_in(desk: Office, town_services: Services) -> None:
    rows = desk.get("dispatcher", "/desk/on-duty").json()
    assert len({row["grid"] for row in rows}) == 40
    first = rows[0]
    with town_services.sessions() as session:
        session.execute(
            text(
                "insert into absence (staff_id, substitute_id, valid) values (:who,"
                " (select id from staff where id <> :who and left_at is null order by id limit 1),"
                " tstzrange(now() - interval '1 hour', now() + interval '1 hour'))"
            ),
            {"who": first["staff_id"]},
        )
        session.commit()
    now = [
        r
        for r in desk.get("dispatcher", "/desk/on-duty").json()
        if r["staff_id"] == first["staff_id"]
    ]
    assert now[0]["there"] == "away"
    assert now[0]["substitute"]
    assert desk.get("cleaner", "/desk/on-duty").status_code == 403


def test_where_people_are_is_told_to_the_desk_and_to_their_own_heads_alone(
    desk: Office, town_services: Services
) -> None:
    """DECISIONS A7: no analyst and no evaluator, a head the unit's people, a leader the line's; a number no farther."""
    for role in ("analyst", "evaluator"):
        refused = desk.get(role, "/desk/on-duty")
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.not_permitted")
    everybody = {row["staff_id"] for row in desk.get("dispatcher", "/desk/on-duty").json()}
    with town_services.sessions() as session:
        own = {
            "unit_head": set(
                session.scalars(
                    text(
                        "select p.id from staff p join staff h on h.unit_id = p.unit_id"
                        " join account a on a.staff_id = h.id where a.username = 'unit_head'"
                    )
                )
            ),
            "leader": set(
                session.scalars(
                    text(
                        "with recursive line (id) as (select staff_id from account where username = 'leader'"
                        " union select s.id from staff s join line on s.reports_to = line.id) select id from line"
                    )
                )
            ),
        }
        outsider = session.scalar(
            text("select id from staff where not id = any(:own) and phone is not null limit 1"),
            {"own": list(own["leader"])},
        )
        session.execute(
            text(
                "insert into absence (staff_id, substitute_id, valid) select staff_id, :other,"
                " tstzrange(now() - interval '1 hour', now() + interval '1 hour') from account"
                " where username = 'leader'"
            ),
            {"other": outsider},
        )
        session.commit()
    for role, people in own.items():
        rows = desk.get(role, "/desk/on-duty").json()
        seen = {row["staff_id"] for row in rows}
        assert seen == people & everybody
        assert seen < everybody
    away = next(row for row in desk.get("leader", "/desk/on-duty").json() if row["there"] == "away")
    assert away["substitute"]
    assert away["substitute_phone"] is None
    assert any(row["substitute_phone"] for row in desk.get("dispatcher", "/desk/on-duty").json())


def test_marks_say_what_is_badly_overdue(
    desk: Office, numbers: list[str], town_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with town_services.sessions() as session:
        for number, ago in ((numbers[0], "25 hours"), (numbers[1], "23 hours")):
            session.execute(
                text("update incident set due_at = now() - cast(:a as interval) where number = :n"),
                {"a": ago, "n": number},
            )
        session.commit()
    shown = desk.get("dispatcher", "/desk/marks", params={"open": True}).json()["marks"]
    by_number = {mark["number"]: (mark["lamp"], mark["worst"]) for mark in shown}
    assert by_number[numbers[0]] == ("red", True)
    assert by_number[numbers[1]] == ("red", False)
    monkeypatch.setattr(overview, "MOST_MARKS", 1)
    asked = {"open": True, "cell": 0.001}
    clusters = desk.get("dispatcher", "/desk/marks", params=asked).json()["clusters"]
    assert [c["lamp"] for c in clusters if c["worst"]] == ["red"]


def test_one_more_caller_is_a_reporter_of_the_open_incident(
    desk: Office, numbers: list[str], town_services: Services
) -> None:
    path = f"/incidents/{numbers[2]}/reporters"
    body = {"channel": "hotline_12345", "description": "还是那堆垃圾", "name": "王女士", "phone": "13900007777"}  # fmt: skip
    key = {"Idempotency-Key": "call-1"}
    made = desk.ask("operator", "POST", path, json=body, headers=key)
    assert (made.status_code, made.json()) == (201, {"counted": True})
    again = desk.ask("operator", "POST", path, json=body, headers=key)
    assert (again.status_code, again.json()) == (201, {"counted": False})
    people = desk.get("dispatcher", path).json()
    assert [(one["name"], one["phone"]) for one in people] == [("王女士", "13900007777")]
    incident = desk.get("dispatcher", f"/incidents/{numbers[2]}").json()
    assert incident["repeats"] == 1
    line = desk.get("dispatcher", f"/incidents/{numbers[2]}/history").json()[-1]
    assert (line["move"], line["note"]) == ("also_reported", "还是那堆垃圾")
    assert "13900007777" not in str(line)
    earlier = desk.get("operator", "/callers", params={"phone": "13900007777"}).json()
    assert [one["number"] for one in earlier] == [numbers[2]]
    other = {"Idempotency-Key": "call-2"}
    wrong = desk.ask("operator", "POST", path, json={**body, "channel": "pigeon"}, headers=other)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "channel.unknown")
    assert desk.ask("cleaner", "POST", path, json=body, headers=other).status_code == 403
    ended = desk.get("dispatcher", "/incidents", params={"status": "closed"}).json()["items"][0]
    late = desk.ask(
        "operator", "POST", f"/incidents/{ended['number']}/reporters", json=body, headers=other
    )
    assert (late.status_code, late.json()["code"]) == (409, "support.ended")


def test_each_candidate_of_a_place_says_who_would_answer_there(desk: Office) -> None:
    """What stands beside a candidate is what /route says of its point."""
    spot, cleaning = spot_of(desk.services), category_of(desk.services, "cleaner")
    swapped = {"lon": spot.lat, "lat": spot.lon, "datum": "wgs84"}
    body = {"channel": "hotline_12345", "category": cleaning, "description": "垃圾满溢", "location": swapped}  # fmt: skip
    made = desk.post("operator", "/incidents", body).json()
    assert made["queue"] == "place_needed"
    found = desk.get("dispatcher", f"/incidents/{made['number']}").json()["candidates"]
    one = next(c for c in found if c["label"] == "swapped")
    asked = {"lon": one["lon"], "lat": one["lat"], "category": cleaning}
    way = desk.get("dispatcher", "/route", params=asked).json()
    assert one["suggested"] == {
        "grid": way["grid"]["code"],
        "grid_name": way["grid"]["name"],
        "post": "cleaner",
        "person": way["assignee"]["name"],
    }
    words = desk.get("dispatcher", "/geocode", params={"q": spot.street, "owners": True}).json()
    named = [c["suggested"]["grid"] for c in words["candidates"] if c["suggested"]]
    assert all(code.startswith("G") for code in named)
    nobody = desk.get(None, "/geocode", params={"q": spot.street, "owners": True, "category": cleaning})  # fmt: skip
    assert all(not (c["suggested"] or {}).get("person") for c in nobody.json()["candidates"])


def test_patrolled_streets_are_lines_of_whom_one_may_see(
    desk: Office, town_services: Services
) -> None:
    with town_services.sessions() as session:
        session.execute(
            text(
                "with w as (insert into attendance (staff_id, began_at, received_at) select staff_id, now() - interval '1 hour', now()"
                " from account where username = 'cleaner' returning id)"
                " insert into patrol_cover (attendance_id, segment_id, share)"
                " select w.id, s.id, s.share from w, (select id, 0.9 as share from segment where gone_at is null"
                " order by id limit 1) s"
            )
        )
        session.commit()
    asked = {"bbox": "-180,-90,180,90"}
    features = desk.get("dispatcher", "/desk/patrolled", params=asked).json()["features"]
    assert [f["properties"]["share"] for f in features] == [0.9]
    assert features[0]["properties"]["covered"] is True
    assert features[0]["geometry"]["type"] == "LineString"
    away = desk.get("dispatcher", "/desk/patrolled", params={"bbox": "0,0,1,1"}).json()
    assert away["features"] == []
    head = desk.get("unit_head", "/desk/patrolled", params=asked).json()["features"]
    with town_services.sessions() as session:
        same = session.scalar(
            text(
                "select count(distinct s.unit_id) = 1 from staff s join account a on a.staff_id = s.id"
                " where a.username in ('cleaner', 'unit_head')"
            )
        )
    assert bool(head) == same
    wrong = desk.get("dispatcher", "/desk/patrolled", params={"bbox": "x"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bbox.unreadable")


def test_the_hand_over_lists_what_waits_and_keeps_a_note(desk: Office, numbers: list[str]) -> None:
    written = desk.post(
        "dispatcher", "/desk/handover/notes", {"body": "站前路<b>停电</b>，三处井盖待修"}
    )
    assert written.status_code == 201, written.text
    page = desk.get("operator", "/desk/handover").json()
    lists = {each["name"]: each for each in page["lists"]}
    assert numbers[3] in {item["number"] for item in lists["place_needed"]["items"]}
    assert set(numbers) <= {item["number"] for item in lists["came"]["items"]}
    assert page["notes"][0]["body"] == "站前路<b>停电</b>，三处井盖待修"
    assert page["numbers"]["came"] >= 4
    late = desk.get("operator", "/desk/handover", params={"since": "2019-01-01T00:00:00Z"})
    assert (late.status_code, late.json()["code"]) == (422, "handover.since_out")
