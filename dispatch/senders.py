"""The three ways out: Apprise, a browser's push service, another system's webhook.

Each sends one message within a time limit and says what is known afterwards. Partners' words never get
into logs or the database: they may repeat a number or a token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apprise
import orjson
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pywebpush import WebPusher

from dispatch.doors import Network, NoAnswer, check_door, post
from grid.core.errors import BadInput
from grid.core.values import dataclass

LOG = logging.getLogger("gridward.senders")
SENT, FAILED, UNCERTAIN, GONE = "sent", "failed", "uncertain", "gone"
VAPID_FILE = "push-key.pem"
PUSH_KEEP_SECONDS = 12 * 3600
LARGEST_PUSH = 2500
# How the libraries below Apprise say that a request went out and no answer came.
_MAY_HAVE_ARRIVED = re.compile(
    r"Read timed out|Connection aborted|RemoteDisconnected|reset by peer|Connection broken"
    r"|IncompleteRead|Exception: timed out|unexpectedly closed"
)
_STATUS = re.compile(r"error=(\d{3})")


@dataclass(frozen=True, slots=True)
class Message:
    """What a person reads; `link` leads to the incident, `tag` replaces an earlier one of the same tag."""

    title: str
    body: str
    link: str = ""
    tag: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """sent, failed (not arrived: try again), uncertain (may have arrived), gone (nobody there any more)."""

    state: str
    code: str | None = None


class _Overheard(logging.Handler):
    """Keeps what Apprise says in this thread, which is the only way it tells why; nothing is written."""

    def __init__(self) -> None:
        super().__init__()
        self._words = threading.local()

    def begin(self) -> None:
        self._words.said = []

    def said(self) -> str:
        return "\n".join(getattr(self._words, "said", []))

    def emit(self, record: logging.LogRecord) -> None:
        said = getattr(self._words, "said", None)
        if said is not None:
            said.append(record.getMessage())


_OVERHEARD = _Overheard()


def _listen_to_apprise() -> None:
    logger = logging.getLogger("apprise")
    if _OVERHEARD not in logger.handlers:
        # It names addresses and answers: it is heard here, and nowhere else.
        logger.handlers[:] = [_OVERHEARD]
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        # Below it the addresses would be written out, with the tokens in them.
        logging.getLogger("urllib3").setLevel(logging.ERROR)


def send_apprise(url: str, message: Message, limit_s: float) -> Outcome:
    """Sends to an Apprise URL."""
    _listen_to_apprise()
    plugin = apprise.Apprise.instantiate(url)
    if plugin is None:
        return Outcome(FAILED, "url_bad")
    plugin.socket_connect_timeout = min(plugin.socket_connect_timeout, limit_s)
    plugin.socket_read_timeout = limit_s
    # Tries are counted and paused in the queue, where a restart does not forget them; the plugin is
    # called in this thread, because Apprise's shared pool would let a hung partner hold up the others.
    plugin.notify_format = apprise.NotifyFormat.TEXT
    body = f"{message.body}\n{message.link}" if message.link else message.body
    _OVERHEARD.begin()
    done = plugin.notify(title=message.title, body=body, body_format=apprise.NotifyFormat.TEXT)
    return Outcome(SENT) if done else why_not(_OVERHEARD.said())


def why_not(said: str) -> Outcome:
    """What Apprise's words mean: a refusal with a status, no way to the partner, or no answer."""
    if _MAY_HAVE_ARRIVED.search(said):
        return Outcome(UNCERTAIN, "no_answer")
    status = _STATUS.search(said)
    return Outcome(FAILED, f"http_{status[1]}" if status else "not_taken")


def signature(secret: str, body: bytes, at: int) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.` and the body, so that an old request cannot return."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def send_webhook(
    url: str,
    secret: str,
    payload: dict[str, Any],
    delivery_id: int,
    networks: tuple[Network, ...],
    limit_s: float,
    now: datetime,
) -> Outcome:
    """Posts a signed event; the delivery's id stays the same over every try."""
    body = orjson.dumps(payload)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Gridward",
        "Idempotency-Key": f"gridward-{delivery_id}",
        "Gridward-Signature": signature(secret, body, int(now.timestamp())),
    }
    return _post(url, body, headers, networks, limit_s)


def send_push(
    endpoint: str,
    keys: dict[str, str],
    message: Message,
    signer: PushKey,
    contact: str,
    networks: tuple[Network, ...],
    limit_s: float,
    now: datetime,
) -> Outcome:
    """Encrypts for one browser (RFC 8291) and posts to its push service; 404 and 410 mean it is gone."""
    shown = {
        "title": message.title,
        "body": message.body[: LARGEST_PUSH // 4],
        "url": urlsplit(message.link).path or "/field",
        "tag": message.tag,
        "urgent": message.urgent,
    }
    sealed = WebPusher({"endpoint": endpoint, "keys": keys}).encode(orjson.dumps(shown))
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "sub": contact,
        "exp": int(now.timestamp()) + PUSH_KEEP_SECONDS,
    }
    headers = {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(PUSH_KEEP_SECONDS),
        "Urgency": "high" if message.urgent else "normal",
        # A second try replaces the first where the browser has not fetched it yet.
        "Topic": hashlib.sha256(message.tag.encode()).hexdigest()[:32],
        **signer.sign(claims),
    }
    outcome = _post(endpoint, bytes(sealed["body"]), headers, networks, limit_s)
    return Outcome(GONE, outcome.code) if outcome.code in ("http_404", "http_410") else outcome


class PushKey:
    """The town's VAPID key (RFC 8292), made once in the home; browsers accept pushes signed by it alone."""

    def __init__(self, home: Path) -> None:
        path = home / VAPID_FILE
        if not path.exists():
            _make_key(path)
        self._vapid = Vapid02.from_file(str(path))

    @property
    def public(self) -> str:
        """The public key as browsers want it: base64url of the uncompressed point."""
        point = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    def sign(self, claims: dict[str, Any]) -> dict[str, str]:
        """The Authorization header for one push service."""
        return dict(self._vapid.sign(claims))


def _make_key(path: Path) -> None:
    """Several processes may ask at once: one key wins, and nobody else may read it."""
    made = Vapid02()
    made.generate_keys()
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    own.touch(mode=0o600)
    own.write_bytes(made.private_pem())
    try:
        os.link(own, path)
    except FileExistsError:
        LOG.debug("another process has made the key")
    finally:
        own.unlink()


def _post(
    url: str, body: bytes, headers: dict[str, str], networks: tuple[Network, ...], limit_s: float
) -> Outcome:
    try:
        status = post(check_door(url, networks), body, headers, limit_s)
    except BadInput as error:
        return Outcome(FAILED, error.code.rpartition(".")[2])
    except NoAnswer as error:
        # The partner knows the message again by its id: sending once more does no harm.
        return Outcome(FAILED, error.code)
    return Outcome(SENT) if 200 <= status < 300 else Outcome(FAILED, f"http_{status}")
