"""Notices: my own list and wishes, my browsers, and what could not be sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import DbSession, Lang, Now, Reach, ServicesDep, SignedIn, require
from api.i18n import translate
from api.notice_words import staff_line
from api.routes.incidents import PROBLEMS
from dispatch import contacts, notice_queue, notice_reading, reading
from dispatch.doors import parse_networks
from dispatch.notice_reading import NoticeFacts
from dispatch.senders import PushKey
from grid.core.errors import NotAllowed

router = APIRouter(prefix="/api/v1", tags=["notices"])
State = Literal["waiting", "sending", "sent", "given_up", "uncertain", "dropped"]


class SeenIn(BaseModel):
    """Notices that were read."""

    model_config = ConfigDict(extra="forbid")

    ids: list[int] = Field(max_length=1000)


class WishIn(BaseModel):
    """How I want to be told; null follows the town, an empty text means no quiet hours."""

    model_config = ConfigDict(extra="forbid")

    language: Literal["zh", "en"] | None = None
    quiet_hours: str | None = Field(default=None, max_length=100, examples=["22:00-07:00"])


class KeysIn(BaseModel):
    """A browser's keys, base64url, as `PushSubscription.toJSON()` gives them."""

    model_config = ConfigDict(extra="ignore")

    p256dh: str = Field(max_length=200)
    auth: str = Field(max_length=100)


class BrowserIn(BaseModel):
    """A browser's subscription, as `PushSubscription.toJSON()` gives it."""

    model_config = ConfigDict(extra="ignore")

    endpoint: str = Field(max_length=2000)
    keys: KeysIn


class EndpointIn(BaseModel):
    """The browser that shall be told no more."""

    model_config = ConfigDict(extra="ignore")

    endpoint: str = Field(max_length=2000)


@router.get("/me/notices", responses=PROBLEMS)
def my_notices(
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    language: Lang,
    unseen: bool = False,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[dict[str, Any]]:
    """My notices, those of my role and my unit, newest first."""
    rows = notice_reading.notices_of(session, account.staff_id, account.role, most, unseen=unseen)
    zone = services.settings.town.zone
    return [
        {
            **{
                name: row[name] for name in ("id", "kind", "number", "status", "made_at", "seen_at")
            },
            "text": staff_line(_facts(row), language, zone),
        }
        for row in rows
    ]


@router.post("/me/notices/seen", status_code=204, responses=PROBLEMS)
def seen(asked: SeenIn, session: DbSession, account: SignedIn, now: Now) -> None:
    """I have read these."""
    notice_reading.mark_seen(session, account.staff_id, account.role, asked.ids, now)


@router.get("/me/notice-wishes", responses=PROBLEMS)
def my_wishes(session: DbSession, services: ServicesDep, account: SignedIn) -> dict[str, Any]:
    """How I want to be told, and what holds for the town."""
    language, quiet_hours = contacts.wish_of(session, staff_of(account))
    return {
        "language": language,
        "quiet_hours": quiet_hours,
        "town_language": services.settings.web.default_language,
        "town_quiet_hours": services.settings.notices.quiet_hours,
    }


@router.put("/me/notice-wishes", status_code=204, responses=PROBLEMS)
def wish(asked: WishIn, session: DbSession, account: SignedIn) -> None:
    """Sets my language and quiet hours; emergencies break through."""
    contacts.save_wish(session, staff_of(account), asked.language, asked.quiet_hours)


@router.get("/push/key", responses=PROBLEMS)
def push_key(services: ServicesDep, account: SignedIn) -> dict[str, str]:
    """The key that a browser needs to subscribe (`applicationServerKey`)."""
    return {"key": PushKey(services.settings.database.home_folder).public}


@router.post("/push/subscriptions", status_code=201, responses=PROBLEMS)
def subscribe(
    asked: BrowserIn, session: DbSession, services: ServicesDep, account: SignedIn, now: Now
) -> dict[str, str]:
    """This browser shall show my notices."""
    contacts.subscribe(
        session,
        staff_of(account),
        contacts.Browser(asked.endpoint, asked.keys.p256dh, asked.keys.auth),
        parse_networks(services.settings.notices.private_networks),
        now,
    )
    return {"status": "subscribed"}


@router.post("/push/unsubscribe", status_code=204, responses=PROBLEMS)
def unsubscribe(asked: EndpointIn, session: DbSession, account: SignedIn, now: Now) -> None:
    """This browser shall show nothing any more."""
    contacts.unsubscribe(session, staff_of(account), asked.endpoint, now)


@router.get("/incidents/{number}/notices", responses=PROBLEMS)
def told_about(
    number: str, session: DbSession, account: SignedIn, scope: Reach, language: Lang
) -> list[dict[str, Any]]:
    """Everything that went out about one incident, oldest first: to whom, by which ways, when, how it ended.

    People's names only for those who may see people; addresses and reporters' names never.
    """
    require(account, "console")
    row = reading.one_incident(session, number, scope=scope)
    found = notice_reading.told_about(session, row["id"])
    for told in found:
        if not account.may("see_people"):
            told["name"] = None
        for way in told["ways"]:
            way["error"] = error_text(language, way.pop("last_error"))
            way["again"] = account.may("see_deliveries") and way["state"] in notice_queue.LISTED
    return found


@router.get("/notices", responses=PROBLEMS)
def deliveries(
    session: DbSession,
    account: SignedIn,
    language: Lang,
    state: Annotated[list[State], Query()] = ["given_up", "uncertain"],  # noqa: B006
    webhook: int | None = None,
    before: int | None = None,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Messages by state, newest first: given_up and uncertain ones wait for a person to send them again."""
    require(account, "see_deliveries")
    return delivery_page(session, account, language, state, webhook, before, most)


@router.post("/notices/{delivery}/send-again", status_code=202, responses=PROBLEMS)
def send_again(delivery: int, session: DbSession, account: SignedIn, now: Now) -> dict[str, str]:
    """Sends a message again that was given up or whose arrival is uncertain."""
    require(account, "see_deliveries")
    notice_queue.send_again(session, delivery, now)
    return {"status": "waiting"}


def delivery_page(
    session: Session,
    account: Account,
    language: Lang,
    states: list[State],
    webhook: int | None,
    before: int | None,
    most: int,
) -> dict[str, Any]:
    """One page of deliveries with the trouble of each in words."""
    rows = notice_queue.list_deliveries(session, states, webhook, most, before)
    for row in rows:
        row["error"] = error_text(language, row["last_error"])
    return {"items": rows, "next_before": rows[-1]["id"] if len(rows) == most else None}


def error_text(language: Lang, code: str | None) -> str | None:
    """Why a message was not sent, in words."""
    if code is None:
        return None
    if code.startswith("http_"):
        return translate(language, "delivery.http", status=code.removeprefix("http_"))
    return translate(language, f"delivery.{code}")


def staff_of(account: Account) -> int:
    """The person behind an account; NotAllowed `auth.no_person` without one."""
    if account.staff_id is None:
        raise NotAllowed("auth.no_person", username=account.username)
    return account.staff_id


def _facts(row: dict[str, Any]) -> NoticeFacts:
    return NoticeFacts(
        row["kind"],
        row["detail"],
        row["number"],
        row["category_code"],
        {"zh": row["name_zh"], "en": row["name_en"]},
        row["place"],
        row["due_at"],
        None,
        None,
        bool(row["detail"].get("urgent")),
    )
