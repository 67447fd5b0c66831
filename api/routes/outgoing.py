"""The administrator's side of sending: contact channels, other systems, residents' templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import DbSession, Lang, Now, ServicesDep, SignedIn, require
from api.i18n import Language
from api.notice_words import link_to, resident_values
from api.permissions import ROLES
from api.routes.incidents import PROBLEMS
from api.routes.notices import State, delivery_page
from dispatch import contacts, resident_templates, webhooks
from dispatch.doors import parse_networks
from dispatch.notice_reading import NoticeFacts, notice_facts
from dispatch.resident_templates import Words
from dispatch.rules_log import write_down
from grid.core.errors import BadInput

router = APIRouter(prefix="/api/v1", tags=["sending"])
PERMISSION = "manage_sending"


class ContactIn(BaseModel):
    """A way to reach one person, one unit's group or everybody of a role; `kinds` empty means all."""

    model_config = ConfigDict(extra="forbid")

    staff_id: int | None = None
    unit_id: int | None = None
    role: str | None = None
    kind: Literal["wecom", "dingtalk", "feishu", "sms", "mail", "webhook", "other"]
    url: str = Field(max_length=2000, examples=["wecombot://KEY", "13800000000"])
    kinds: list[str] = Field(default_factory=list, max_length=100)
    language: Literal["zh", "en"] | None = None


class WebhookIn(BaseModel):
    """Another system; `kinds` empty means all of incident.reported, incident.moved, incident.ended."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    url: str = Field(max_length=2000)
    kinds: list[str] = Field(default_factory=list, max_length=10)


class WebhookChange(BaseModel):
    """What shall be different."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=200)
    url: str | None = Field(default=None, max_length=2000)
    kinds: list[str] | None = Field(default=None, max_length=10)


class TemplateIn(BaseModel):
    """A resident's message at a turn, for one category or (null) all."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["taken_on", "finished", "refused", "delayed", "question"]
    category: str | None = None
    language: Literal["zh", "en"]
    title: str
    body: str


class PreviewIn(BaseModel):
    """A template to be seen filled: with an incident, or with an invented example."""

    model_config = ConfigDict(extra="forbid")

    language: Literal["zh", "en"]
    title: str
    body: str
    number: str | None = None


@router.get("/contacts", responses=PROBLEMS)
def list_contacts(session: DbSession, account: SignedIn) -> list[dict[str, Any]]:
    """Channels in use; keys and numbers are hidden."""
    require(account, PERMISSION)
    return contacts.list_contacts(session)


@router.post("/contacts", status_code=201, responses=PROBLEMS)
def add_contact(
    asked: ContactIn, session: DbSession, services: ServicesDep, account: SignedIn, now: Now
) -> dict[str, int]:
    """Adds a channel; from now on the notices it wants go there."""
    require(account, PERMISSION)
    if asked.role is not None and asked.role not in ROLES:
        raise BadInput("contact.role_unknown", field="role", role=asked.role)
    made = contacts.add_contact(
        session,
        contacts.Contact(
            kind=asked.kind,
            url=asked.url,
            staff_id=asked.staff_id,
            unit_id=asked.unit_id,
            role=asked.role,
            kinds=tuple(asked.kinds),
            language=asked.language,
        ),
        services.settings.notices,
        now,
    )
    # Where to is a number or a key: the record says only which.
    told = asked.model_dump(include={"kind", "staff_id", "unit_id", "role", "kinds", "language"})
    _written(session, account, "contact", str(made), None, told, now)
    return {"id": made}


@router.delete("/contacts/{contact}", status_code=204, responses=PROBLEMS)
def end_contact(contact: int, session: DbSession, account: SignedIn, now: Now) -> None:
    """Ends a channel."""
    require(account, PERMISSION)
    contacts.end_contact(session, contact, now)
    _written(session, account, "contact", str(contact), {"ended": False}, {"ended": True}, now)


@router.get("/webhooks", responses=PROBLEMS)
def list_webhooks(session: DbSession, account: SignedIn) -> list[dict[str, Any]]:
    """Other systems that are told; never their secrets."""
    require(account, PERMISSION)
    return webhooks.list_webhooks(session)


@router.post("/webhooks", status_code=201, responses=PROBLEMS)
def add_webhook(
    asked: WebhookIn, session: DbSession, services: ServicesDep, account: SignedIn, now: Now
) -> dict[str, Any]:
    """Adds a system; the secret that signs its messages is shown this once."""
    require(account, PERMISSION)
    networks = parse_networks(services.settings.notices.private_networks)
    made, secret = webhooks.add_webhook(session, asked.name, asked.url, asked.kinds, networks, now)
    told = {"name": asked.name, "url": asked.url, "kinds": asked.kinds}
    _written(session, account, "webhook", str(made), None, told, now)
    return {"id": made, "secret": secret}


@router.patch("/webhooks/{webhook}", status_code=204, responses=PROBLEMS)
def change_webhook(
    webhook: int,
    asked: WebhookChange,
    session: DbSession,
    services: ServicesDep,
    account: SignedIn,
    now: Now,
) -> None:
    """Changes name, address or kinds; the secret stays."""
    require(account, PERMISSION)
    networks = parse_networks(services.settings.notices.private_networks)
    webhooks.change_webhook(
        session, webhook, networks, name=asked.name, url=asked.url, kinds=asked.kinds
    )
    told = asked.model_dump(exclude_none=True)
    _written(session, account, "webhook", str(webhook), None, told, now)


@router.post("/webhooks/{webhook}/secret", responses=PROBLEMS)
def new_secret(webhook: int, session: DbSession, account: SignedIn, now: Now) -> dict[str, str]:
    """Another secret from now on, shown this once."""
    require(account, PERMISSION)
    secret = webhooks.new_secret(session, webhook)
    _written(session, account, "webhook", str(webhook), None, {"secret": "…"}, now)
    return {"secret": secret}


@router.delete("/webhooks/{webhook}", status_code=204, responses=PROBLEMS)
def end_webhook(webhook: int, session: DbSession, account: SignedIn, now: Now) -> None:
    """Tells that system no more."""
    require(account, PERMISSION)
    webhooks.end_webhook(session, webhook, now)
    _written(session, account, "webhook", str(webhook), {"ended": False}, {"ended": True}, now)


@router.get("/webhooks/{webhook}/deliveries", responses=PROBLEMS)
def webhook_deliveries(
    webhook: int, session: DbSession, account: SignedIn, language: Lang, before: int | None = None
) -> dict[str, Any]:
    """What that system was sent, newest first."""
    require(account, PERMISSION)
    states: list[State] = ["waiting", "sending", "sent", "given_up", "uncertain", "dropped"]
    return delivery_page(session, account, language, states, webhook, before, 100)


@router.get("/templates", responses=PROBLEMS)
def list_templates(session: DbSession, account: SignedIn) -> dict[str, Any]:
    """What residents are told, and the places a template may hold."""
    require(account, PERMISSION)
    names = ("id", "kind", "language", "title", "body", "changed_at", "changed_by")
    rows = resident_templates.list_templates(session)
    return {
        "places": sorted(resident_templates.PLACES),
        "items": [
            {**{name: getattr(row, name) for name in names}, "category": row.category_code}
            for row in rows
        ],
    }


@router.put("/templates", status_code=204, responses=PROBLEMS)
def save_template(asked: TemplateIn, session: DbSession, account: SignedIn, now: Now) -> None:
    """Writes or changes the words of a turn."""
    require(account, PERMISSION)
    known = resident_templates.words_at(session, asked.kind, asked.category, asked.language)
    resident_templates.save_template(
        session,
        asked.kind,
        asked.category,
        asked.language,
        Words(asked.title, asked.body),
        f"account:{account.username}",
        now,
    )
    code = _turn(asked.kind, asked.category, asked.language)
    after = {"title": asked.title, "body": asked.body}
    _written(session, account, "template", code, known, after, now)


@router.delete("/templates/{template}", status_code=204, responses=PROBLEMS)
def delete_template(template: int, session: DbSession, account: SignedIn, now: Now) -> None:
    """Takes a template away; without any, residents are not told of that turn."""
    require(account, PERMISSION)
    row = resident_templates.delete_template(session, template)
    code = _turn(row.kind, row.category_code, row.language)
    before = {"title": row.title, "body": row.body}
    _written(session, account, "template", code, before, None, now)


@router.post("/templates/preview", responses=PROBLEMS)
def preview(
    asked: PreviewIn, session: DbSession, services: ServicesDep, account: SignedIn, now: Now
) -> dict[str, str]:
    """The words as a resident would read them."""
    require(account, PERMISSION)
    words = Words(asked.title, asked.body)
    resident_templates.check_words(words)
    language: Language = asked.language
    facts = _example(now)
    if asked.number is not None:
        facts = notice_facts(session, asked.number)
    link = link_to(services.settings.notices.public_url, f"/track/{facts.number}")
    values = resident_values(facts, language, link, services.settings.town.zone)
    filled = resident_templates.fill(words, values)
    return {"title": filled.title, "body": filled.body}


def _turn(kind: str, category: str | None, language: str) -> str:
    return " ".join(part for part in (kind, category, language) if part)


def _written(
    session: Session, account: Account, subject: str, code: str,
    before: dict[str, Any] | None, after: dict[str, Any] | None, now: datetime,
) -> None:  # fmt: skip
    write_down(session, subject, code, before, after, now, f"account:{account.username}", now)


def _example(now: Now) -> NoticeFacts:
    return NoticeFacts(
        kind="taken_on",
        detail={},
        number=f"{now:%Y%m%d}-000123",
        category_code="06042",
        category={"zh": "暴露垃圾", "en": "Exposed refuse"},
        place="永胜路 12 号",
        due_at=now,
        unit=None,
        note=None,
        urgent=False,
    )
