"""The interface of sending: my notices and wishes, browsers, contacts, other systems, residents' words, figures."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.services import Services
from api.worker import work
from dispatch.steps import Actor, Asked, make_move
from grid.core.settings import NoticeSettings, Settings
from tests.acceptance.site import category_of
from tests.partners import partners, wait_until
from tests.web import Office, office

REPORT = {
    "channel": "hotline_12345",
    "category": "06042",
    "description": "永胜路与站前路交叉口东北角垃圾满溢",
}


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    old = town_services.settings
    notices = NoticeSettings(private_networks="127.0.0.0/8", quiet_hours="22:00-07:00")
    settings = Settings(old.database, old.town, old.web, notices)
    with office(replace(town_services, settings=settings)) as opened:
        yield opened


def code(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["detail"] != body["code"]
    return str(body["code"])


def test_my_notices_are_read_and_marked(desk: Office) -> None:
    lon, lat = desk.ground_of("cleaner")
    report = {**REPORT, "location": {"lon": lon, "lat": lat, "datum": "wgs84"}}
    report |= {"description": "垃圾满溢", "category": category_of(desk.services, "cleaner")}
    number = desk.post("operator", "/incidents", report).json()["number"]
    mine = desk.get("cleaner", "/me/notices?unseen=true").json()
    found = [notice for notice in mine if notice["number"] == number]
    assert [notice["kind"] for notice in found] == ["task_offered"]
    assert number in found[0]["text"]
    others = desk.get("gardener", "/me/notices").json()
    assert number not in [notice["number"] for notice in others]
    # What is another's cannot be marked as read.
    desk.post("gardener", "/me/notices/seen", {"ids": [found[0]["id"]]})
    still = desk.get("cleaner", "/me/notices?unseen=true").json()
    assert number in [notice["number"] for notice in still]
    done = desk.post("cleaner", "/me/notices/seen", {"ids": [found[0]["id"]]})
    assert done.status_code == 204
    left = desk.get("cleaner", "/me/notices?unseen=true").json()
    assert number not in [notice["number"] for notice in left]


def test_wishes_are_kept_and_checked(desk: Office) -> None:
    assert desk.get("cleaner", "/me/notice-wishes").json() == {
        "language": None,
        "quiet_hours": None,
        "town_language": "zh",
        "town_quiet_hours": "22:00-07:00",
    }
    wish = {"language": "en", "quiet_hours": "20:00-06:00"}
    assert desk.ask("cleaner", "PUT", "/me/notice-wishes", json=wish).status_code == 204
    assert desk.get("cleaner", "/me/notice-wishes").json()["quiet_hours"] == "20:00-06:00"
    bad = desk.ask("cleaner", "PUT", "/me/notice-wishes", json={"quiet_hours": "late"})
    assert code(bad, 422) == "notice.quiet_hours_unreadable"


def test_a_browser_subscribes_and_leaves(desk: Office) -> None:
    key = desk.get("cleaner", "/push/key").json()["key"]
    assert len(base64.urlsafe_b64decode(key + "=")) == 65
    point = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )

    def written(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    browser = {
        "endpoint": "http://127.0.0.1:9/push/abc",
        "expirationTime": None,
        "keys": {"p256dh": written(point), "auth": written(os.urandom(16))},
    }
    assert desk.post("cleaner", "/push/subscriptions", browser).status_code == 201
    assert desk.post("cleaner", "/push/subscriptions", browser).status_code == 201
    inside = {**browser, "endpoint": "http://169.254.169.254/x"}
    closed = desk.post("cleaner", "/push/subscriptions", inside)
    assert code(closed, 422) == "outside.address_closed"
    bad = {**browser, "keys": {"p256dh": "AAAA", "auth": "AAAA"}}
    assert code(desk.post("cleaner", "/push/subscriptions", bad), 422) == "push.keys_bad"
    gone = desk.post("cleaner", "/push/unsubscribe", {"endpoint": browser["endpoint"]})
    assert gone.status_code == 204


def test_contacts_belong_to_the_administrator_and_hide_their_keys(desk: Office) -> None:
    asked = {"role": "dispatcher", "kind": "wecom", "url": "wecombot://abcdefgh12345678"}
    assert code(desk.post("dispatcher", "/contacts", asked), 403) == "auth.not_permitted"
    made = desk.post("admin", "/contacts", asked)
    assert made.status_code == 201, made.text
    listed = desk.get("admin", "/contacts").text
    assert "abcdefgh12345678" not in listed
    for wrong, status, why in (
        ({**asked, "url": "json://host/x"}, 422, "contact.url_bad"),
        ({**asked, "kind": "other", "url": "syslog://"}, 422, "contact.url_bad"),
        ({**asked, "staff_id": 1}, 422, "contact.owner_bad"),
        ({**asked, "kind": "sms", "url": "13812345678"}, 422, "contact.gateway_missing"),
        ({"unit_id": 999999, "kind": "wecom", "url": asked["url"]}, 404, "contact.owner_unknown"),
    ):
        assert code(desk.post("admin", "/contacts", wrong), status) == why
    ended = desk.ask("admin", "DELETE", f"/contacts/{made.json()['id']}")
    assert ended.status_code == 204


def test_feishu_is_kept_by_its_own_address_and_hides_its_key(desk: Office) -> None:
    token = "abcdefgh-1234-5678-9abc-def012345678"
    for url in (f"feishu://{token}", f"lark://{token}"):
        made = desk.post("admin", "/contacts", {"role": "dispatcher", "kind": "feishu", "url": url})
        assert made.status_code == 201, made.text
        listed = desk.get("admin", "/contacts").json()
        (mine,) = [item for item in listed if item["id"] == made.json()["id"]]
        assert mine["kind"] == "feishu"
        assert token not in mine["url"]
        assert desk.ask("admin", "DELETE", f"/contacts/{mine['id']}").status_code == 204
    for url in (f"dingtalk://{token}", "feishu://", "https://open.feishu.cn/x"):
        asked = {"role": "dispatcher", "kind": "feishu", "url": url}
        assert code(desk.post("admin", "/contacts", asked), 422) == "contact.url_bad"


def test_what_was_given_up_is_listed_and_sent_again(desk: Office) -> None:
    """By the routes alone: a partner that answers 503 for three tries, then well."""
    quick = NoticeSettings(
        private_networks="127.0.0.0/8", quiet_hours="", retry_seconds="0.1,0.1", send_seconds=1,
        digest_seconds=0,
    )  # fmt: skip
    old = desk.services.settings
    services = replace(desk.services, settings=Settings(old.database, old.town, old.web, quick))
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(services, stop, ()), daemon=True)
    with partners(there={"fail_first": 3}) as made:
        asked = {"role": "dispatcher", "kind": "webhook", "url": made["there"].url}
        contact = desk.post("admin", "/contacts", asked).json()["id"]
        worker.start()
        try:
            given = desk.post("operator", "/incidents", REPORT).json()
            holder = next(task["assignee"]["id"] for task in given["tasks"] if task["lead"])
            with services.sessions() as session:
                actor = Actor("account:cleaner", "cleaner", holder)
                back = Asked("return_task", note="不归我")
                make_move(session, services.desk, given["number"], back, actor, datetime.now(UTC))
                session.commit()

            def listed(state: str) -> list[dict[str, Any]]:
                page = desk.get("dispatcher", "/notices", params={"state": state}).json()
                return [item for item in page["items"] if item["number"] == given["number"]]

            wait_until(lambda: listed("given_up"))
            (row,) = listed("given_up")
            assert (row["kind"], row["last_error"]) == ("returned", "http_500")
            assert "500" in row["error"]
            path = f"/notices/{row['id']}/send-again"
            assert code(desk.post("cleaner", path, {}), 403) == "auth.not_permitted"
            answer = desk.post("dispatcher", path, {})
            assert (answer.status_code, answer.json()) == (202, {"status": "waiting"})
            wait_until(lambda: listed("sent"))
            assert listed("given_up") == []
            assert len(made["there"].requests) == 4
            # What has arrived is not sent a second time.
            assert desk.post("dispatcher", path, {}).status_code == 409
        finally:
            stop.set()
            worker.join(60)
            desk.ask("admin", "DELETE", f"/contacts/{contact}")


def test_a_systems_secret_is_shown_once(desk: Office) -> None:
    asked = {"name": "12345", "url": "http://127.0.0.1:9/in", "kinds": ["incident.ended"]}
    made = desk.post("admin", "/webhooks", asked).json()
    assert len(made["secret"]) >= 40
    assert made["secret"] not in desk.get("admin", "/webhooks").text
    other = desk.post("admin", f"/webhooks/{made['id']}/secret", {}).json()["secret"]
    assert other != made["secret"]
    change = {"name": "12345 热线"}
    assert desk.ask("admin", "PATCH", f"/webhooks/{made['id']}", json=change).status_code == 204
    assert desk.get("admin", f"/webhooks/{made['id']}/deliveries").json()["items"] == []
    inside = {**asked, "url": "http://10.0.0.5/"}
    assert code(desk.post("admin", "/webhooks", inside), 422) == "outside.address_closed"
    assert code(desk.post("operator", "/webhooks", asked), 403) == "auth.not_permitted"
    assert desk.ask("admin", "DELETE", f"/webhooks/{made['id']}").status_code == 204
    again = desk.ask("admin", "DELETE", f"/webhooks/{made['id']}")
    assert code(again, 404) == "webhook.unknown"


def test_residents_words_are_seen_before_they_are_kept(desk: Office) -> None:
    number = desk.post("operator", "/incidents", REPORT).json()["number"]
    words = {"language": "zh", "title": "已受理", "body": "{number}：{category}，{due_date}"}
    example = desk.post("admin", "/templates/preview", words).json()
    assert "{" not in example["body"]
    real = desk.post("admin", "/templates/preview", {**words, "number": number}).json()
    assert real["body"].startswith(f"{number}：垃圾站（箱）满溢，")
    bad = {**words, "body": "{phone}"}
    assert code(desk.post("admin", "/templates/preview", bad), 422) == "template.place_unknown"
    own = {**words, "kind": "taken_on", "category": "06042"}
    assert desk.ask("admin", "PUT", "/templates", json=own).status_code == 204
    items = desk.get("admin", "/templates").json()["items"]
    mine = [item for item in items if item["category"] == "06042"]
    assert [item["body"] for item in mine] == [words["body"]]
    assert desk.ask("admin", "DELETE", f"/templates/{mine[0]['id']}").status_code == 204


def test_the_list_of_what_was_not_sent(desk: Office) -> None:
    listed = desk.get("dispatcher", "/notices?state=given_up").json()
    assert listed == {"items": [], "next_before": None}
    assert desk.get("cleaner", "/notices").status_code == 403
    assert code(desk.post("dispatcher", "/notices/999/send-again", {}), 404) == "delivery.unknown"


def test_who_wants_to_hear_must_say_where(desk: Office) -> None:
    asked = {**REPORT, "reporter": {"tell_by": "sms"}}
    assert code(desk.post("operator", "/incidents", asked), 422) == "report.no_way_to_tell"
    told = {**REPORT, "reporter": {"phone": "13812345678", "tell_by": "sms", "language": "en"}}
    assert desk.post("operator", "/incidents", told).status_code == 201


def test_figures_and_readiness(desk: Office) -> None:
    ready = desk.client.get("/readyz").json()
    assert ready == {"status": "ok", "worker": "none"}
    figures = desk.client.get("/metrics").text
    for name in (
        'gridward_incidents_open{state="in_disposal"}',
        'gridward_to_spread{queue="notice"}',
        "gridward_workers 0.0",
        'gridward_request_seconds_count{method="POST",route="/api/v1/incidents",status="201"}',
    ):
        assert name in figures
    assert "13812345678" not in figures
