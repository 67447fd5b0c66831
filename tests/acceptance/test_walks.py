"""Incidents from report to end over HTTP, with every line of their record and every time worked out by hand.

Office hours are 08:00-12:00 and 14:00-18:00; 2026-03-02 is a Monday, the Spring Festival of 2026 lasts from
15 to 23 February, and Saturday 14 and 28 February are worked.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from api.deps import get_now
from api.services import Services
from dispatch.chasing import sweep
from dispatch.checking import check_record
from tests.web import Office, office

SHANGHAI = ZoneInfo("Asia/Shanghai")
OVERFLOW, ROAD, GRATE = "06042", "06013", "01004"
SENT = ["report", "accept", "file", "dispatch", "assign"]
HANDED_IN = ["finish_task", "submit", "feed_back", "send_check"]
WEEK = "2026-03-02 09:00"


def at(written: str) -> datetime:
    """`03-02 09:00` of 2026, or a whole date, in the town's own time."""
    whole = written if written.startswith("20") else f"2026-{written}"
    return datetime.fromisoformat(whole).replace(tzinfo=SHANGHAI)


class Walk:
    """One incident walked through an office whose clock is set by hand."""

    def __init__(self, desk: Office, category: str, begun: str, ground: str, **more: Any) -> None:
        self.desk, self.ground = desk, ground
        self.clock(begun)
        lon, lat = desk.ground_of(ground)
        answer = desk.post(
            "operator",
            "/incidents",
            {
                "channel": "patrol",
                "category": category,
                "location": {"lon": lon, "lat": lat, "datum": "wgs84"},
                **more,
            },
        )
        assert answer.status_code == 201, answer.text
        self.body: dict[str, Any] = answer.json()
        self.number: str = self.body["number"]

    def clock(self, written: str) -> None:
        self.now = at(written)
        app = self.desk.client.app
        app.dependency_overrides[get_now] = lambda: self.now  # type: ignore[attr-defined]

    def ask(self, written: str, role: str, move: str, **more: Any) -> httpx.Response:
        self.clock(written)
        return self.desk.post(role, f"/incidents/{self.number}/moves", {"move": move, **more})

    def go(self, written: str, role: str, move: str, **more: Any) -> dict[str, Any]:
        answer = self.ask(written, role, move, **more)
        assert answer.status_code == 200, answer.text
        self.body = answer.json()
        return self.body

    def refused(self, written: str, role: str, move: str, **more: Any) -> tuple[int, str]:
        answer = self.ask(written, role, move, **more)
        return answer.status_code, answer.json()["code"]

    def photograph(self, role: str) -> None:
        out = io.BytesIO()
        Image.new("RGB", (40, 30), "green").save(out, "JPEG")
        sent = self.desk.ask(
            role, "POST", f"/incidents/{self.number}/evidence", data={"stage": "after"},
            files={"photo": ("after.jpg", out.getvalue(), "image/jpeg")},
        )  # fmt: skip
        assert sent.status_code == 201, sent.text

    def due(self) -> datetime | None:
        return datetime.fromisoformat(self.body["due_at"]) if self.body["due_at"] else None

    def told(self, kind: str) -> dict[str, Any]:
        """The clock of that kind as the answer tells of it."""
        found: dict[str, Any] = next(c for c in self.body["clocks"] if c["kind"] == kind)
        return found

    def tasks(self) -> list[tuple[str, str]]:
        return [(task["post"], task["status"]) for task in self.body["tasks"]]

    def history(self) -> list[tuple[str, datetime, str]]:
        lines = self.desk.get("watch_chief", f"/incidents/{self.number}/history").json()
        return [(x["move"], datetime.fromisoformat(x["at"]), x["actor"]) for x in lines]

    def moves(self) -> list[str]:
        return [move for move, _, _ in self.history()]

    def times(self) -> list[datetime]:
        return [moment for _, moment, _ in self.history()]


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        for role in (
            *("operator", "dispatcher", "watch_chief", "collector", "leader", "unit_head"),
            *("cleaner", "maintainer", "officer"),
        ):
            opened.token(role)
        with town_services.sessions() as session:
            # The walks jump over months: nobody is signed out on the way.
            session.execute(text("update access_key set expires_at = '2100-01-01'"))
            session.commit()
        yield opened
        opened.client.app.dependency_overrides.clear()  # type: ignore[attr-defined]


def to_checking(desk: Office, category: str = OVERFLOW) -> Walk:
    """Reported at nine, accepted at 09:20, handed in at 11:30."""
    walk = Walk(desk, category, WEEK, "cleaner")
    walk.go("03-02 09:20", "cleaner", "accept_task")
    walk.clock("03-02 11:25")
    walk.photograph("cleaner")
    walk.go("03-02 11:30", "cleaner", "finish_task")
    return walk


def test_the_plain_case(desk: Office) -> None:
    walk = to_checking(desk)
    first = walk.history()
    # Four working hours: three to noon, one from 14:00; 80 % are 192 minutes, 12 of them after 14:00.
    assert walk.due() == at("03-02 15:00")
    assert datetime.fromisoformat(walk.told("disposal")["amber_at"]) == at("03-02 14:12")
    assert walk.told("disposal")["used_minutes"] == 150
    assert (walk.body["status"], walk.body["queue"]) == ("checking", "to_check")
    assert datetime.fromisoformat(walk.told("check")["due_at"]) == at("03-02 12:30")
    assert walk.refused("03-02 11:40", "cleaner", "check_passed")[0] == 403
    walk.go("03-02 12:10", "collector", "check_passed")
    walk.go("03-02 12:30", "watch_chief", "close", condition="06042-1")
    assert walk.body["status"] == "closed"
    assert all(clock["stopped_at"] for clock in walk.body["clocks"])
    assert walk.moves() == [*SENT, "accept_task", *HANDED_IN, "check_passed", "close"]
    assert walk.times() == [
        *[at("03-02 09:00")] * 5, at("03-02 09:20"), *[at("03-02 11:30")] * 4,
        at("03-02 12:10"), at("03-02 12:30"),
    ]  # fmt: skip
    assert [actor for _, _, actor in first[:6]] == [
        "account:operator", *["system"] * 4, "account:cleaner",
    ]  # fmt: skip


def test_returned_and_dispatched_again(desk: Office, town_services: Services) -> None:
    walk = Walk(desk, OVERFLOW, WEEK, "cleaner")
    walk.go("03-02 09:30", "cleaner", "return_task", note="这一段不归我管")
    assert (walk.body["status"], walk.body["queue"]) == ("filed", "returned")
    (task,) = walk.body["tasks"]
    assert (task["status"], task["note"]) == ("returned", "这一段不归我管")
    assert task["ended_by"] == "account:cleaner"
    assert walk.told("disposal")["paused_for"] == ["returned"]
    assert walk.due() is None
    assert datetime.fromisoformat(walk.told("dispatch")["due_at"]) == at("03-02 09:45")
    # Nobody gets past the dispatcher, who must decide.
    assert walk.refused("03-02 09:35", "watch_chief", "void", note="x") == (
        409, "move.returned_first",
    )  # fmt: skip
    assert walk.refused("03-02 09:35", "leader", "force_close", note="x") == (
        409, "move.returned_first",
    )  # fmt: skip
    with town_services.sessions() as session:
        me = desk.get("cleaner", "/me").json()["staff_id"]
        colleague = session.scalar(
            text(
                "select s.id from staff s join staff m on m.unit_id = s.unit_id and m.id = :me"
                " where s.id <> :me and s.post = 'cleaner' order by s.id limit 1"
            ),
            {"me": me},
        )
        head = session.execute(
            text("select staff_id, kind, audience from notice where kind = 'returned'")
        ).all()
    assert [(row.staff_id, row.audience) for row in head] == [(None, "role:dispatcher")]
    # The same unit again: 30 minutes are used, 210 left; 120 to noon, 90 from 14:00.
    walk.go("03-02 10:00", "dispatcher", "dispatch", to=colleague)
    assert walk.due() == at("03-02 15:30")
    assert walk.told("disposal")["used_minutes"] == 30
    assert walk.tasks() == [("cleaner", "returned"), ("cleaner", "offered")]
    # Another unit: the clock starts anew.
    other = desk.get("maintainer", "/me").json()["staff_id"]
    walk.go("03-02 11:00", "dispatcher", "reassign", to=other, note="箱体坏了")
    # Changing the person keeps what was used.
    assert walk.due() == at("03-02 15:30")
    walk.go("03-02 11:15", "maintainer", "return_task", note="是垃圾没清")
    walk.go("03-02 11:30", "dispatcher", "dispatch", to=other)
    # Dispatched to the maintainer's own unit: anew, half an hour to noon and three and a half from 14:00.
    assert walk.due() == at("03-02 17:30")
    assert walk.told("disposal")["round"] == 2
    assert walk.moves() == [
        *SENT, "return_task", "return", "dispatch", "assign", "reassign",
        "return_task", "return", "dispatch", "assign",
    ]  # fmt: skip


def test_rework_runs_on_and_the_doer_stays_out(desk: Office) -> None:
    walk = to_checking(desk)
    walk.go("03-02 12:10", "collector", "check_failed", note="桶边还有")
    # 150 minutes are used; 90 are left, from 14:00.
    assert (walk.body["status"], walk.due()) == ("in_disposal", at("03-02 15:30"))
    assert walk.tasks() == [("cleaner", "done"), ("cleaner", "offered")]
    assert [task["round"] for task in walk.body["tasks"]] == [1, 2]
    assert walk.body["disposed_at"] is None
    walk.go("03-02 15:00", "cleaner", "finish_task")
    assert walk.told("disposal")["used_minutes"] == 210
    assert walk.refused("03-02 15:05", "cleaner", "check_passed")[0] == 403
    walk.go("03-02 15:20", "collector", "check_passed")
    walk.go("03-02 15:40", "watch_chief", "close", condition="06042-1")
    assert walk.body["standing"]["reworks"] == 1
    assert walk.moves() == [
        *SENT, "accept_task", *HANDED_IN, "check_failed", "assign", *HANDED_IN,
        "check_passed", "close",
    ]  # fmt: skip
    assert walk.times()[-7:] == [
        at("03-02 12:10"), *[at("03-02 15:00")] * 4, at("03-02 15:20"), at("03-02 15:40"),
    ]  # fmt: skip


def test_extension_refused_and_granted(desk: Office) -> None:
    walk = Walk(desk, ROAD, WEEK, "maintainer")
    assert walk.due() == at("03-09 09:00")
    walk.go("03-03 10:00", "maintainer", "ask_extension", note="料未到")
    assert walk.body["queue"] == "extension_asked"
    walk.go("03-03 10:30", "dispatcher", "refuse_extension", note="先围挡")
    assert (walk.due(), walk.told("disposal")["extensions"]) == (at("03-09 09:00"), 0)
    walk.go("03-04 10:00", "maintainer", "ask_extension", note="料仍未到")
    walk.go("03-04 10:30", "watch_chief", "grant_extension")
    assert walk.due() == at("03-16 09:00")
    assert datetime.fromisoformat(walk.body["tasks"][0]["due_at"]) == at("03-16 09:00")
    walk.go("03-05 10:00", "maintainer", "ask_extension", note="下雨")
    walk.go("03-05 10:30", "dispatcher", "grant_extension")
    assert walk.due() == at("03-23 09:00")
    third = walk.refused("03-06 10:00", "maintainer", "ask_extension", note="又下雨")
    assert third == (409, "move.extensions_used_up")
    late = walk.refused("03-23 09:01", "maintainer", "ask_extension", note="晚了")
    assert late == (409, "move.overdue")
    assert walk.moves() == [
        *SENT, "ask_extension", "refuse_extension", "ask_extension", "grant_extension",
        "ask_extension", "grant_extension",
    ]  # fmt: skip


def test_suspension_over_the_spring_festival_ends_by_itself(
    desk: Office, town_services: Services
) -> None:
    walk = Walk(desk, ROAD, "2026-02-12 10:00", "maintainer")
    walk.go("02-12 10:10", "maintainer", "accept_task")
    until = at("03-02 08:00").isoformat()
    walk.go("02-12 11:00", "maintainer", "ask_suspension", note="沥青厂停产", until=until)
    walk.go("02-12 12:00", "watch_chief", "suspend", note="同意", until=until)
    assert (walk.body["status"], walk.due()) == ("suspended", None)
    assert walk.told("disposal")["used_minutes"] == 120
    assert walk.refused("02-26 09:00", "maintainer", "finish_task") == (409, "task.not_now")
    with town_services.sessions() as session:
        assert sweep(session, town_services.desk, at("03-02 07:59")).resumed == 0
        assert sweep(session, town_services.desk, at("03-02 08:00")).resumed == 1
        assert sweep(session, town_services.desk, at("03-02 08:01")).resumed == 0
        session.commit()
    walk.clock("03-02 08:05")
    walk.body = desk.get("watch_chief", f"/incidents/{walk.number}").json()
    # 38 of 40 hours are left: eight a day to Thursday, six on Friday: four to noon, two from 14:00.
    assert (walk.body["status"], walk.due()) == ("in_disposal", at("03-06 16:00"))
    assert walk.tasks() == [("maintainer", "accepted")]
    assert walk.history()[-2:] == [
        ("resume", at("03-02 08:00"), "system"), ("assign", at("03-02 08:00"), "system"),
    ]  # fmt: skip
    assert walk.moves() == [
        *SENT, "accept_task", "ask_suspension", "suspend", "resume", "assign",
    ]  # fmt: skip


def test_a_hotline_incident_has_two_clocks(desk: Office) -> None:
    walk = Walk(desk, ROAD, WEEK, "maintainer", channel="hotline_12345", external_id="W-1")
    walk.body = desk.get("watch_chief", f"/incidents/{walk.number}").json()
    # Thirteen working days from Monday 2 March: Thursday 19 March.
    assert datetime.fromisoformat(walk.body["reply_due_at"]) == at("03-19 09:00")
    assert walk.due() == at("03-09 09:00")
    assert walk.told("disposal")["governs"]
    walk.clock("03-03 10:00")
    walk.photograph("maintainer")
    walk.go("03-03 10:00", "maintainer", "finish_task")
    walk.go("03-03 10:30", "collector", "check_passed")
    walk.clock("03-03 12:00")
    walk.body = desk.get("watch_chief", f"/incidents/{walk.number}").json()
    assert walk.told("disposal")["stopped_at"]
    assert not walk.told("reply")["stopped_at"]
    walk.go("03-19 09:01", "watch_chief", "close", condition="06013-1")
    assert walk.told("reply")["lamp"] == "red"
    assert walk.told("disposal")["lamp"] == "green"
    assert walk.moves() == [*SENT, *HANDED_IN, "check_passed", "close"]
    # An emergency is answered the same day; its disposal, two hours round the clock, governs.
    urgent = Walk(desk, GRATE, WEEK, "maintainer", channel="hotline_12345", external_id="W-2")
    assert datetime.fromisoformat(urgent.body["reply_due_at"]) == at("03-03 00:00")
    assert urgent.due() == at("03-02 11:00")


def test_the_cleaner_follows_the_maintainer(desk: Office) -> None:
    walk = Walk(desk, GRATE, WEEK, "maintainer")
    assert walk.tasks() == [("maintainer", "offered"), ("cleaner", "waiting")]
    walk.clock("03-02 09:50")
    walk.photograph("maintainer")
    walk.go("03-02 10:00", "maintainer", "finish_task")
    assert walk.body["status"] == "in_disposal"
    assert walk.tasks() == [("maintainer", "done"), ("cleaner", "offered")]
    walk.go("03-02 10:05", "cleaner", "accept_task")
    walk.go("03-02 10:40", "cleaner", "finish_task")
    assert walk.body["status"] == "checking"
    assert walk.told("disposal")["used_minutes"] == 100
    for doer in ("maintainer", "cleaner"):
        assert walk.refused("03-02 10:45", doer, "check_passed")[0] == 403
    walk.go("03-02 11:00", "collector", "check_passed")
    walk.go("03-02 11:10", "watch_chief", "close", condition="01004-1")
    assert walk.moves() == [
        *SENT, "finish_task", "offer_task", "accept_task", *HANDED_IN, "check_passed", "close",
    ]  # fmt: skip


def test_a_helper_who_hands_back_is_heard_by_the_dispatcher(desk: Office) -> None:
    walk = Walk(desk, GRATE, WEEK, "maintainer")
    walk.clock("03-02 09:50")
    walk.photograph("maintainer")
    walk.go("03-02 10:00", "maintainer", "finish_task")
    walk.go("03-02 10:10", "cleaner", "return_task", note="没有垃圾")
    assert (walk.body["status"], walk.body["queue"]) == ("in_disposal", "task_returned")
    helper = walk.body["tasks"][1]
    assert (helper["status"], helper["note"]) == ("returned", "没有垃圾")
    assert walk.refused("03-02 10:15", "maintainer", "submit") == (409, "move.tasks_open")
    walk.clock("03-02 10:18")
    seen = desk.get("dispatcher", f"/incidents/{walk.number}").json()["tasks"][1]
    assert seen["moves"] == ["withdraw_task"]
    walk.go("03-02 10:20", "dispatcher", "withdraw_task", task=helper["id"], note="不用扫")
    assert (walk.body["status"], walk.body["queue"]) == ("checking", "to_check")
    assert walk.moves() == [
        *SENT, "finish_task", "offer_task", "return_task", "withdraw_task",
        "submit", "feed_back", "send_check",
    ]  # fmt: skip


def test_a_helper_added_by_hand(desk: Office) -> None:
    walk = Walk(desk, ROAD, WEEK, "maintainer")
    walk.go("03-02 09:10", "dispatcher", "add_task", to="cleaner", after_lead=True)
    assert walk.tasks() == [("maintainer", "offered"), ("cleaner", "waiting")]
    walk.go("03-02 09:15", "maintainer", "add_task", to="officer")
    assert walk.tasks()[2] == ("officer", "offered")
    assert walk.refused("03-02 09:20", "officer", "submit")[0] == 403
    assert walk.moves() == [*SENT, "add_task", "add_task"]


def test_a_leader_presses_and_closes_by_force(desk: Office) -> None:
    walk = Walk(desk, OVERFLOW, WEEK, "cleaner")
    walk.go("03-02 09:30", "leader", "supervise", note="群众反映强烈")
    assert walk.body["standing"]["supervised"]
    assert walk.refused("03-02 09:40", "cleaner", "force_close", note="x")[0] == 403
    assert walk.refused("03-02 09:40", "leader", "force_close") == (422, "move.reason_missing")
    walk.go("03-02 10:00", "leader", "force_close", note="已拆除该点位")
    assert (walk.body["status"], walk.body["standing"]["forced"]) == ("closed", True)
    assert walk.tasks() == [("cleaner", "withdrawn")]
    assert walk.moves() == [*SENT, "supervise", "force_close"]
    assert walk.times()[-1] == at("03-02 10:00")


def test_work_given_to_a_unit_is_seen_by_all_and_taken_by_one(
    desk: Office, town_services: Services
) -> None:
    walk = Walk(desk, OVERFLOW, WEEK, "cleaner")
    walk.go("03-02 09:10", "cleaner", "return_task", note="今天请队里安排")
    with town_services.sessions() as session:
        me = desk.get("cleaner", "/me").json()["staff_id"]
        unit = session.scalar(
            text("select u.name from unit u join staff s on s.unit_id = u.id where s.id = :me"),
            {"me": me},
        )
    walk.go("03-02 09:15", "dispatcher", "dispatch", to=unit)
    assert (walk.body["status"], walk.body["queue"]) == ("dispatched", None)
    assert walk.body["tasks"][1]["assignee"] is None
    assert walk.body["tasks"][1]["unit"] == unit
    walk.go("03-02 09:20", "cleaner", "accept_task")
    assert walk.body["status"] == "in_disposal"
    assert walk.body["tasks"][1]["assignee"]["id"] == me
    assert walk.moves() == [*SENT, "return_task", "return", "dispatch", "accept_task", "assign"]


def test_the_record_of_all_these_walks_is_whole(desk: Office, town_services: Services) -> None:
    with town_services.sessions() as session:
        assert [f for f in check_record(session) if f.code != "record.outside_town"] == []


def test_another_condition_keeps_what_was_used(desk: Office) -> None:
    """A grate's conditions: -1 two hours round the clock, -2 four working hours, -5 one working day (eight hours)."""
    walk = Walk(desk, GRATE, WEEK, "maintainer")
    assert walk.due() == at("03-02 11:00")
    assert "set_condition" in desk.get("watch_chief", f"/incidents/{walk.number}").json()["moves"]
    # Whoever files says under which condition; nobody who does the work or hands it out.
    other = {"condition": f"{GRATE}-2", "note": "只是破损"}
    for role in ("maintainer", "dispatcher"):
        assert walk.refused("03-02 09:30", role, "set_condition", **other)[0] == 403
    said = (
        ({"note": "x"}, "move.filing_condition_missing"),
        ({"condition": f"{GRATE}-2"}, "move.reason_missing"),
        ({"condition": f"{ROAD}-1", "note": "x"}, "condition.unknown"),
    )
    for lacking, code in said:
        assert walk.refused("03-02 09:30", "watch_chief", "set_condition", **lacking) == (422, code)
    walk.go("03-02 09:30", "watch_chief", "set_condition", **other)
    # Four working hours from nine: three to noon, one from two. The half hour used stays used.
    assert walk.due() == at("03-02 15:00")
    assert walk.told("disposal")["used_minutes"] == 30
    assert [task["due_at"] for task in walk.body["tasks"][:1]] == [walk.body["due_at"]]
    line = desk.get("watch_chief", f"/incidents/{walk.number}/history").json()[-1]
    assert (line["move"], line["actor"], line["note"]) == (
        "set_condition", "account:watch_chief", "只是破损",
    )  # fmt: skip
    changed = line["detail"]["limit"]
    assert (changed["from"]["condition"], changed["to"]["condition"]) == (
        f"{GRATE}-1",
        f"{GRATE}-2",
    )
    assert (changed["from"]["value"], changed["from"]["unit"]) == (2, "hours")
    assert datetime.fromisoformat(changed["to"]["due_at"]) == at("03-02 15:00")
    limits = [r for r in walk.body["reasons"] if r["code"] == "limit.of_condition"]
    assert [r["values"]["condition"] for r in limits] == [f"{GRATE}-2"]

    walk.go("03-02 10:00", "watch_chief", "set_condition", condition=f"{GRATE}-5", note="堵塞")
    # Eight working hours: three to noon, four in the afternoon, one on Tuesday morning.
    assert walk.due() == at("03-03 09:00")
    walk.go("03-02 10:15", "maintainer", "return_task", note="不归我")
    assert walk.due() is None
    me = desk.get("maintainer", "/me").json()["staff_id"]
    walk.go("03-02 10:45", "dispatcher", "dispatch", to=me)
    # Half an hour of working time stood still.
    assert walk.due() == at("03-03 09:30")
    walk.go("03-02 11:00", "watch_chief", "set_condition", condition=f"{GRATE}-1", note="移位了")
    # 75 and 15 minutes of two hours are used: thirty are left.
    assert walk.told("disposal")["used_minutes"] == 90
    assert walk.due() == at("03-02 11:30")
    # Its limit passed at 11:30; what was wrongly filed is put right all the same, and the record shows both.
    walk.go("03-02 11:40", "watch_chief", "set_condition", condition=f"{GRATE}-2", note="并未移位")
    assert walk.due() == at("03-02 15:30")
    walk.go("03-02 14:00", "watch_chief", "suspend", note="等料", until="2026-03-04T09:00:00+08:00")
    walk.go("03-02 14:10", "watch_chief", "set_condition", condition=f"{GRATE}-5", note="是堵塞")
    assert walk.due() is None
    # 8 hours less 75 + 75 minutes = 330 left on Wednesday at nine: 180 to noon, 150 from two.
    walk.go("03-04 09:00", "dispatcher", "resume")
    assert walk.due() == at("03-04 16:30")


def test_a_category_of_another_urgency_keeps_what_was_used(desk: Office) -> None:
    """The damaged road (five working days) is a shifted drain cover: two hours round the clock, for the same person."""
    walk = Walk(desk, ROAD, WEEK, "maintainer")
    # Five days of eight working hours: the same time next Monday.
    assert walk.due() == at("03-09 09:00")
    before = walk.body["tasks"][0]["accept_by"]
    walk.go(
        "03-02 09:45", "dispatcher", "set_category", category="01003", condition="01003-2", note="是井盖破损",
    )  # fmt: skip
    assert walk.due() == at("03-02 15:00")
    walk.go("03-02 10:00", "dispatcher", "set_category", category="01003", note="井盖移位")
    assert walk.tasks() == [("maintainer", "offered")]
    assert walk.told("disposal")["used_minutes"] == 60
    assert walk.due() == at("03-02 11:00")
    # Two working hours to accept became ten minutes, from the moment on that the person hears of it.
    assert datetime.fromisoformat(before) == at("03-02 11:00")
    assert datetime.fromisoformat(walk.body["tasks"][0]["accept_by"]) == at("03-02 09:55")
    lines = desk.get("watch_chief", f"/incidents/{walk.number}/history").json()
    changed = [line["detail"]["limit"] for line in lines if line["move"] == "set_category"]
    assert [(c["from"]["condition"], c["to"]["condition"]) for c in changed] == [
        (f"{ROAD}-1", "01003-2"), ("01003-2", "01003-1"),
    ]  # fmt: skip


def test_a_limit_that_reaches_into_a_year_not_published_says_so(desk: Office) -> None:
    """Five working days from 30 December 2026 end in 2027, whose shifted days nobody has published."""
    walk = Walk(desk, ROAD, "2026-12-30 09:00", "maintainer")
    said = {item["code"]: item["values"] for item in walk.body["reasons"]}
    assert said["limit.unofficial_year"] == {"year": 2027}
    assert "2027年放假调休尚未公布" in walk.body["reason"]
    assert walk.told("disposal")["unofficial"] is True
    english = desk.get("operator", f"/incidents/{walk.number}", headers={"Accept-Language": "en"})
    assert "2027" in english.json()["reason"]
    # Two hours round the clock need no calendar.
    other = Walk(desk, GRATE, "2026-12-31 23:00", "maintainer")
    assert "limit.unofficial_year" not in {item["code"] for item in other.body["reasons"]}
    assert other.told("disposal")["unofficial"] is False
