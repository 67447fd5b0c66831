"""The JSON interface as programs meet it: sign-in, reports, lists, moves, photographs, ground, live feed, problems."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from api.auth import save_account
from api.cli.demonstration import SAMPLE_PASSWORD
from api.deps import get_now
from api.services import Services
from tests.web import Office, office, server_thread

SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"
REPORT = {"channel": "hotline_12345", "category": "06042", "description": SENTENCE}


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def reported(desk: Office, role: str | None = "operator", **changes: Any) -> dict[str, Any]:
    answer = desk.post(role, "/incidents", {**REPORT, **changes})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def numbers(desk: Office, query: str, role: str = "operator") -> list[str]:
    answer = desk.get(role, f"/incidents?{query}")
    assert answer.status_code == 200, answer.text
    return [item["number"] for item in answer.json()["items"]]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The one shape of every failure."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert body["detail"] != code, "the code has no sentence"
    assert "{" not in body["detail"], "a place of the sentence was not filled"
    return body


def photo(exif: bool = False, size: tuple[int, int] = (640, 480)) -> bytes:
    out = io.BytesIO()
    image = Image.new("RGB", size, (90, 120, 60))
    data = Image.Exif()
    if exif:
        data[0x010F] = "PhoneMaker"
        data.get_ifd(0x8825)[2] = (33.0, 36.0, 0.0)
    image.save(out, "JPEG", exif=data)
    return out.getvalue()


# Signing in.


def test_a_token_opens_the_door_and_its_end_closes_it(desk: Office) -> None:
    answer = desk.client.post(
        "/api/v1/token", data={"username": "dispatcher", "password": SAMPLE_PASSWORD}
    )
    body = answer.json()
    assert (answer.status_code, body["token_type"]) == (200, "bearer")
    me = desk.client.get(
        "/api/v1/me", headers={"Authorization": f"Bearer {body['access_token']}"}
    ).json()
    assert (me["username"], me["role"]) == ("dispatcher", "dispatcher")
    app: Any = desk.client.app
    app.dependency_overrides[get_now] = lambda: datetime.now(UTC) + timedelta(hours=13)
    try:
        late = desk.client.get(
            "/api/v1/me", headers={"Authorization": f"Bearer {body['access_token']}"}
        )
    finally:
        app.dependency_overrides.clear()
    problem(late, 401, "auth.sign_in_needed")


def test_name_and_password_may_come_with_every_request(desk: Office) -> None:
    good = desk.client.get("/api/v1/me", auth=("leader", SAMPLE_PASSWORD))
    assert good.json()["role"] == "leader"
    problem(desk.client.get("/api/v1/me", auth=("leader", "wrong")), 401, "auth.sign_in_needed")


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Bearer ", "Basic nonsense", "Basic " + "A" * 5000, "Digest x"]
)
def test_a_wrong_key_is_an_error_and_not_nobody(desk: Office, header: str) -> None:
    answer = desk.client.get("/api/v1/incidents", headers={"Authorization": header})
    body = problem(answer, 401, "auth.sign_in_needed")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "nonsense" not in json.dumps(body)


def test_five_wrong_passwords_lock_an_account_for_a_while(
    desk: Office, town_services: Services
) -> None:
    with town_services.sessions() as session:
        save_account(session, "forgetful", "a good password", "健忘", "operator")
        session.commit()

    def sign_in(password: str) -> httpx.Response:
        data = {"username": "forgetful", "password": password}
        answer: httpx.Response = desk.client.post("/api/v1/token", data=data)
        return answer

    for _ in range(5):
        problem(sign_in("a bad password"), 401, "auth.sign_in_needed")
    locked = problem(sign_in("a good password"), 403, "auth.locked")
    assert locked["values"]["minutes"] == 15
    app: Any = desk.client.app
    app.dependency_overrides[get_now] = lambda: datetime.now(UTC) + timedelta(minutes=16)
    try:
        assert sign_in("a good password").status_code == 200
    finally:
        app.dependency_overrides.clear()


def test_nobody_and_a_wrong_password_cannot_be_told_apart(desk: Office) -> None:
    answers = [
        desk.client.post("/api/v1/token", data={"username": name, "password": "wrong password"})
        for name in ("analyst", "no-such-name")
    ]
    assert answers[0].json() == answers[1].json()


def test_a_page_session_needs_its_csrf_value_to_change_anything(
    town_services: Services,
) -> None:
    with office(town_services) as fresh:
        answer = fresh.client.post(
            "/login",
            data={"username": "operator", "password": SAMPLE_PASSWORD},
            follow_redirects=False,
        )
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite" in cookie
        assert fresh.client.get("/api/v1/me").status_code == 200
        for token in ({}, {"X-CSRF-Token": "guess"}, {"X-CSRF-Token": "猜".encode()}):
            refused = fresh.client.post("/api/v1/incidents", json=REPORT, headers=token)
            problem(refused, 403, "auth.csrf")
        with town_services.sessions() as session:
            csrf = session.scalar(
                text("select csrf from access_key where kind = 'session' order by made_at desc")
            )
        taken = fresh.client.post(
            "/api/v1/incidents", json=REPORT, headers={"X-CSRF-Token": str(csrf)}
        )
        assert taken.status_code == 201


# Reports.


def test_a_report_is_answered_with_place_grid_person_limit_and_reason(desk: Office) -> None:
    answer = desk.post("operator", "/incidents", REPORT)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/incidents/{body['number']}"
    assert body["status"] == "in_disposal"
    assert body["category"]["code"] == "06042"
    assert body["location"]["match"] == "crossing"
    assert 114 < body["location"]["lon"] < 115
    assert 33 < body["location"]["lat"] < 34
    assert body["segment"]["street"] in ("永胜路", "站前路")
    assert body["grid"]["code"]
    (task,) = body["tasks"]
    assert task["post"] == "cleaner"
    assert task["assignee"]["name"]
    assert task["due_at"] == body["due_at"]
    assert task["assignee"]["name"] in body["reason"]
    assert body["grid"]["code"] in body["reason"]
    english = desk.get(
        "operator", f"/incidents/{body['number']}", headers={"Accept-Language": "en"}
    ).json()
    assert english["reason"] != body["reason"]
    assert english["reason"].isascii() is False, "names stay as they are"


def test_the_answer_to_a_report_is_what_is_read_of_it_later(desk: Office) -> None:
    """It is made from what was written, without asking again: person, helpers, span, point, nobody, no place."""
    lon, lat = desk.ground_of("cleaner")
    said = [
        {"category": "06042", "description": "永胜路407号对面门店旁垃圾满溢"},
        {"category": "10993", "description": "丰乐街与乐园路交汇处北侧公交站旁门前三包没有落实"},
        {"category": "06011", "description": "便民路自育才路起至永胜路止积存建筑垃圾"},
        {"category": "06036", "description": "府前街两侧门口乱堆乱放"},
        {"description": "井盖破损", "location": {"lon": lon, "lat": lat, "datum": "wgs84"}},
        {"description": "没有说在哪里", "occurred_at": "2026-01-05T08:00:00+08:00"},
        {"description": "垃圾", "reporter": {"name": "王", "phone": "13800000000"}},
    ]
    now = datetime.now(UTC)
    app: Any = desk.client.app
    app.dependency_overrides[get_now] = lambda: now
    seen = set()
    try:
        for role, language in (("operator", "zh"), ("dispatcher", "en")):
            for report in said:
                body = {"channel": "hotline_12345", **report}
                asked = {"headers": {"Accept-Language": language}}
                answered = desk.post(role, "/incidents", body, **asked)
                assert answered.status_code == 201, answered.text
                given = answered.json()
                assert answered.headers["location"] == f"/api/v1/incidents/{given['number']}"
                assert given == desk.get(role, f"/incidents/{given['number']}", **asked).json()
                seen |= {given["status"], f"{len(given['tasks'])} tasks", bool(given["span"])}
    finally:
        app.dependency_overrides.clear()
    assert seen >= {"in_disposal", "reported", "1 tasks", True}
    assert seen & {"2 tasks", "3 tasks", "4 tasks"}


def test_the_same_key_gives_the_same_incident_and_other_words_a_conflict(desk: Office) -> None:
    key = {"Idempotency-Key": "a-key-of-mine"}
    first = desk.post("operator", "/incidents", REPORT, headers=key)
    again = desk.post("operator", "/incidents", REPORT, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["number"] == again.json()["number"]
    other = desk.post("operator", "/incidents", {**REPORT, "description": "别的"}, headers=key)
    problem(other, 409, "incident.key_reused")
    colleague = desk.post("dispatcher", "/incidents", REPORT, headers=key)
    assert colleague.status_code == 201, "a key belongs to its sender"


def test_a_key_that_is_too_long_is_refused_and_the_header_is_told_of(desk: Office) -> None:
    longest = {"Idempotency-Key": "k" * 200}
    first = desk.post("operator", "/incidents", REPORT, headers=longest)
    assert first.status_code == 201
    assert desk.post("operator", "/incidents", REPORT, headers=longest).status_code == 200
    refused = desk.post("operator", "/incidents", REPORT, headers={"Idempotency-Key": "k" * 201})
    assert refused.status_code == 422
    assert refused.json()["code"] == "request.invalid"
    assert "200" in refused.json()["detail"]
    told = desk.client.get("/api/v1/openapi.json").json()["paths"]["/api/v1/incidents"]["post"]
    assert [(one["name"], one["in"]) for one in told["parameters"]] == [
        ("idempotency-key", "header")
    ]


def test_keys_of_one_sender_never_meet_those_of_another(desk: Office) -> None:
    key = {"Idempotency-Key": "1"}
    open_to_all = {**REPORT, "channel": "citizen", "description": "永胜路12号门口路灯不亮"}
    first = desk.post(None, "/incidents", open_to_all, headers=key)
    again = desk.post(None, "/incidents", open_to_all, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["number"] == again.json()["number"]
    # Somebody else without an account, who also counts from one, is neither refused nor shown the first report.
    other = desk.post(None, "/incidents", {**open_to_all, "description": "别的"}, headers=key)
    assert other.status_code == 201
    assert other.json()["number"] != first.json()["number"]
    signed_in = desk.post("operator", "/incidents", open_to_all, headers=key)
    assert signed_in.status_code == 201
    # Nor can an account's key be spelled by another: a name with the sign that parts name and key.
    with desk.services.sessions() as session:
        save_account(session, "operator|1", SAMPLE_PASSWORD, "", "operator")
        session.commit()
    mine = desk.post("operator", "/incidents", REPORT, headers={"Idempotency-Key": "1|2"})
    theirs = desk.post("operator|1", "/incidents", REPORT, headers={"Idempotency-Key": "2"})
    assert (mine.status_code, theirs.status_code) == (201, 201)


def test_an_external_id_needs_an_account(desk: Office) -> None:
    squatted = {**REPORT, "channel": "wechat", "external_id": "wx-1"}
    problem(desk.post(None, "/incidents", squatted), 401, "auth.sign_in_needed")
    assert desk.post("operator", "/incidents", squatted).status_code == 201


def test_a_resident_needs_no_account_and_sees_no_names(desk: Office) -> None:
    body = reported(
        desk, None, channel="citizen", reporter={"name": "张某", "phone": "0000-1234567"}
    )
    assert body["queue"] == "to_accept"
    assert "张某" not in json.dumps(body, ensure_ascii=False)
    assert body["reasons"] == []
    for role in ("operator", "leader", "analyst"):
        seen = desk.get(role, f"/incidents/{body['number']}").text
        assert "0000-1234567" not in seen
    problem(desk.post(None, "/incidents", REPORT), 401, "auth.sign_in_needed")
    problem(desk.get(None, f"/incidents/{body['number']}"), 401, "auth.sign_in_needed")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({**REPORT, "channel": "pigeon"}, "channel.unknown", "channel"),
        ({**REPORT, "category": "99999"}, "category.unknown", "category"),
        ({"channel": "hotline_12345", "description": " "}, "report.empty", "description"),
        ({**REPORT, "location": {"lon": 114.6}}, "request.invalid", "location.lat"),
        ({**REPORT, "location": {"lon": "x", "lat": 1}}, "request.invalid", "location.lon"),
        ({**REPORT, "location": {"lon": 1, "lat": 1, "datum": "mars"}}, "datum.unknown", "datum"),
        ({**REPORT, "descripton": "mistyped"}, "request.invalid", "descripton"),
        ({**REPORT, "occurred_at": "yesterday"}, "request.invalid", "occurred_at"),
        ({**REPORT, "occurred_at": "2099-01-01T00:00:00Z"}, "report.in_future", "occurred_at"),
        ({**REPORT, "occurred_at": "2025-01-01T00:00:00"}, "request.invalid", "occurred_at"),
        ({**REPORT, "description": "满" * 10_001}, "report.too_long", "description"),
        ([REPORT], "request.invalid", "body"),
        ("text", "request.invalid", "body"),
    ],
)
def test_a_bad_report_is_told_its_field(desk: Office, body: object, code: str, field: str) -> None:
    answer = desk.post("operator", "/incidents", body)
    assert answer.status_code in (404, 422)
    assert problem(answer, answer.status_code, code)["field"] == field


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xff\xfe", b'{"channel": NaN}', b'{"description": "\\ud800"}']
)
def test_a_body_that_is_no_json_is_told_so(desk: Office, content: bytes) -> None:
    answer = desk.ask(
        "operator", "POST", "/incidents", content=content,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    problem(answer, 422, "request.invalid")


def test_odd_words_come_back_as_they_were(desk: Office) -> None:
    for words in (
        "🗑️满了",
        "满" * 9_000,
        "<script>alert(1)</script>",
        "\x01\x1b[31m",
        "'; drop table",
    ):
        body = reported(desk, description=words)
        assert body["description"] == words
        assert desk.get("operator", f"/incidents/{body['number']}").json()["description"] == words


# Lists.


@pytest.fixture(scope="module")
def some(desk: Office) -> dict[str, dict[str, Any]]:
    """Incidents of different kinds, to be told apart by filters."""
    lon, lat = desk.ground_of("gardener")
    return {
        "task": reported(desk, description="滤镜甲 " + SENTENCE),
        "placed": reported(
            desk, category="01014", description="滤镜乙", channel="patrol",
            location={"lon": lon, "lat": lat, "datum": "wgs84"},
        ),
        "lost": reported(desk, description="滤镜丙 不知道在哪里"),
        "unfiled": reported(desk, category=None, description=SENTENCE + " 滤镜丁"),
        "citizen": reported(desk, None, channel="citizen", description=SENTENCE + " 滤镜戊"),
    }  # fmt: skip


def test_each_filter_keeps_what_it_names(desk: Office, some: dict[str, dict[str, Any]]) -> None:
    ids = {name: item["number"] for name, item in some.items()}
    task = some["task"]
    everything = dict.fromkeys(ids.values(), True)

    def kept(query: str) -> set[str]:
        found = set(numbers(desk, f"{query}&page_size=500"))
        return {name for name, number in ids.items() if number in found and everything[number]}

    assert kept("status=in_disposal") >= {"task"}
    assert "lost" not in kept("status=in_disposal")
    assert kept("status=reported,accepted") == {"lost", "unfiled", "citizen"}
    assert kept("status=reported&status=accepted") == {"lost", "unfiled", "citizen"}
    assert kept("queue=place_needed") == {"lost"}
    assert kept("queue=to_accept") == {"citizen"}
    assert kept("queue=to_file") == {"unfiled"}
    assert kept("category=06042") == {"task", "lost", "citizen"}
    assert kept("channel=citizen") == {"citizen"}
    assert kept(f"grid={task['grid']['code']}") >= {"task", "unfiled", "citizen"}
    assert "lost" not in kept(f"grid={task['grid']['code']}")
    assert kept("post=cleaner") == {"task"}
    assert kept(f"assignee={task['tasks'][0]['assignee']['id']}") == {"task"}
    assert kept("q=滤镜丙") == {"lost"}
    assert kept(f"q={ids['citizen']}") == {"citizen"}
    assert kept("q=%25") == set(), "a percent sign is no wildcard"
    assert kept("open=true") == set(ids)
    assert kept("overdue=true") == set()
    assert kept("flag=no_such_flag") == set()
    assert kept("grid=Z999") == set()
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert kept(f"to={later}") == set(ids)
    assert kept(f"from={later}") == set()


def test_a_box_keeps_what_lies_in_it(desk: Office, some: dict[str, dict[str, Any]]) -> None:
    place = some["task"]["location"]
    lon, lat = place["lon"], place["lat"]
    near = f"{lon - 0.0005},{lat - 0.0005},{lon + 0.0005},{lat + 0.0005}"
    assert some["task"]["number"] in numbers(desk, f"bbox={near}&page_size=500")
    swapped = f"{lon + 0.01},{lat},{lon + 0.02},{lat + 0.01}"
    assert some["task"]["number"] not in numbers(desk, f"bbox={swapped}&page_size=500")
    for bad in ("1,2,3", "a,b,c,d", f"{lat},{lon},{lat + 1},{lon + 1}", "2,2,1,1", "nan,0,1,1"):
        body = problem(desk.get("operator", f"/incidents?bbox={bad}"), 422, "bbox.unreadable")
        assert body["field"] == "bbox"


def test_lists_are_sorted_and_paged_without_gap_or_repeat(
    desk: Office, some: dict[str, dict[str, Any]]
) -> None:
    for sort in ("reported_at", "-reported_at", "due_at", "-due_at", "number"):
        pages: list[str] = []
        page = 1
        while found := numbers(desk, f"sort={sort}&page={page}&page_size=7"):
            pages += found
            page += 1
        whole = numbers(desk, f"sort={sort}&page_size=500")
        assert pages == whole
        assert len(set(whole)) == len(whole)
    newest = desk.get("operator", "/incidents?sort=-reported_at&page_size=500").json()
    times = [item["reported_at"] for item in newest["items"]]
    assert times == sorted(times, reverse=True)
    due = desk.get("operator", "/incidents?sort=due_at&page_size=500").json()["items"]
    limits = [item["due_at"] for item in due]
    assert limits == sorted(limits, key=lambda d: (d is None, d or ""))
    assert newest["total"] == len(newest["items"])
    assert newest["total_is_least"] is False
    problem(desk.get("operator", "/incidents?sort=name"), 422, "list.sort_unknown")
    for query in ("page=0", "page_size=501", "page_size=0"):
        problem(desk.get("operator", f"/incidents?{query}"), 422, "list.page_bad")
    problem(desk.get("operator", "/incidents?from=2025-01-01"), 422, "request.invalid")


def test_a_list_costs_few_statements(desk: Office, town_services: Services) -> None:
    from sqlalchemy import event

    statements: list[str] = []

    def count(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(town_services.engine, "before_cursor_execute", count)
    try:
        assert len(numbers(desk, "page_size=50")) > 30
    finally:
        event.remove(town_services.engine, "before_cursor_execute", count)
    assert len(statements) <= 12


def test_crews_see_their_own_incidents_only(desk: Office, some: dict[str, dict[str, Any]]) -> None:
    mine = some["placed"]["number"]
    assert mine in numbers(desk, "page_size=500", "gardener")
    assert mine not in numbers(desk, "page_size=500", "cleaner")
    problem(desk.get("cleaner", f"/incidents/{mine}"), 404, "incident.unknown")
    problem(desk.get("cleaner", f"/incidents/{mine}/history"), 404, "incident.unknown")
    other = some["task"]["tasks"][0]["assignee"]["id"]
    asked = numbers(desk, f"assignee={other}&page_size=500", "gardener")
    assert some["task"]["number"] not in asked or "gardener" in some["task"]["tasks"][0]["post"]


def test_history_tells_every_step_with_its_actor(
    desk: Office, some: dict[str, dict[str, Any]]
) -> None:
    lines = desk.get("operator", f"/incidents/{some['task']['number']}/history").json()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert (lines[0]["move"], lines[0]["actor"]) == ("report", "account:operator")
    assert {line["actor"] for line in lines[1:]} == {"system"}
    assert lines[-1]["to_status"] == "in_disposal"
    problem(desk.get("operator", "/incidents/20250101-999999"), 404, "incident.unknown")
    problem(desk.get("operator", "/incidents/20250101-999999/history"), 404, "incident.unknown")


def test_what_wants_only_a_category_waits_to_be_filed_and_then_goes_on(desk: Office) -> None:
    lon, lat = desk.ground_of("cleaner")
    location = {"lon": lon, "lat": lat, "datum": "wgs84"}
    body = {"channel": "patrol", "description": "这里有问题", "location": location}
    made = desk.post("operator", "/incidents", body).json()
    assert (made["queue"], made["category"], made["tasks"]) == ("to_file", None, [])
    given = {**location, "category": "06042", "version": made["version"]}
    answer = desk.post("dispatcher", f"/incidents/{made['number']}/place", given).json()
    assert (answer["status"], answer["queue"]) == ("in_disposal", None)
    assert answer["tasks"][0]["assignee"]["name"]


# Moves.


def own_task(desk: Office, post: str = "cleaner", category: str = "06042") -> dict[str, Any]:
    lon, lat = desk.ground_of(post)
    body = reported(
        desk, description="", category=category, channel="patrol",
        location={"lon": lon, "lat": lat, "datum": "wgs84"},
    )  # fmt: skip
    me = desk.get(post, "/me").json()["staff_id"]
    assert body["tasks"][0]["assignee"]["id"] == me
    return body


def move(desk: Office, role: str, number: str, name: str, **more: Any) -> httpx.Response:
    return desk.post(role, f"/incidents/{number}/moves", {"move": name, **more})


def upload(desk: Office, role: str, number: str, content: bytes, **form: str) -> httpx.Response:
    return desk.ask(
        role, "POST", f"/incidents/{number}/evidence", data={"stage": "after", **form},
        files={"photo": ("photo.jpg", content, "image/jpeg")},
    )  # fmt: skip


def test_a_cleaner_accepts_photographs_and_finishes_and_somebody_else_must_check(
    desk: Office,
) -> None:
    body = own_task(desk)
    number = body["number"]
    tasks = desk.get("cleaner", "/me/tasks").json()
    assert number in [task["incident"]["number"] for task in tasks]
    assert {"accept_task", "finish_task"} <= set(
        desk.get("cleaner", f"/incidents/{number}").json()["moves"]
    )
    accepted = move(desk, "cleaner", number, "accept_task", version=body["version"]).json()
    assert accepted["tasks"][0]["status"] == "accepted"
    assert accepted["version"] == body["version"] + 1
    without = problem(move(desk, "cleaner", number, "finish_task"), 422, "move.photo_missing")
    assert without["field"]
    assert upload(desk, "cleaner", number, photo()).status_code == 201
    done = move(desk, "cleaner", number, "finish_task").json()
    assert done["status"] == "checking"
    assert done["tasks"][0]["status"] == "done"
    assert done["disposed_at"] is not None
    moves = [line["move"] for line in desk.get("operator", f"/incidents/{number}/history").json()]
    assert moves[-4:] == ["finish_task", "submit", "feed_back", "send_check"]
    own_check = move(desk, "cleaner", number, "check_passed")
    assert own_check.status_code == 403
    problem(own_check, 403, own_check.json()["code"])


def test_an_old_version_is_a_conflict_and_changes_nothing(desk: Office) -> None:
    body = own_task(desk)
    number, version = body["number"], body["version"]
    assert move(desk, "cleaner", number, "accept_task", version=version).status_code == 200
    late = problem(
        move(desk, "dispatcher", number, "note", note="x", version=version), 409, "incident.changed"
    )
    assert late["values"]["version"] == version + 1
    assert desk.get("operator", f"/incidents/{number}").json()["version"] == version + 1


def test_moves_that_are_not_yours_not_now_or_unknown_are_refused(desk: Office) -> None:
    number = own_task(desk)["number"]
    problem(move(desk, "maintainer", number, "accept_task"), 404, "incident.unknown")
    problem(move(desk, "operator", number, "reassign", note="x", to=1), 403, "move.not_yours")
    problem(move(desk, "analyst", number, "note", note="x"), 403, "auth.not_permitted")
    problem(move(desk, "operator", number, "accept"), 409, "move.not_now")
    problem(move(desk, "operator", number, "teleport"), 422, "move.unknown")
    problem(move(desk, "operator", "20250101-999999", "accept"), 404, "incident.unknown")
    problem(desk.post(None, f"/incidents/{number}/moves", {"move": "accept"}), 401,
            "auth.sign_in_needed")  # fmt: skip


def test_a_returned_task_comes_back_to_the_dispatcher_who_gives_it_to_another(
    desk: Office, town_services: Services
) -> None:
    number = own_task(desk)["number"]
    returned = move(desk, "cleaner", number, "return_task", note="不是我的").json()
    assert (returned["status"], returned["queue"]) == ("filed", "returned")
    with town_services.sessions() as session:
        other = session.scalar(text("select id from staff where staff_no = 'HW0007'"))
    given = move(desk, "dispatcher", number, "dispatch", to=other).json()
    assert given["status"] == "in_disposal"
    held = [t for t in given["tasks"] if t["status"] == "offered"]
    assert [task["assignee"]["id"] for task in held] == [other]
    assert number not in [
        task["incident"]["number"] for task in desk.get("cleaner", "/me/tasks").json()
    ]


def test_a_citizens_report_goes_on_when_it_is_accepted(desk: Office) -> None:
    number = reported(desk, None, channel="citizen")["number"]
    body = move(desk, "operator", number, "accept").json()
    assert (body["status"], body["queue"]) == ("in_disposal", None)
    assert body["tasks"][0]["post"] == "cleaner"
    assert body["due_at"] is not None
    assert body["reasons"][-1]["code"] == "limit.of_condition"


# Photographs.


def test_a_category_given_later_sends_what_waited_for_one_on_its_way(desk: Office) -> None:
    waiting = reported(desk, category=None)
    assert (waiting["status"], waiting["queue"], waiting["tasks"]) == ("accepted", "to_file", [])
    where = f"/incidents/{waiting['number']}/moves"
    lacking = desk.post("dispatcher", where, {"move": "set_category", "note": "垃圾桶满了"})
    problem(lacking, 422, "move.category_missing")
    answer = desk.post(
        "dispatcher", where, {"move": "set_category", "category": "06042", "note": "垃圾桶满了"}
    )
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "in_disposal")
    assert body["category"]["code"] == "06042"
    assert [task["post"] for task in body["tasks"]] == ["cleaner"]
    assert body["due_at"] is not None


def test_a_number_finds_its_incident_whatever_the_other_filters_are(desk: Office) -> None:
    number = reported(desk)["number"]
    assert numbers(desk, f"q={number}&status=closed&category=01003") == [number]


def test_a_collector_checks_the_result_and_the_watch_chief_closes(desk: Office) -> None:
    number = reported(desk)["number"]
    where = f"/incidents/{number}/moves"
    cleaner = desk.get("cleaner", "/me").json()["staff_id"]
    assert desk.post(
        "dispatcher", where, {"move": "reassign", "to": cleaner, "note": "近"}
    ).is_success
    sent = desk.client.post(
        f"/api/v1/incidents/{number}/evidence",
        headers={"Authorization": f"Bearer {desk.token('cleaner')}"},
        files={"photo": ("after.jpg", photo(), "image/jpeg")},
        data={"stage": "after"},
    )
    assert sent.status_code == 201
    assert desk.post("cleaner", where, {"move": "finish_task"}).json()["status"] == "checking"
    checked = desk.post("collector", where, {"move": "check_passed"}).json()
    assert (checked["status"], checked["queue"]) == ("pending_close", "to_close")
    closed = desk.post("watch_chief", where, {"move": "close", "condition": "06042-1"}).json()
    assert (closed["status"], closed["queue"], closed["moves"][-1:]) == ("closed", None, ["note"])


def test_a_photograph_is_kept_without_what_the_phone_wrote_into_it(desk: Office) -> None:
    number = own_task(desk)["number"]
    answer = upload(desk, "cleaner", number, photo(exif=True, size=(4000, 3000)))
    stored = desk.ask("operator", "GET", answer.json()["url"].removeprefix("/api/v1"))
    assert stored.headers["content-type"] == "image/jpeg"
    assert "private" in stored.headers["cache-control"]
    image = Image.open(io.BytesIO(stored.content))
    assert dict(image.getexif()) == {}
    assert b"PhoneMaker" not in stored.content
    assert max(image.size) == 2560
    small = desk.ask(
        "operator", "GET", answer.json()["url"].removeprefix("/api/v1") + "?size=thumbnail"
    )
    assert max(Image.open(io.BytesIO(small.content)).size) == 320
    hidden = desk.ask("maintainer", "GET", answer.json()["url"].removeprefix("/api/v1"))
    problem(hidden, 404, "incident.unknown")


def test_a_photograph_sent_twice_is_kept_once(desk: Office) -> None:
    number = own_task(desk)["number"]
    sent = [upload(desk, "cleaner", number, photo(), client_id="p-1").json()["id"] for _ in "ab"]
    assert sent[0] == sent[1]
    assert len(desk.get("operator", f"/incidents/{number}").json()["evidence"]) == 1
    other = own_task(desk)["number"]
    reused = upload(desk, "cleaner", other, photo(), client_id="p-1")
    problem(reused, 422, "evidence.client_id_reused")


def test_what_is_no_photograph_or_too_much_is_refused(desk: Office) -> None:
    number = own_task(desk)["number"]
    jpeg = photo()
    for content in (b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                    jpeg[: len(jpeg) // 2], b"GIF89a" + b"\0" * 40):  # fmt: skip
        problem(upload(desk, "cleaner", number, content), 422, "evidence.not_a_photo")
    half = upload(desk, "cleaner", number, b"%PDF-1.7")
    problem(half, 422, "evidence.broken_document")
    large = upload(desk, "cleaner", number, b"\xff" * 20_000_001)
    assert problem(large, 422, "evidence.too_large")["field"] == "photo"
    bad_stage = upload(desk, "cleaner", number, photo(), stage="midway")
    problem(bad_stage, 422, "request.invalid")
    assert desk.get("operator", f"/incidents/{number}").json()["evidence"] == []


# Places fixed by hand.


def test_a_candidate_or_a_pin_sends_a_waiting_report_on_its_way(desk: Office) -> None:
    lon, lat = desk.ground_of("cleaner")
    for how in ("candidate", "pin"):
        waiting = reported(
            desk, location={"lon": lon, "lat": lat, "datum": "wgs84"}, channel="patrol",
            description="永胜路与站前路交叉口垃圾满溢",
        )  # fmt: skip
        assert waiting["queue"] == "place_needed"
        points = [c["match"] for c in waiting["candidates"]]
        chosen = (
            {"candidate": points.index("point")}
            if how == "candidate"
            else {"lon": lon, "lat": lat, "datum": "wgs84"}
        )
        answer = desk.post(
            "dispatcher", f"/incidents/{waiting['number']}/place",
            {**chosen, "version": waiting["version"]},
        )  # fmt: skip
        body = answer.json()
        assert answer.status_code == 200, answer.text
        assert (body["status"], body["queue"]) == ("in_disposal", None)
        assert body["location"]["lon"] == pytest.approx(lon, abs=1e-6)
        me = desk.get("cleaner", "/me").json()["staff_id"]
        assert body["tasks"][0]["assignee"]["id"] == me
    refused = desk.post("cleaner", f"/incidents/{waiting['number']}/place", {"candidate": 0})
    problem(refused, 403, "auth.not_permitted")


def test_a_category_given_with_the_place_files_what_had_none(desk: Office) -> None:
    waiting = reported(desk, category=None)
    body = desk.post(
        "operator",
        f"/incidents/{waiting['number']}/place",
        {
            "lon": waiting["location"]["lon"],
            "lat": waiting["location"]["lat"],
            "category": "06042",
        },
    ).json()
    assert (body["status"], body["tasks"][0]["post"]) == ("in_disposal", "cleaner")
    assert body["category"]["code"] == "06042"


# The ground.


def test_geocode_and_route_agree_with_the_incident_they_would_make(desk: Office) -> None:
    found = desk.get(None, "/geocode", params={"q": SENTENCE}).json()
    made = reported(desk)
    assert (found["lon"], found["lat"]) == pytest.approx(
        (made["location"]["lon"], made["location"]["lat"]), abs=1e-6
    )
    assert (found["segment_id"], found["grid"]["code"]) == (
        made["segment"]["id"],
        made["grid"]["code"],
    )
    lon, lat = desk.ground_of("cleaner")
    routed = desk.get(
        "operator", "/route", params={"lon": lon, "lat": lat, "category": "06042"}
    ).json()
    task = own_task(desk)
    assert routed["grid_code"] == task["grid"]["code"]
    assert routed["assignee"] == task["tasks"][0]["assignee"]
    assert routed["segment_id"] == task["segment"]["id"]
    nobody = desk.get(None, "/route", params={"lon": lon, "lat": lat, "category": "06042"}).json()
    assert nobody["assignee"] is None
    assert routed["assignee"]["name"] not in json.dumps(nobody, ensure_ascii=False)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/route?lon=114.6&lat=33.6&datum=mars", "datum.unknown"),
        ("/route?lon=nan&lat=33.6", "point.not_finite"),
        ("/route?lon=114.6", "request.invalid"),
        ("/route?lon=114.6&lat=33.6&category=99999", "category.unknown"),
        ("/route?lon=114.6&lat=33.6&at=yesterday", "request.invalid"),
        ("/geocode?q=", "request.invalid"),
        ("/geocode?q=" + "x" * 2001, "request.invalid"),
    ],
)
def test_a_bad_question_of_place_is_told_so(desk: Office, path: str, code: str) -> None:
    answer = desk.get("operator", path)
    assert answer.status_code in (404, 422)
    problem(answer, answer.status_code, code)


def test_a_point_on_the_other_side_of_the_world_is_answered_with_nobody(desk: Office) -> None:
    for lon, lat in ((0, 0), (33.6, 114.6), (-179.9, -89.9), (1e9, 1e9)):
        answer = desk.get("operator", "/route", params={"lon": lon, "lat": lat})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["segment_id"], body["grid"], body["queue"]) == (None, None, "place_needed")


def test_grids_and_segments_come_as_geojson_once(desk: Office, town_services: Services) -> None:
    with town_services.sessions() as session:
        segments = session.scalar(text("select count(*) from segment where gone_at is null"))
    for path, count in (("/segments.geojson", segments), ("/grids.geojson", 40)):
        first = desk.get("operator", path)
        assert first.headers["content-type"] == "application/geo+json"
        body = first.json()
        assert (body["type"], len(body["features"])) == ("FeatureCollection", count)
        lon, lat = body["features"][0]["geometry"]["coordinates"][0][:2]
        if isinstance(lon, list):
            lon, lat = lon
        assert 114 < lon < 115
        assert 33 < lat < 34
        again = desk.get("operator", path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        problem(desk.get(None, path), 401, "auth.sign_in_needed")
    part = desk.get("operator", "/segments.geojson?bbox=114.59,33.59,114.6,33.6").json()
    assert 0 < len(part["features"]) < segments
    problem(desk.get("operator", "/segments.geojson?bbox=x"), 422, "bbox.unreadable")
    grids = desk.get("operator", "/grids").json()
    assert len(grids) == 40
    assert all(set(grid["crew"]) >= {"officer", "cleaner", "gardener", "maintainer"}
               for grid in grids)  # fmt: skip


def test_categories_and_channels_are_open_to_all_in_both_languages(desk: Office) -> None:
    categories = desk.get(None, "/categories").json()
    by_code = {item["code"]: item for item in categories}
    assert len(by_code) == len(categories) == 130
    assert by_code["06042"]["post"] == "cleaner"
    assert all(item["name_zh"] and item["name_en"] for item in categories)
    channels = {item["code"] for item in desk.get(None, "/channels").json()}
    assert {"hotline_12345", "citizen", "patrol"} <= channels


# Failures of other kinds, and the description of the interface.


@pytest.mark.parametrize(
    "path",
    [
        "/incidents?q=%00",
        "/incidents?grid=a%00b",
        "/incidents?assignee=99999999999999999999999",
        "/incidents?page=99999999999999999999",
        "/incidents/%00",
        "/incidents/2025%2500",
        "/route?lon=114.6&lat=33.6&category=%00",
    ],
)
def test_values_that_no_database_holds_are_no_failure_of_ours(desk: Office, path: str) -> None:
    answer = desk.get("operator", path)
    assert answer.status_code in (200, 404, 422), answer.text
    if answer.status_code == 200:
        assert answer.json()["items"] == []


def test_unknown_paths_and_methods_have_the_same_shape(desk: Office) -> None:
    problem(desk.get(None, "/nothing"), 404, "http.404")
    problem(desk.ask(None, "DELETE", "/incidents"), 405, "http.405")


def test_the_sentence_is_in_the_readers_language(desk: Office) -> None:
    chinese, english = (
        desk.get(
            "operator", "/incidents/20250101-999999", headers={"Accept-Language": language}
        ).json()["detail"]
        for language in ("zh-CN,zh;q=0.9", "en-GB,en;q=0.9")
    )
    assert english.isascii()
    assert not chinese.isascii()


def test_the_description_of_the_interface_is_whole(desk: Office) -> None:
    body = desk.get(None, "/openapi.json").json()
    assert body["openapi"].startswith("3.")
    for path in ("token", "incidents", "incidents/{number}/moves", "geocode", "route", "live",
                 "incidents/{number}/evidence", "grids.geojson", "segments.geojson"):  # fmt: skip
        assert f"/api/v1/{path}" in body["paths"]
    names = set(body["components"]["schemas"])
    referred = set(json.dumps(body).split("#/components/schemas/"))
    assert {part.split('"')[0] for part in referred if not part.startswith("{")} <= names


def test_health_needs_no_account(desk: Office) -> None:
    assert desk.client.get("/healthz").json() == {"status": "ok"}
    # The worker belongs to `gridward serve`; the application alone says that there is none.
    assert desk.client.get("/readyz").json() == {"status": "ok", "worker": "none"}


# The live feed.


def events(answer: httpx.Response) -> Iterator[tuple[int, dict[str, Any]]]:
    """(id, data) of each `incident` message of a stream."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
            continue
        if fields.get("event") == "incident":
            yield int(fields["id"]), json.loads(fields["data"])
        fields = {}


def test_a_change_is_told_within_a_second_and_a_broken_stream_goes_on(
    desk: Office, town_services: Services
) -> None:
    bearer = {"Authorization": f"Bearer {desk.token('dispatcher')}"}
    with (
        server_thread(town_services) as address,
        httpx.Client(base_url=address, headers=bearer, timeout=20) as browser,
    ):
        with browser.stream("GET", "/api/v1/live") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            time.sleep(0.3)
            made = reported(desk)
            committed = time.monotonic()
            last, event = next(e for e in events(stream) if e[1]["number"] == made["number"])
            assert time.monotonic() - committed < 1.0
        assert event["status"] == "in_disposal"
        assert event["grid"] == made["grid"]["code"]
        assert (event["lon"], event["lat"]) == pytest.approx(
            (made["location"]["lon"], made["location"]["lat"]), abs=1e-6
        )
        missed = [reported(desk)["number"] for _ in range(3)]
        with browser.stream("GET", "/api/v1/live", headers={"Last-Event-ID": str(last)}) as stream:
            seen: list[str] = []
            for event_id, event in events(stream):
                if event_id > last:
                    seen.append(event["number"])
                if len(seen) == 3:
                    break
        assert seen == missed
    problem(desk.get("cleaner", "/live"), 403, "auth.not_permitted")
    problem(desk.get(None, "/live"), 401, "auth.sign_in_needed")
