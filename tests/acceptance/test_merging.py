"""Duplicates over HTTP: shown, merged three into one, told at closing, taken apart; machines attach to what is open.

Times by hand as in `test_walks`: office hours 08:00-12:00 and 14:00-18:00, 2026-03-02 is a Monday.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import text

from api.services import Services
from dispatch.checking import check_record
from dispatch.likeness import LikenessRules
from dispatch.notices import spread
from grid.core.settings import NoticeSettings
from tests.acceptance.test_walks import GRATE, OVERFLOW, ROAD, SENT, Walk, at
from tests.web import Office, office

GATEWAY = NoticeSettings(sms_url="json://localhost")


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        for role in ("operator", "dispatcher", "watch_chief", "collector", "cleaner", "maintainer"):
            opened.token(role)
        with town_services.sessions() as session:
            session.execute(text("update access_key set expires_at = '2100-01-01'"))
            session.commit()
        yield opened
        opened.client.app.dependency_overrides.clear()  # type: ignore[attr-defined]


def again(walk: Walk, number: str) -> Walk:
    """The same walk's desk and clock, looking at another incident."""
    walk.number = number
    walk.body = walk.desk.get("dispatcher", f"/incidents/{number}").json()
    return walk


def counts(desk: Office) -> dict[str, int]:
    shown = {"status": "merged"}, {"open": "true"}
    return {
        str(next(iter(asked))): desk.get("dispatcher", "/incidents", params=asked).json()["total"]
        for asked in shown
    }


def test_three_become_one_and_apart_again(desk: Office, town_services: Services) -> None:
    lead = Walk(desk, OVERFLOW, "03-02 09:00", "cleaner", description="垃圾桶满了")
    heard = Walk(
        desk, OVERFLOW, "03-02 09:10", "cleaner", description="垃圾溢出来了",
        reporter={"name": "王五", "phone": "13800000000", "tell_by": "sms"},
    )  # fmt: skip
    seen = Walk(desk, OVERFLOW, "03-02 09:20", "cleaner", description="垃圾桶旁边堆满")
    seen.go("03-02 09:30", "cleaner", "accept_task")
    seen.photograph("cleaner")
    before = counts(desk)

    shown = desk.get("dispatcher", f"/incidents/{seen.number}/duplicates").json()
    numbers = [item["number"] for item in shown["items"]]
    assert set(numbers) >= {lead.number, heard.number}
    first = shown["items"][numbers.index(lead.number)]
    # One place, one category, 20 minutes apart: only the words differ.
    assert (first["distance_m"], first["kinship"], first["place"]) == (0.0, 1.0, 1.0)
    assert first["score"] >= shown["flagged_from"]

    # Nobody of the crew merges, nothing goes into itself.
    path = f"/incidents/{lead.number}/merge"
    both = {"numbers": [heard.number, seen.number], "note": "同一处"}
    assert desk.post("cleaner", path, both).status_code == 403
    itself = desk.post("dispatcher", path, {"numbers": [lead.number]})
    assert (itself.status_code, itself.json()["code"]) == (409, "merge.into_itself")

    lead.clock("03-02 10:00")
    merged = desk.post("dispatcher", path, both)
    assert merged.status_code == 200, merged.text
    body = merged.json()
    assert (body["status"], body["due_at"]) == ("in_disposal", lead.body["due_at"])
    assert [(part["number"], part["description"]) for part in body["merged"]] == [
        (heard.number, "垃圾溢出来了"), (seen.number, "垃圾桶旁边堆满"),
    ]  # fmt: skip
    (photo,) = body["merged"][1]["evidence"]
    assert desk.get("dispatcher", photo["url"].removeprefix("/api/v1")).status_code == 200
    after = counts(desk)
    assert after["status"] == before["status"] + 2
    assert after["open"] == before["open"] - 2

    again(seen, seen.number)
    assert (seen.body["status"], seen.body["merged_into"]) == ("merged", lead.number)
    assert seen.tasks() == [("cleaner", "withdrawn")]
    assert seen.moves() == [*SENT, "accept_task", "merge"]
    assert heard.moves() == [*SENT, "merge"]
    assert lead.moves() == [*SENT, "merged_in", "merged_in"]
    assert lead.times() == [*[at("03-02 09:00")] * 5, *[at("03-02 10:00")] * 2]
    assert [actor for _, _, actor in lead.history()[5:]] == ["account:dispatcher"] * 2
    told = notices(town_services, "task_merged")
    assert {row["number"]: row["into"] for row in told} == {
        heard.number: lead.number, seen.number: lead.number,
    }  # fmt: skip

    # The resident's number leads to the incident that is worked on; every reporter is kept.
    page = desk.client.get(f"/track/{heard.number}", follow_redirects=False)
    assert page.status_code == 303
    assert page.headers["location"] == f"/track/{lead.number}?merged={heard.number}"
    assert heard.number in desk.client.get(page.headers["location"]).text
    names = desk.get("dispatcher", f"/incidents/{lead.number}/reporters").json()
    assert [(row["number"], row["name"]) for row in names] == [(heard.number, "王五")]

    refused(
        desk, "merge.leads_others", heard, [lead.number], 409, "incident.changed merge.into_merged"
    )
    assert (
        lead.refused("03-02 10:05", "dispatcher", "merge", to=heard.number)[1]
        == "merge.into_merged"
    )

    # Taken apart: forty minutes were used when it was merged, and the hour in between does not count.
    seen.go("03-02 11:00", "dispatcher", "unmerge", note="是另一个桶")
    assert (seen.body["status"], seen.body["merged_into"]) == ("in_disposal", None)
    assert seen.tasks() == [("cleaner", "accepted")]
    assert seen.told("disposal")["used_minutes"] == 40
    # 200 of 240 minutes left: 60 to noon, 140 from 14:00.
    assert seen.due() == at("03-02 16:20")
    assert seen.moves() == [*SENT, "accept_task", "merge", "unmerge"]
    assert lead.moves() == [*SENT, "merged_in", "merged_in", "split_off"]
    assert lead.times()[-1] == at("03-02 11:00")
    assert [row["number"] for row in notices(town_services, "task_unmerged")] == [seen.number]
    assert [part["number"] for part in again(lead, lead.number).body["merged"]] == [heard.number]
    seen.go("03-02 11:10", "cleaner", "finish_task")
    assert seen.body["status"] == "checking"

    # At closing whoever reported the merged one hears of it.
    lead.photograph("cleaner")
    lead.go("03-02 11:20", "cleaner", "finish_task")
    lead.go("03-02 11:30", "collector", "check_passed")
    lead.go("03-02 11:40", "watch_chief", "close", condition="06042-1")
    with town_services.sessions() as session:
        while spread(session, GATEWAY, LikenessRules(), at("03-02 11:41")).more:
            pass
        finished = session.scalars(
            text(
                "select m.number from delivery d join notice n on n.id = d.notice_id"
                " join incident i on i.id = n.incident_id join reporter r on r.id = d.reporter_id"
                " join incident m on m.id = r.incident_id"
                " where i.number = :number and n.kind = 'finished'"
            ),
            {"number": lead.number},
        ).all()
        assert finished == [heard.number]
        broken = check_record(session)
        assert [f for f in broken if f.code == "record.history_broken"] == []
        session.rollback()
    refused_into_closed = Walk(desk, OVERFLOW, "03-02 13:00", "cleaner")
    answer = refused_into_closed.refused("03-02 13:05", "dispatcher", "merge", to=lead.number)
    assert answer == (409, "merge.into_ended")


def refused(
    desk: Office, code: str, lead: Walk, numbers: list[str], status: int, also: str
) -> None:
    answer = desk.post("dispatcher", f"/incidents/{lead.number}/merge", {"numbers": numbers})
    assert answer.status_code == status
    assert answer.json()["code"] in {code, *also.split()}


def notices(services: Services, kind: str) -> list[dict[str, Any]]:
    with services.sessions() as session:
        return list(session.scalars(text("select detail from notice where kind = :k"), {"k": kind}))


def test_all_or_none(desk: Office) -> None:
    """One that has ended keeps the others from being merged."""
    lead = Walk(desk, ROAD, "03-03 09:00", "maintainer")
    fine = Walk(desk, ROAD, "03-03 09:01", "maintainer")
    gone = Walk(desk, ROAD, "03-03 09:02", "maintainer")
    gone.go("03-03 09:05", "maintainer", "return_task", note="x")
    answer = desk.post(
        "dispatcher", f"/incidents/{lead.number}/merge", {"numbers": [fine.number, gone.number]}
    )
    # What was returned waits for the dispatcher's own decision first.
    assert (answer.status_code, answer.json()["code"]) == (409, "move.returned_first")
    assert again(fine, fine.number).body["status"] == "in_disposal"
    assert lead.moves() == SENT
    # Leading another, it is merged nowhere.
    assert desk.post(
        "dispatcher", f"/incidents/{lead.number}/merge", {"numbers": [fine.number]}
    ).is_success
    third = Walk(desk, ROAD, "03-03 09:20", "maintainer")
    assert lead.refused("03-03 09:21", "dispatcher", "merge", to=third.number) == (
        409, "merge.leads_others",
    )  # fmt: skip


def test_suspended_is_suspended_again(desk: Office) -> None:
    lead = Walk(desk, ROAD, "03-03 09:00", "maintainer")
    other = Walk(desk, ROAD, "03-03 09:00", "maintainer")
    other.go(
        "03-03 09:30", "watch_chief", "suspend", note="等材料", until="2026-03-10T09:00:00+08:00"
    )
    tasks, due = other.tasks(), other.due()
    other.go("03-03 10:00", "dispatcher", "merge", to=lead.number)
    other.go("03-03 10:30", "dispatcher", "unmerge", note="不是一处")
    assert (other.body["status"], other.tasks(), other.due()) == ("suspended", tasks, due)
    assert other.body["standing"]["suspended_until"].startswith("2026-03-10T09:00")


def test_before_saving(desk: Office) -> None:
    known = Walk(desk, GRATE, "03-04 09:00", "maintainer", description="雨水箅子破损")
    lon, lat = desk.ground_of("maintainer")
    asked = {"lon": lon, "lat": lat, "category": GRATE, "text": "雨水箅子坏了"}
    found = desk.get("operator", "/duplicates", params=asked)
    assert found.status_code == 200, found.text
    assert found.json()["items"][0]["number"] == known.number
    # Half a kilometre away nothing of it is shown; without an account nothing at all.
    far = desk.get("operator", "/duplicates", params={**asked, "lat": lat + 0.0045}).json()
    assert known.number not in [item["number"] for item in far["items"]]
    assert desk.get(None, "/duplicates", params=asked).status_code == 401
    # Eight days later it is another problem.
    known.clock("03-12 09:00")
    assert desk.get("operator", "/duplicates", params=asked).json()["items"] == []


def test_the_photographs_moment_counts_before_the_reports(desk: Office) -> None:
    """Two reports with the same words a day apart, of which the second's photograph was taken at the first's moment.

    By the reports' moments the sign of time is 0.5 (it falls by half in 24 hours), by the photograph's 1.
    """
    first = Walk(desk, GRATE, "05-11 09:00", "maintainer", description="雨水箅子破损")
    second = Walk(desk, GRATE, "05-12 09:00", "maintainer", description="雨水箅子破损")

    def compared() -> dict[str, Any]:
        shown = desk.get("dispatcher", f"/incidents/{second.number}/duplicates").json()["items"]
        found: dict[str, Any] = next(item for item in shown if item["number"] == first.number)
        return found

    before = compared()
    assert (before["place"], before["kinship"], before["words"], before["time"]) == (1, 1, 1, 0.5)
    # 0.35 place, 0.15 time, 0.3 category, 0.2 words.
    assert before["score"] == pytest.approx(0.35 + 0.15 * 0.5 + 0.3 + 0.2)
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(out, "JPEG")
    for stage, taken_at in (
        # Only what was seen before the work counts, and nothing from after the report.
        ("after", "2026-05-11T09:00:00+08:00"),
        ("before", "2026-05-12T09:30:00+08:00"),
    ):
        photograph(desk, second.number, out.getvalue(), stage, taken_at)
        assert compared()["time"] == 0.5
    photograph(desk, second.number, out.getvalue(), "before", "2026-05-11T09:00:00+08:00")
    after = compared()
    assert (after["time"], after["score"]) == (1, pytest.approx(1))


def photograph(desk: Office, number: str, content: bytes, stage: str, taken_at: str) -> None:
    sent = desk.ask(
        "operator", "POST", f"/incidents/{number}/evidence", files={"photo": ("x", content)},
        data={"stage": stage, "taken_at": taken_at},
    )  # fmt: skip
    assert sent.status_code == 201, sent.text


def test_the_worker_flags_the_second(desk: Office, town_services: Services) -> None:
    first = Walk(desk, GRATE, "03-20 09:00", "maintainer", description="雨水箅子破损")
    second = Walk(desk, GRATE, "03-20 09:30", "maintainer", description="路边雨水箅子破了")
    version = second.body["version"]
    with town_services.sessions() as session:
        while spread(session, NoticeSettings(), LikenessRules(), at("03-20 09:31")).more:
            pass
        session.commit()
    assert "likely_duplicate" not in again(first, first.number).body["flags"]
    again(second, second.number)
    assert "likely_duplicate" in second.body["flags"]
    assert second.body["version"] == version
    found = desk.get("dispatcher", "/incidents", params={"flag": "likely_duplicate"}).json()
    assert second.number in [item["number"] for item in found["items"]]


def test_a_camera_attaches_to_what_is_open(desk: Office) -> None:
    first = Walk(desk, OVERFLOW, "04-01 09:00", "cleaner", channel="camera", external_id="f-1")
    lon, lat = desk.ground_of("cleaner")

    def shot(written: str, name: str, **more: Any) -> tuple[int, dict[str, Any]]:
        first.clock(written)
        answer = desk.post(
            "operator", "/incidents",
            {"channel": "camera", "category": OVERFLOW, "external_id": name,
             "location": {"lon": lon, "lat": lat, "datum": "wgs84"}, **more},
        )  # fmt: skip
        return answer.status_code, answer.json()

    # Three times within the hour of the last sighting, one of them sent twice.
    for written, name, count in (
        ("04-01 09:40", "f-2", 1), ("04-01 09:41", "f-2", 1), ("04-01 10:30", "f-3", 2),
        ("04-01 11:20", "f-4", 3),
    ):  # fmt: skip
        status, body = shot(written, name)
        assert (status, body["number"], body["repeats"]) == (200, first.number, count)
    assert body["version"] == first.body["version"]
    assert first.moves() == [*SENT, "repeat", "repeat", "repeat"]
    assert first.times()[-3:] == [at("04-01 09:40"), at("04-01 10:30"), at("04-01 11:20")]
    # Another category, 30 m away, or after more than an hour: a new incident.
    assert shot("04-01 11:25", "f-5", category=ROAD)[0] == 201
    away = {"lon": lon, "lat": lat + 30 / 110_900, "datum": "wgs84"}
    assert shot("04-01 11:25", "f-6", location=away)[0] == 201
    assert shot("04-01 12:25", "f-7")[0] == 201
    # What has ended takes no more.
    ended = shot("04-01 12:30", "f-8")[1]
    assert ended["number"] != first.number
    again(first, ended["number"])
    first.photograph("cleaner")
    first.go("04-01 14:00", "cleaner", "finish_task")
    first.go("04-01 14:01", "collector", "check_passed")
    first.go("04-01 14:02", "watch_chief", "close", condition="06042-1")
    assert shot("04-01 12:40", "f-9")[0] == 201


def test_supervision_passes_to_the_lead_and_goes_with_the_split(desk: Office) -> None:
    desk.token("leader")
    lead = Walk(desk, GRATE, "03-06 09:00", "maintainer", description="雨箅子破损")
    first = Walk(desk, GRATE, "03-06 09:10", "maintainer", description="雨箅子坏了")
    second = Walk(desk, GRATE, "03-06 09:20", "maintainer", description="雨箅子断裂")
    with desk.services.sessions() as session:
        # Whoever may supervise is decided elsewhere: a letter from above came for both.
        session.execute(
            text(
                "update incident set facts = facts || '{\"supervised\": true}' where number = any(:n)"
            ),
            {"n": [first.number, second.number]},
        )
        session.commit()

    def supervised() -> bool:
        with desk.services.sessions() as session:
            asked = text("select facts from incident where number = :n")
            return bool(session.scalar(asked, {"n": lead.number}).get("supervised"))

    lead.clock("03-06 10:00")
    both = {"numbers": [first.number, second.number], "note": "同一处"}
    merged = desk.post("dispatcher", f"/incidents/{lead.number}/merge", both)
    assert merged.status_code == 200, merged.text
    assert supervised()
    lines = desk.get("dispatcher", f"/incidents/{lead.number}/history").json()
    joined = [line["detail"] for line in lines if line["move"] == "merged_in"]
    assert [d["supervised"] for d in joined] == [True, True]
    with desk.services.sessions() as session:
        told = session.scalar(
            text(
                "select count(*) from notice n join incident i on i.id = n.incident_id"
                " where i.number = :n and n.kind = 'supervised' and n.staff_id is not null"
            ),
            {"n": lead.number},
        )
    assert told == len(lead.body["tasks"])
    for part, expected in ((first, True), (second, False)):
        asked = {"move": "unmerge", "note": "不是一处"}
        apart = desk.post("dispatcher", f"/incidents/{part.number}/moves", asked)
        assert apart.status_code == 200, apart.text
        assert supervised() is expected
        shown = desk.get("dispatcher", f"/incidents/{part.number}/history").json()
        assert shown[-1]["move"] == "unmerge"
