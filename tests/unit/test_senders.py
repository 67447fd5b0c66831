"""Ways out: what is known after a try, signatures, and pushes that only the browser can read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from dispatch.contacts import gateway_url, hidden_url
from dispatch.doors import parse_networks
from dispatch.senders import (
    GONE,
    SENT,
    Message,
    Outcome,
    PushKey,
    send_apprise,
    send_push,
    send_webhook,
    signature,
    why_not,
)
from grid.core.settings import NoticeSettings
from tests.partners import partners

LOOPBACK = parse_networks("127.0.0.0/8")
HELLO = Message("标题", "垃圾 <b>满溢</b>", "https://town.example/field", "tag-1")
NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)


def test_apprise_says_what_became_of_it() -> None:
    with partners(ok={}, broken={"status": 500}, hung={"hangs": True}) as made:
        assert send_apprise(made["ok"].url, HELLO, 5) == Outcome(SENT)
        assert made["ok"].bodies()[0]["message"] == "垃圾 <b>满溢</b>\nhttps://town.example/field"
        assert send_apprise(made["broken"].url, HELLO, 5) == Outcome("failed", "http_500")
        assert send_apprise(made["hung"].url, HELLO, 0.3) == Outcome("uncertain", "no_answer")
        assert [len(partner.requests) for partner in made.values()] == [1, 1, 1]
        gone = made["ok"].url
    assert send_apprise(gone, HELLO, 1) == Outcome("failed", "not_taken")


def test_what_apprise_says_reaches_no_log() -> None:
    # A handler as a server has it: pytest's own is put on loggers that keep their words to themselves, too.
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    ear, root = Ear(), logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        with partners(broken={"status": 500}) as made:
            send_apprise(f"{made['broken'].url}token?:to=13812345678", HELLO, 5)
        logging.getLogger("gridward").info("heard")
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
    assert heard == ["heard"]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("Failed to send JSON POST notification: Page not found., error=404.", "failed http_404"),
        ("HTTPConnectionPool(host='x', port=1): Read timed out. (read timeout=4.0)", "uncertain no_answer"),
        ("('Connection aborted.', RemoteDisconnected('Remote end closed'))", "uncertain no_answer"),
        ("Max retries exceeded (Caused by ConnectTimeoutError('Connection to x timed out. (connect timeout=4)'))", "failed not_taken"),
        ("", "failed not_taken"),
    ],
)  # fmt: skip
def test_words_of_libraries(said: str, outcome: str) -> None:
    state, code = outcome.split()
    assert why_not(said) == Outcome(state, code)


def test_a_webhook_is_signed_over_time_and_body() -> None:
    with partners(there={}) as made:
        done = send_webhook(made["there"].http, "secret", {"a": "责"}, 7, LOOPBACK, 5, NOW)
        assert done == Outcome(SENT)
        headers, body = made["there"].requests[0]
    at = int(NOW.timestamp())
    wanted = hmac.new(b"secret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["gridward-signature"] == f"t={at},v1={wanted}"
    assert headers["idempotency-key"] == "gridward-7"
    assert json.loads(body) == {"a": "责"}
    assert signature("other", body, at) != headers["gridward-signature"]


def test_a_webhook_to_a_closed_address_is_not_sent() -> None:
    with partners(there={}) as made:
        done = send_webhook(made["there"].http, "secret", {}, 7, (), 5, NOW)
        assert (done, made["there"].requests) == (Outcome("failed", "address_closed"), [])


def test_a_push_can_be_read_by_its_browser_alone(tmp_path: Path) -> None:
    browser = ec.generate_private_key(ec.SECP256R1())
    point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = os.urandom(16)

    def written(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    key = PushKey(tmp_path)
    with partners(service={"status": 201}, gone={"status": 410}) as made:
        keys = {"p256dh": written(point), "auth": written(secret)}
        service = made["service"]
        done = send_push(service.http, keys, HELLO, key, "mailto:a@b.cn", LOOPBACK, 5, NOW)
        assert done == Outcome(SENT)
        headers, body = service.requests[0]
        gone = send_push(made["gone"].http, keys, HELLO, key, "mailto:a@b.cn", LOOPBACK, 5, NOW)
        assert gone == Outcome(GONE, "http_410")
    read = http_ece.decrypt(body, private_key=browser, auth_secret=secret, version="aes128gcm")
    assert json.loads(read) == {
        "title": "标题",
        "body": "垃圾 <b>满溢</b>",
        "url": "/field",
        "tag": "tag-1",
        "urgent": False,
    }
    assert headers["authorization"].endswith(f"k={key.public}")
    assert Vapid02.verify(headers["authorization"])


def test_the_push_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    first = PushKey(tmp_path).public
    assert PushKey(tmp_path).public == first
    assert len(base64.urlsafe_b64decode(first + "=")) == 65
    files = list(tmp_path.iterdir())
    assert len(files) == 1
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_a_number_cannot_change_the_url_around_it() -> None:
    settings = NoticeSettings(
        sms_url="json://gate/send?:to={phone}", mail_url="mailto://u:p@h?to={mail}"
    )
    assert gateway_url("sms", "138 1234-5678", settings) == "json://gate/send?:to=13812345678"
    assert gateway_url("sms", "+8613812345678", settings) == "json://gate/send?:to=%2B8613812345678"
    assert gateway_url("mail", "a+b@c.cn", settings) == "mailto://u:p@h?to=a%2Bb@c.cn"
    for bad in ("1381234&:x=1", "a@b.cn", ""):
        assert gateway_url("sms", bad, settings) is None
    for bad in ("a@b.cn&bcc=c@d.cn", "a@b.cn?x", "a b@c.cn"):
        assert gateway_url("mail", bad, settings) is None
    assert gateway_url("sms", "13812345678", NoticeSettings(sms_url="")) is None


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("wecombot://abcdefgh12345678", "abcdefgh12345678"),
        ("json://user:word@host.example/token123?key=456", "token123"),
        ("13812345678", "12345"),
        ("dingtalk://secret@tokentoken", "tokentoken"),
    ],
)
def test_secrets_in_urls_are_not_shown(url: str, hidden: str) -> None:
    assert hidden not in hidden_url(url)
    assert "word" not in hidden_url(url)
    assert "456" not in hidden_url(url)
