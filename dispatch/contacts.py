"""How people are reached: their channels, their wishes, their browsers. Nothing here commits."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any

import apprise
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.doors import Network, check_door
from dispatch.notice_models import ContactChannel, NoticeWish, PushSubscription
from dispatch.notice_timing import parse_quiet_hours
from grid.core.errors import BadInput, NotFound
from grid.core.settings import NoticeSettings
from grid.core.values import dataclass
from grid.models import Staff, Unit

# Kinds of channel, with the Apprise schemas behind them; None: any.
KINDS: dict[str, tuple[str, ...] | None] = {
    "wecom": ("wecombot",),
    "dingtalk": ("dingtalk",),
    "feishu": ("feishu", "lark"),
    "sms": None,
    "mail": ("mailto", "mailtos"),
    "webhook": ("json", "jsons", "form", "forms", "xml", "xmls"),
    "other": None,
}
LANGUAGES = ("zh", "en")
# Kinds of Apprise that would act on the server itself and reach nobody.
LOCAL_SCHEMAS = frozenset(
    {"dbus", "kde", "qt", "glib", "gnome", "gio", "syslog", "windows", "macosx", "file", "wxhook"}
)
PHONE = re.compile(r"\+?[0-9][0-9 \-]{4,20}")
MAIL = re.compile(r"[^@\s<>?&/\"']{1,64}@[^@\s<>?&/\"']{1,190}")
PUSH_KEY_BYTES = {"p256dh": 65, "auth": 16}


@dataclass(frozen=True, slots=True)
class Contact:
    """A channel to be kept: its owner (one of three), kind, URL and the kinds of notice wanted."""

    kind: str
    url: str
    staff_id: int | None = None
    unit_id: int | None = None
    role: str | None = None
    kinds: tuple[str, ...] = ()
    language: str | None = None


def add_contact(session: Session, contact: Contact, settings: NoticeSettings, now: datetime) -> int:
    """Keeps a channel and returns its id.

    Raises BadInput `contact.kind_unknown`, `contact.owner_bad`, `contact.url_bad`,
    `contact.gateway_missing`, `contact.language_unknown`; NotFound `contact.owner_unknown`.
    """
    if contact.kind not in KINDS:
        raise BadInput(
            "contact.kind_unknown", field="kind", kind=contact.kind, known=", ".join(KINDS)
        )
    if contact.language is not None and contact.language not in LANGUAGES:
        raise BadInput("contact.language_unknown", field="language", language=contact.language)
    if sum(owner is not None for owner in (contact.staff_id, contact.unit_id, contact.role)) != 1:
        raise BadInput("contact.owner_bad", field="staff_id")
    for model, owner in ((Staff, contact.staff_id), (Unit, contact.unit_id)):
        if owner is not None and session.get(model, owner) is None:
            raise NotFound("contact.owner_unknown", owner=owner)
    row = ContactChannel(
        staff_id=contact.staff_id,
        unit_id=contact.unit_id,
        role=contact.role,
        kind=contact.kind,
        url=contact.url.strip(),
        lane=_lane(contact, settings),
        kinds=list(contact.kinds),
        language=contact.language,
        made_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def end_contact(session: Session, contact_id: int, now: datetime) -> None:
    """Ends a channel; what waits for it is dropped. Raises NotFound `contact.unknown`."""
    ended = session.scalar(
        update(ContactChannel)
        .where(ContactChannel.id == contact_id, ContactChannel.ended_at.is_(None))
        .values(ended_at=now)
        .returning(ContactChannel.id)
    )
    if ended is None:
        raise NotFound("contact.unknown", contact=contact_id)


def list_contacts(session: Session) -> list[dict[str, Any]]:
    """Channels in use; secrets and numbers in the URLs are hidden."""
    rows = session.scalars(
        select(ContactChannel).where(ContactChannel.ended_at.is_(None)).order_by(ContactChannel.id)
    )
    names = ("id", "staff_id", "unit_id", "role", "kind", "kinds", "language", "made_at")
    return [
        {**{name: getattr(row, name) for name in names}, "url": hidden_url(row.url)} for row in rows
    ]


def hidden_url(url: str) -> str:
    """A URL as it may be shown: who has it can send as the bureau, so its secrets are left out."""
    if "://" not in url:
        return f"{url[:3]}…{url[-2:]}"
    found: Any = apprise.Apprise.instantiate(url)
    scheme, _, rest = url.partition("://")
    host = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
    # Apprise hides tokens of the services it knows; of a plain URL the path and query may be secret too.
    if found is None or found.secure_protocol in ("jsons", "forms", "xmls"):
        return f"{scheme}://{host}/…"
    return str(found.url(privacy=True)).partition("?")[0]


def gateway_url(kind: str, address: str, settings: NoticeSettings) -> str | None:
    """The Apprise URL that reaches a number (sms) or address (mail) through the town's gateway.

    None without a gateway, or when the address is none: it must never change the URL around it.
    """
    written = {"sms": settings.sms_url, "mail": settings.mail_url}.get(kind, "")
    place = {"sms": "{phone}", "mail": "{mail}"}.get(kind, "")
    pattern = {"sms": PHONE, "mail": MAIL}.get(kind)
    clean = address.strip()
    if not written or pattern is None or not pattern.fullmatch(clean):
        return None
    if kind == "sms":
        clean = re.sub(r"[ \-]", "", clean)
    return written.replace(place, clean.replace("%", "%25").replace("+", "%2B"))


def save_wish(
    session: Session, staff_id: int, language: str | None, quiet_hours: str | None
) -> None:
    """Keeps how a person wants to be told; None follows the town. Raises what `parse_quiet_hours` raises,
    BadInput `contact.language_unknown`.
    """
    if language is not None and language not in LANGUAGES:
        raise BadInput("contact.language_unknown", field="language", language=language)
    if quiet_hours is not None:
        parse_quiet_hours(quiet_hours)
    values = {"language": language, "quiet_hours": quiet_hours}
    session.execute(
        insert(NoticeWish)
        .values(staff_id=staff_id, **values)
        .on_conflict_do_update(index_elements=["staff_id"], set_=values)
    )


def wish_of(session: Session, staff_id: int) -> tuple[str | None, str | None]:
    """A person's language and quiet hours, each None where the town's hold."""
    row = session.get(NoticeWish, staff_id)
    return (None, None) if row is None else (row.language, row.quiet_hours)


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser gives when a person allows it to show notices."""

    endpoint: str
    p256dh: str
    auth: str


def subscribe(
    session: Session,
    staff_id: int,
    browser: Browser,
    networks: tuple[Network, ...],
    now: datetime,
) -> None:
    """Keeps a browser; the same endpoint again belongs to whoever signed in last.

    Raises BadInput `push.keys_bad`, `outside.*`.
    """
    for name, length in PUSH_KEY_BYTES.items():
        if _key_length(getattr(browser, name)) != length:
            raise BadInput("push.keys_bad", field=name)
    door = check_door(browser.endpoint, networks)
    values = {
        "staff_id": staff_id,
        "p256dh": browser.p256dh,
        "auth": browser.auth,
        "lane": f"push:{door.host}",
        "made_at": now,
        "ended_at": None,
    }
    session.execute(
        insert(PushSubscription)
        .values(endpoint=browser.endpoint, **values)
        .on_conflict_do_update(index_elements=["endpoint"], set_=values)
    )


def unsubscribe(session: Session, staff_id: int, endpoint: str, now: datetime) -> None:
    """Forgets a browser of one's own; one that is not there is no trouble."""
    session.execute(
        update(PushSubscription)
        .where(PushSubscription.endpoint == endpoint, PushSubscription.staff_id == staff_id)
        .values(ended_at=now)
    )


def _lane(contact: Contact, settings: NoticeSettings) -> str:
    """The partner a URL leads to. Raises BadInput `contact.url_bad`, `contact.gateway_missing`."""
    url = contact.url.strip()
    if contact.kind in ("sms", "mail") and "://" not in url:
        pattern = PHONE if contact.kind == "sms" else MAIL
        if not pattern.fullmatch(url):
            raise BadInput("contact.url_bad", field="url")
        if gateway_url(contact.kind, url, settings) is None:
            raise BadInput("contact.gateway_missing", field="url", kind=contact.kind)
        return contact.kind
    schema = url.partition("://")[0].lower()
    allowed = KINDS[contact.kind]
    if schema in LOCAL_SCHEMAS or (allowed is not None and schema not in allowed):
        raise BadInput("contact.url_bad", field="url")
    found = apprise.Apprise.instantiate(url)
    if found is None:
        raise BadInput("contact.url_bad", field="url")
    return lane_of(url)


def lane_of(url: str) -> str:
    """Schema and host of an Apprise URL; of the known services, whose host is a secret, the schema alone."""
    schema, _, rest = url.partition("://")
    if schema.lower() not in ("json", "jsons", "form", "forms", "xml", "xmls", "mailto", "mailtos"):
        return schema.lower()
    return f"{schema.lower()}:{rest.rpartition('@')[2].partition('/')[0].partition('?')[0].lower()}"


def _key_length(written: str) -> int:
    try:
        return len(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)))
    except (binascii.Error, ValueError):
        return -1
