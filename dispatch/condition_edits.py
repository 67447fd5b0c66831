"""Filing conditions and their limits as the bureau changes them: a changed limit holds from a moment on.

What was filed keeps the condition's row it was filed under, and so its limit. Every change is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dispatch.models import Category, FilingCondition
from dispatch.rule_periods import end_from, holding, set_from, to_come
from dispatch.rules_log import lock_rules, log_change
from dispatch.worktime import Limit, Unit
from grid.core.errors import BadInput, Conflict, NotFound

FIELDS = ("name_zh", "name_en", "closing_zh", "closing_en", "limit_value", "limit_unit")
# Units a limit of disposal may have (table filing_condition).
UNITS = tuple(str(unit) for unit in Unit if unit is not Unit.MINUTES)
LONGEST = 400
CLOSING_ZH, CLOSING_EN = "问题已消除", "The problem is gone"


def add_condition(
    session: Session,
    category: str,
    values: Mapping[str, Any],
    from_at: datetime,
    actor: str,
    now: datetime,
    *,
    code: str | None = None,
) -> str:
    """One more condition of a category, from a moment on; its code (category-number).

    Raises NotFound `category.unknown`; Conflict `condition.exists`; what `check_values` raises.
    """
    lock_rules(session)
    if session.get(Category, category) is None:
        raise NotFound("category.unknown", field="category", category=category)
    asked = select(FilingCondition).where(FilingCondition.category_code == category)
    rows = session.scalars(asked).all()
    number = 1 + max((row.number for row in rows), default=0)
    chosen = code or f"{category}-{number}"
    if any(row.code == chosen for row in rows):
        raise Conflict("condition.exists", field="code", condition=chosen)
    facts = {"closing_zh": CLOSING_ZH, "closing_en": CLOSING_EN, **_known(values)}
    facts.setdefault("name_en", facts.get("name_zh"))
    check_values(facts)
    set_from(session, [], facts, from_at, lambda: _fresh(category, chosen, number))
    log_change(session, "condition", chosen, None, facts, from_at, actor, now)
    return chosen


def change_condition(
    session: Session,
    code: str,
    values: Mapping[str, Any],
    from_at: datetime,
    actor: str,
    now: datetime,
) -> None:
    """Other words or another limit of a condition from a moment on, until the next change planned.

    Raises NotFound `condition.not_found`; what `check_values` raises.
    """
    lock_rules(session)
    rows = _rows(session, code)
    row = holding(rows, from_at) or rows[-1]
    before = facts_of(row)
    facts = {**before, **_known(values)}
    check_values(facts)
    if facts == before and holding(rows, from_at) is not None:
        return
    category, number = row.category_code, row.number
    set_from(session, rows, facts, from_at, lambda: _fresh(category, code, number))
    log_change(session, "condition", code, before, facts, from_at, actor, now)


def end_condition(
    session: Session, code: str, from_at: datetime, actor: str, now: datetime
) -> None:
    """Ends a condition; nothing new is filed under it. Raises NotFound `condition.not_found`, Conflict `condition.last`."""
    lock_rules(session)
    rows = _rows(session, code)
    category = rows[0].category_code
    asked = select(FilingCondition).where(FilingCondition.category_code == category)
    others = [row for row in session.scalars(asked) if row.code != code]
    if not any(row.valid.upper is None for row in others):
        raise Conflict("condition.last", condition=code, category=category)
    before = facts_of(holding(rows, from_at) or rows[-1])
    end_from(session, rows, from_at, session.delete)
    log_change(session, "condition", code, before, None, from_at, actor, now)


def conditions_at_hand(
    session: Session, now: datetime, category: str | None = None
) -> list[dict[str, Any]]:
    """Conditions in force or to come: code, category, number, FIELDS, from, to, planned (rows of the same)."""
    asked = select(FilingCondition).order_by(FilingCondition.category_code, FilingCondition.number)
    if category is not None:
        asked = asked.where(FilingCondition.category_code == category)
    by_code: dict[str, list[FilingCondition]] = {}
    for row in session.scalars(asked):
        by_code.setdefault(row.code, []).append(row)
    found = []
    for code, rows in by_code.items():
        present, later = holding(rows, now), to_come(rows, now)
        if present is None and not later:
            continue
        shown = present or later[0]
        planned = later if present is not None else later[1:]
        found.append(
            {
                "code": code,
                "category": shown.category_code,
                "number": shown.number,
                **_shown(shown),
                "planned": [_shown(row) for row in planned],
            }
        )
    return found


def check_values(facts: Mapping[str, Any]) -> None:
    """Whether a condition can be so.

    Raises BadInput `condition.name_missing`, `limit.unit_unknown`, `limit.value_bad`.
    """
    for field in ("name_zh", "name_en", "closing_zh", "closing_en"):
        written = str(facts.get(field) or "")
        if not written.strip() or len(written) > LONGEST:
            raise BadInput("condition.name_missing", field=field, most=LONGEST)
    unit = facts.get("limit_unit")
    if unit not in UNITS:
        raise BadInput("limit.unit_unknown", field="limit_unit", unit=unit, known=", ".join(UNITS))
    Limit.of(facts.get("limit_value") or 0, str(unit))


def facts_of(row: FilingCondition) -> dict[str, Any]:
    """A condition's FIELDS."""
    return {field: getattr(row, field) for field in FIELDS}


def _shown(row: FilingCondition) -> dict[str, Any]:
    return {**facts_of(row), "from": row.valid.lower, "to": row.valid.upper}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in values.items() if field in FIELDS}


def _fresh(category: str, code: str, number: int) -> FilingCondition:
    return FilingCondition(category_code=category, code=code, number=number)


def _rows(session: Session, code: str) -> list[FilingCondition]:
    asked = select(FilingCondition).where(FilingCondition.code == code)
    rows = list(session.scalars(asked.execution_options(populate_existing=True)))
    if not rows:
        raise NotFound("condition.not_found", field="condition", condition=code)
    return sorted(rows, key=lambda row: row.valid.lower.timestamp() if row.valid.lower else 0)
