"""Channels as the bureau changes them: whether they are trusted, their datum, their own reply limits; at once, written down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dispatch.deadlines import SAME_DAY
from dispatch.models import Channel
from dispatch.rule_edits import check_limit
from dispatch.rules_log import lock_rules, log_change
from grid.core.datums import known_datum
from grid.core.errors import BadInput, NotFound

FIELDS = (
    *("name_zh", "name_en", "datum", "trusted", "open_to_all", "machine"),
    *("reply_value", "reply_unit", "reply_emergency_value", "reply_emergency_unit"),
)
LONGEST_NAME = 100


def change_channel(
    session: Session, code: str, values: Mapping[str, Any], actor: str, now: datetime
) -> None:
    """Changes a channel for what comes in from now on.

    Raises NotFound `channel.none`; BadInput `channel.name_missing`, `datum.unknown`, `limit.value_bad`,
    `limit.unit_unknown`.
    """
    lock_rules(session)
    row = session.get(Channel, code, populate_existing=True)
    if row is None:
        raise NotFound("channel.none", field="channel", channel=code)
    before = _facts(row)
    after = {**before, **{name: value for name, value in values.items() if name in FIELDS}}
    for name in ("name_zh", "name_en"):
        if not str(after[name] or "").strip() or len(after[name]) > LONGEST_NAME:
            raise BadInput("channel.name_missing", field=name, most=LONGEST_NAME)
    after["datum"] = known_datum(after["datum"])
    for kind in ("reply", "reply_emergency"):
        after |= _reply(kind, after[f"{kind}_value"], after[f"{kind}_unit"])
    for name, value in after.items():
        setattr(row, name, value)
    session.flush()
    log_change(session, "channel", code, before, after, now, actor, now)


def channels_at_hand(session: Session) -> list[dict[str, Any]]:
    """Every channel: code and FIELDS."""
    rows = session.scalars(select(Channel).order_by(Channel.code))
    return [{"code": row.code, **_facts(row)} for row in rows]


def _reply(kind: str, value: float | None, unit: str | None) -> dict[str, Any]:
    """A reply limit: a value with its unit, the end of the same day, or none."""
    if not unit:
        return {f"{kind}_value": None, f"{kind}_unit": None}
    if unit == SAME_DAY:
        return {f"{kind}_value": None, f"{kind}_unit": SAME_DAY}
    number, known = check_limit(value or 0.0, unit)
    return {f"{kind}_value": number, f"{kind}_unit": known}


def _facts(row: Channel) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}
