"""Other systems that are told of incidents. Nothing here commits."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dispatch.doors import Network, check_door
from dispatch.notice_models import Webhook
from dispatch.notices import EVENT_KINDS
from grid.core.errors import BadInput, NotFound

SECRET_BYTES = 32


def add_webhook(
    session: Session,
    name: str,
    url: str,
    kinds: Sequence[str],
    networks: tuple[Network, ...],
    now: datetime,
) -> tuple[int, str]:
    """Keeps a subscriber; returns its id and its secret, which is shown this once.

    Raises BadInput `webhook.kind_unknown`, `outside.*`.
    """
    _check_kinds(kinds)
    check_door(url, networks)
    row = Webhook(name=name, url=url, secret=_secret(), kinds=list(kinds), made_at=now)
    session.add(row)
    session.flush()
    return row.id, row.secret


def change_webhook(
    session: Session,
    webhook_id: int,
    networks: tuple[Network, ...],
    *,
    name: str | None = None,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
) -> None:
    """Changes what is given. Raises NotFound `webhook.unknown` and what `add_webhook` raises."""
    row = _present(session, webhook_id)
    if url is not None:
        check_door(url, networks)
        row.url = url
    if kinds is not None:
        _check_kinds(kinds)
        row.kinds = list(kinds)
    row.name = name or row.name
    session.flush()


def new_secret(session: Session, webhook_id: int) -> str:
    """Another secret from now on, shown this once. Raises NotFound `webhook.unknown`."""
    row = _present(session, webhook_id)
    row.secret = _secret()
    session.flush()
    return row.secret


def end_webhook(session: Session, webhook_id: int, now: datetime) -> None:
    """Tells that system no more; what waits is dropped. Raises NotFound `webhook.unknown`."""
    _present(session, webhook_id).ended_at = now
    session.flush()


def list_webhooks(session: Session) -> list[dict[str, Any]]:
    """Subscribers without their secrets, with how many deliveries stand in each state."""
    counts: dict[int, dict[str, int]] = {}
    for row in session.execute(
        text(
            "select webhook_id, state, count(*) as n from delivery where webhook_id is not null"
            " group by webhook_id, state"
        )
    ):
        counts.setdefault(row.webhook_id, {})[row.state] = row.n
    found = session.scalars(select(Webhook).where(Webhook.ended_at.is_(None)).order_by(Webhook.id))
    return [
        {
            "id": hook.id,
            "name": hook.name,
            "url": hook.url,
            "kinds": hook.kinds,
            "made_at": hook.made_at,
            "deliveries": counts.get(hook.id, {}),
        }
        for hook in found
    ]


def _present(session: Session, webhook_id: int) -> Webhook:
    row = session.get(Webhook, webhook_id)
    if row is None or row.ended_at is not None:
        raise NotFound("webhook.unknown", webhook=webhook_id)
    return row


def _check_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in EVENT_KINDS:
            raise BadInput(
                "webhook.kind_unknown", field="kinds", kind=kind, known=", ".join(EVENT_KINDS)
            )


def _secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)
