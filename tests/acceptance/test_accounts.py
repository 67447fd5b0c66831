"""Accounts over HTTP: one-time passwords, tokens for programs, too many tries, whose personal data was looked at, who sees what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api import auth
from api.cli.demonstration import SAMPLE_PASSWORD
from api.deps import get_now
from api.limits import RateLimits
from api.services import Services
from dispatch import personal
from grid.core.settings import WebSettings
from tests.web import Office, office

SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def add_account(services: Services, username: str, role: str, **options: Any) -> None:
    with services.sessions() as session:
        auth.save_account(session, username, "first password", username, role, **options)
        session.commit()


def bearer(desk: Office, username: str, password: str) -> dict[str, str]:
    answer = desk.client.post("/api/v1/token", data={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_a_town_without_accounts_gets_one_administrator_and_only_one(
    empty_services: Services,
) -> None:
    with empty_services.sessions() as session:
        first = auth.first_administrator(session)
        assert first is not None
        assert len(first) >= 12
        assert auth.first_administrator(session) is None
        row = auth.check_password(session, "admin", first, datetime.now(UTC))
        assert row is not None
        assert (row.role, row.must_change) == ("administrator", True)
        session.rollback()


def test_a_one_time_password_opens_nothing_but_the_choice_of_another(
    desk: Office, town_services: Services
) -> None:
    add_account(town_services, "newcomer", "dispatcher", must_change=True)
    headers = bearer(desk, "newcomer", "first password")
    for path in ("/api/v1/incidents", "/api/v1/me", "/api/v1/live"):
        assert code_of(desk.client.get(path, headers=headers)) == (403, "auth.must_change")
    report = {"channel": "hotline_12345", "description": SENTENCE}
    refused = desk.client.post("/api/v1/incidents", headers=headers, json=report)
    assert refused.status_code == 403
    page = desk.client.post(
        "/login",
        data={"username": "newcomer", "password": "first password"},
        follow_redirects=False,
    )
    cookie = {"gridward_session": page.cookies["gridward_session"]}
    desk.client.cookies.clear()
    led = desk.client.get("/console", cookies=cookie, follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (303, "/account")
    desk.client.cookies.clear()
    for wrong in (
        {"old": "not it at all", "new": "another password"},
        {"old": "first password", "new": "first password"},
        {"old": "first password", "new": "short"},
    ):
        answer = desk.client.post("/api/v1/me/password", headers=headers, json=wrong)
        assert answer.status_code == 422
    right = {"old": "first password", "new": "another password"}
    assert desk.client.post("/api/v1/me/password", headers=headers, json=right).status_code == 204
    # The old token has ended with the old password.
    assert desk.client.get("/api/v1/me", headers=headers).status_code == 401
    renewed = bearer(desk, "newcomer", "another password")
    assert desk.client.get("/api/v1/incidents", headers=renewed).status_code == 200


def test_a_programs_token_may_do_what_it_was_given_and_no_more(desk: Office) -> None:
    made = desk.post("dispatcher", "/me/tokens", {"name": "屏幕", "scopes": ["read"], "days": 7})
    assert made.status_code == 201
    secret, token_id = made.json()["access_token"], made.json()["id"]
    headers = {"Authorization": f"Bearer {secret}"}
    assert desk.client.get("/api/v1/incidents", headers=headers).status_code == 200
    report = {"channel": "hotline_12345", "description": SENTENCE}
    assert code_of(desk.client.post("/api/v1/incidents", headers=headers, json=report)) == (
        403,
        "auth.not_permitted",
    )
    # It cannot make a stronger one either.
    stronger = desk.client.post(
        "/api/v1/me/tokens", headers=headers, json={"name": "x", "scopes": ["report"]}
    )
    assert code_of(stronger) == (403, "token.scope_beyond")
    same = desk.client.post("/api/v1/me/tokens", headers=headers, json={"name": "x"}).json()
    assert desk.client.post(
        "/api/v1/incidents", headers={"Authorization": f"Bearer {same['access_token']}"}, json=report
    ).status_code == 403  # fmt: skip
    listed = desk.get("dispatcher", "/me/tokens").json()
    assert [(t["name"], t["scopes"]) for t in listed if t["id"] == token_id] == [("屏幕", ["read"])]
    assert secret not in str(listed)
    assert desk.ask("operator", "DELETE", f"/me/tokens/{token_id}").status_code == 404
    assert desk.ask("dispatcher", "DELETE", f"/me/tokens/{token_id}").status_code == 204
    assert desk.client.get("/api/v1/incidents", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [(["fly"], (422, "token.scope_unknown")), (["administer"], (403, "token.scope_beyond"))],
)
def test_a_token_for_what_nobody_has_is_refused(
    desk: Office, scopes: list[str], expected: tuple[int, str]
) -> None:
    asked = {"name": "x", "scopes": scopes}
    assert code_of(desk.post("dispatcher", "/me/tokens", asked)) == expected


def test_one_address_that_fails_too_often_waits(desk: Office) -> None:
    app: Any = desk.client.app
    before = app.state.limits
    app.state.limits = RateLimits(WebSettings(failed_sign_ins_per_minute=3))
    try:
        for number in range(3):
            data = {"username": f"nobody{number}", "password": "x"}
            assert desk.client.post("/api/v1/token", data=data).status_code == 401
        right = {"username": "operator", "password": SAMPLE_PASSWORD}
        refused = desk.client.post("/api/v1/token", data=right)
        assert code_of(refused) == (429, "auth.too_many")
        assert 1 <= int(refused.headers["retry-after"]) <= 61
        page = desk.client.post("/login", data=right, headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert desk.client.get("/api/v1/me", auth=("operator", SAMPLE_PASSWORD)).status_code == 429
    finally:
        app.state.limits = before
        desk.client.cookies.clear()


def test_a_flood_of_reports_without_an_account_is_slowed_and_the_desk_is_not(desk: Office) -> None:
    app: Any = desk.client.app
    before = app.state.limits
    app.state.limits = RateLimits(WebSettings(open_reports_per_minute=2))
    report = {"channel": "citizen", "description": SENTENCE}
    try:
        assert [desk.post(None, "/incidents", report).status_code for _ in range(3)] == [
            201,
            201,
            429,
        ]
        assert desk.post("operator", "/incidents", report).status_code == 201
        form = desk.client.post(
            "/report", data={"description": "路灯不亮"}, headers={"Accept": "text/html"}
        )
        assert form.status_code == 429
        assert "路灯不亮" in form.text, "what was written is still there"
    finally:
        app.state.limits = before


def test_reporters_are_shown_to_the_desk_only_and_every_look_is_kept(desk: Office) -> None:
    report = {
        "channel": "hotline_12345",
        "description": SENTENCE,
        "reporter": {"name": "王某", "phone": "13800138000"},
    }
    number = desk.post("operator", "/incidents", report).json()["number"]
    for role in ("leader", "analyst", "evaluator", "unit_head", "cleaner", "collector"):
        refused = desk.get(role, f"/incidents/{number}/reporters")
        assert code_of(refused) == (403, "auth.not_permitted"), role
        assert desk.get(role, "/callers?phone=13800138000").status_code == 403
    for role in ("operator", "leader", "cleaner"):
        assert "13800138000" not in desk.get(role, f"/incidents/{number}").text
    shown = desk.get("dispatcher", f"/incidents/{number}/reporters").json()
    assert [(r["name"], r["phone"]) for r in shown] == [("王某", "13800138000")]
    earlier = desk.get("operator", "/callers?phone=13800138000").json()
    assert number in [row["number"] for row in earlier]
    looks = desk.get("admin", f"/personal-reads?number={number}").json()
    assert [(look["username"], look["occasion"]) for look in looks] == [
        ("operator", "caller"),
        ("dispatcher", "incident"),
    ]
    assert desk.get("dispatcher", f"/personal-reads?number={number}").status_code == 403


def test_reporters_of_incidents_long_over_are_forgotten_and_others_are_not(
    town_services: Services,
) -> None:
    now = datetime.now(UTC)
    with town_services.sessions() as session:
        ended, open_ = session.scalars(text("select id from incident order by id limit 2")).all()
        session.execute(text("delete from reporter"))
        for incident in (ended, open_):
            session.execute(
                text("insert into reporter (incident_id, name, phone) values (:i, '李某', '139')"),
                {"i": incident},
            )
        session.execute(
            text("update incident set ended_at = :at where id = :i"),
            {"at": now - timedelta(days=366), "i": ended},
        )
        session.execute(text("update incident set ended_at = null where id = :i"), {"i": open_})
        assert personal.anonymise(session, now, timedelta(days=365)) == 1
        assert personal.anonymise(session, now, timedelta(days=365)) == 0
        (gone,) = personal.reporters_of(session, ended)
        (kept,) = personal.reporters_of(session, open_)
        session.rollback()
    assert (gone["name"], gone["phone"], gone["anonymised_at"]) == (None, None, now)
    assert (kept["name"], kept["phone"], kept["anonymised_at"]) == ("李某", "139", None)


def test_a_closed_account_is_out_at_once(desk: Office, town_services: Services) -> None:
    add_account(town_services, "leaver", "operator")
    headers = bearer(desk, "leaver", "first password")
    with town_services.sessions() as session:
        assert auth.set_disabled(session, "leaver", datetime.now(UTC), disabled=True)
        session.commit()
    assert desk.client.get("/api/v1/me", headers=headers).status_code == 401
    data = {"username": "leaver", "password": "first password"}
    assert desk.client.post("/api/v1/token", data=data).status_code == 401


# Who sees what.


def incident_at(desk: Office, lon: float, lat: float) -> dict[str, Any]:
    body = {
        "channel": "patrol",
        "category": "06042",
        "description": "垃圾满溢",
        "location": {"lon": lon, "lat": lat, "datum": "wgs84"},
    }
    answer = desk.post("operator", "/incidents", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_phone_stays_signed_in_by_being_used_and_is_out_at_once_when_closed(
    desk: Office, town_services: Services
) -> None:
    """Ten hours after the last use of the page a desk is still in and after fourteen out; a phone is in for days."""
    began = datetime.now(UTC)
    app: Any = desk.client.app
    passed = timedelta()
    app.dependency_overrides[get_now] = lambda: began + passed

    def asked(path: str) -> httpx.Response:
        desk.client.cookies.clear()
        return desk.client.get(path, headers={"Cookie": f"gridward_session={secret}"}, follow_redirects=False)  # fmt: skip

    try:
        for role, path, after in (
            ("cleaner", "/api/v1/field/desk", 200),
            ("dispatcher", "/api/v1/desk/queues", 401),
        ):
            passed = timedelta()
            with town_services.sessions() as session:
                made = auth.sign_in(session, role, SAMPLE_PASSWORD, began)
                session.commit()
            assert made is not None
            secret = made[0]
            assert ("set-cookie" in asked(path).headers) == (after == 200)
            passed = timedelta(minutes=50)
            assert "set-cookie" not in asked(path).headers, "not at each request"
            passed = timedelta(hours=10)
            renewed = asked(path)
            assert renewed.status_code == 200
            if after == 200:
                assert f"gridward_session={secret}" in renewed.headers["set-cookie"]
                assert f"Max-Age={14 * 86400}" in renewed.headers["set-cookie"]
            passed = timedelta(days=14, hours=9)
            assert asked(path).status_code == after
        passed, secret = timedelta(), ""
        with town_services.sessions() as session:
            made = auth.sign_in(session, "gardener", SAMPLE_PASSWORD, began)
            assert made is not None
            secret = made[0]
            session.commit()
        assert asked("/field").headers["set-cookie"].startswith("gridward_session=")
        passed = timedelta(days=15)
        led = asked("/field")
        assert (led.status_code, led.headers["location"]) == (303, "/login?next=/field")
        passed = timedelta(days=1)
        assert asked("/field").status_code == 200
        with town_services.sessions() as session:
            auth.set_disabled(session, "gardener", began, disabled=True)
            session.commit()
        assert asked("/api/v1/field/desk").status_code == 401, "a closed account is out at once"
    finally:
        app.dependency_overrides.clear()
        desk.client.cookies.clear()
        with town_services.sessions() as session:
            auth.set_disabled(session, "gardener", began, disabled=False)
            session.commit()


def test_a_leader_sees_the_grids_below_and_a_unit_its_people(
    desk: Office, town_services: Services
) -> None:
    with town_services.sessions() as session:
        # Two grids of two leaders; a head over the first of them, and the head's own superior.
        rows = session.execute(
            text(
                "select distinct on (p.staff_id) p.grid_id, p.staff_id, st_x(m) as lon, st_y(m) as lat"
                " from post_holding p join grid_segment h on h.grid_id = p.grid_id"
                " and h.valid @> now() join segment s on s.id = h.segment_id"
                " cross join lateral st_lineinterpolatepoint(s.line, 0.5) m"
                " where p.post = 'leader' and p.valid @> now() order by p.staff_id, s.length_m desc"
            )
        ).all()
        assert len(rows) >= 2, "the invented town has several leaders"
        first, second = rows[0], rows[1]
        made = session.scalars(
            text(
                "insert into staff (staff_no, name, post) values ('T1', '科长', 'leader'),"
                " ('T2', '局长', 'leader') returning id"
            )
        ).all()
        session.execute(
            text("update staff set reports_to = :head where id = :leader"),
            {"head": made[0], "leader": first.staff_id},
        )
        session.execute(
            text("update staff set reports_to = :boss where id = :head"),
            {"boss": made[1], "head": made[0]},
        )
        session.execute(
            text("update staff set reports_to = null where id = :id"), {"id": second.staff_id}
        )
        auth.save_account(session, "head", "first password", "科长", "leader", made[0])
        auth.save_account(session, "boss", "first password", "局长", "leader", made[1])
        auth.save_account(session, "lead1", "first password", "甲", "leader", first.staff_id)
        auth.save_account(session, "lead2", "first password", "乙", "leader", second.staff_id)
        session.commit()
    near = incident_at(desk, first.lon, first.lat)
    far = incident_at(desk, second.lon, second.lat)
    cleaner = near["tasks"][0]["assignee"]["id"]
    with town_services.sessions() as session:
        unit = session.scalar(text("select unit_id from staff where id = :id"), {"id": cleaner})
        other = session.scalar(
            text("select id from unit where id <> :unit limit 1"), {"unit": unit}
        )
        heads = []
        for number, of_unit in enumerate((unit, other)):
            session.execute(
                text("update staff set heads_unit = false where unit_id = :u"), {"u": of_unit}
            )
            heads.append(
                session.scalar(
                    text(
                        "insert into staff (staff_no, name, post, unit_id, heads_unit) values"
                        " (:no, '队长', 'officer', :u, true) returning id"
                    ),
                    {"no": f"U{number}", "u": of_unit},
                )
            )
            auth.save_account(
                session, f"unit{number}", "first password", "队长", "unit_head", heads[-1]
            )
        session.commit()
    sees = {
        ("head", near["number"]): True,
        ("boss", near["number"]): True,
        ("lead1", near["number"]): True,
        ("lead2", near["number"]): False,
        ("lead2", far["number"]): True,
        ("head", far["number"]): False,
        ("boss", far["number"]): False,
        ("unit0", near["number"]): True,
        ("unit1", near["number"]): False,
    }
    for (username, number), expected in sees.items():
        headers = bearer(desk, username, "first password")
        for path in (f"/incidents/{number}", f"/incidents/{number}/history"):
            answer = desk.client.get(f"/api/v1{path}", headers=headers)
            assert answer.status_code == (200 if expected else 404), (username, path)
        listed = desk.client.get("/api/v1/incidents?page_size=500", headers=headers).json()
        assert (number in [i["number"] for i in listed["items"]]) is expected
        searched = desk.client.get(f"/api/v1/incidents?q={number}", headers=headers).json()
        assert (searched["total"] == 1) is expected, "a number opens no door either"


# The administrator.


def test_an_administrator_makes_changes_and_closes_accounts(desk: Office) -> None:
    made = desk.post(
        "admin",
        "/accounts",
        {"username": "xin", "name": "小新", "role": "operator", "staff_no": ""},
    )
    assert made.status_code == 201, made.text
    password = made.json()["password"]
    headers = bearer(desk, "xin", password)
    assert code_of(desk.client.get("/api/v1/me", headers=headers)) == (403, "auth.must_change")
    again = desk.post("admin", "/accounts", {"username": "xin", "role": "operator"})
    assert code_of(again) == (409, "account.taken")
    changed = desk.ask("admin", "PATCH", "/accounts/xin", json={"role": "dispatcher", "name": "新"})
    assert changed.status_code == 204
    # Another role ends what the old one had opened.
    assert desk.client.get("/api/v1/me", headers=headers).status_code == 401
    (listed,) = [a for a in desk.get("admin", "/accounts").json() if a["username"] == "xin"]
    assert (listed["role"], listed["name"], listed["must_change"]) == ("dispatcher", "新", True)
    second = desk.post("admin", "/accounts/xin/password", {}).json()["password"]
    assert second != password
    bearer(desk, "xin", second)
    assert desk.ask("admin", "PATCH", "/accounts/xin", json={"disabled": True}).status_code == 204
    refused = desk.client.post("/api/v1/token", data={"username": "xin", "password": second})
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/accounts", {"username": "a b", "role": "operator"}, "account.username_bad"),
        ("POST", "/accounts", {"username": "x", "role": "king"}, "account.role_unknown"),
        ("POST", "/accounts", {"username": "x", "role": "officer", "staff_no": "?"}, "account.staff_unknown"),
        ("PATCH", "/accounts/nobody", {"role": "operator"}, "account.unknown"),
        ("PATCH", "/accounts/admin", {"role": "operator"}, "account.own_role"),
        ("PATCH", "/accounts/admin", {"disabled": True}, "account.own_role"),
    ],
)  # fmt: skip
def test_what_an_administrator_cannot_do_is_said(
    desk: Office, method: str, path: str, body: dict[str, Any], expected: str
) -> None:
    answer = desk.ask("admin", method, path, json=body)
    assert answer.json()["code"] == expected
    assert answer.json()["detail"] != expected


def test_nobody_else_administers(desk: Office) -> None:
    for role in ("operator", "watch_chief", "dispatcher", "leader", "cleaner", "analyst"):
        assert desk.get(role, "/accounts").status_code == 403
        assert (
            desk.post(role, "/accounts", {"username": "x", "role": "administrator"}).status_code
            == 403
        )
        assert desk.post(role, "/accounts/admin/password", {}).status_code == 403
        assert desk.ask(role, "PATCH", "/accounts/operator", json={"role": "administrator"}).status_code == 403  # fmt: skip
