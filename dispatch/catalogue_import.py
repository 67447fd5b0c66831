"""The bureau's rules from files: categories, filing conditions, stage limits, rules of chasing, the calendar; from a day on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy.orm import Session

from dispatch.calendar_edits import set_day, set_official
from dispatch.catalogue_edits import (
    FIELDS,
    add_category,
    change_category,
    end_category,
)
from dispatch.condition_edits import (
    CLOSING_EN,
    CLOSING_ZH,
    add_condition,
    change_condition,
    conditions_at_hand,
)
from dispatch.models import Category, FilingCondition
from dispatch.rule_edits import set_chase_rule, set_stage_limit
from dispatch.worktime import Limit
from grid.core.errors import BadInput, Trouble
from grid.loading.staff_list import PeopleReport, RefusedRow

Row = dict[str, str]
SYSTEM = "system"
LISTS = ("support_posts", "support_after", "aliases")
# Names of columns in the seed files and in our own.
COLUMNS = {"role": "post", "support_roles": "support_posts"}
YES, NO = (
    frozenset({"1", "true", "yes", "y", "是", "上班"}),
    frozenset({"0", "false", "no", "n", "否", "休息", "放假"}),
)


def load_categories(
    session: Session,
    table: pd.DataFrame,
    now: datetime,
    from_at: datetime | None = None,
    actor: str = SYSTEM,
) -> PeopleReport:
    """Loads categories: code, name_zh, and any of FIELDS, deadline_value, deadline_unit, ended, replaced_by.

    What a row does not tell stays as it is; a changed limit of the leading condition holds from `from_at`. A row whose
    `ended` is yes (or that names `replaced_by`) ends its category from then on. New categories begin at once. Refuses
    what `catalogue_edits` and `condition_edits` raise.
    """
    begins = from_at or now

    def take(row: Row) -> None:
        code = row["code"].strip()
        values: dict[str, Any] = {}
        for name, written in row.items():
            field = COLUMNS.get(name, name)
            if field in FIELDS:
                values[field] = _parts(written) if field in LISTS else written
        limit = _limit(row)
        if session.get(Category, code) is None:
            if limit is None:
                raise BadInput("limit.value_bad", field="deadline_value", value="")
            add_category(session, code, values, actor, now)
        else:
            change_category(session, code, values, begins, actor, now)
        if limit is not None:
            _lead_limit(session, code, row, limit, begins, actor, now)
        if row.get("replaced_by") or _yes(row.get("ended", "no"), "ended"):
            end_category(session, code, row.get("replaced_by") or None, begins, actor, now)

    return _each(session, table, take)


def load_conditions(
    session: Session,
    table: pd.DataFrame,
    now: datetime,
    from_at: datetime | None = None,
    actor: str = SYSTEM,
) -> PeopleReport:
    """Loads filing conditions: category, number, name_zh, name_en, value, unit, closing_zh, closing_en; by category and number."""
    begins = from_at or now

    def take(row: Row) -> None:
        code = (
            row.get("code") or f"{row['category']}-{int(_number(row.get('number', ''), 'number'))}"
        )
        values: dict[str, Any] = {
            name: row[name]
            for name in ("name_zh", "name_en", "closing_zh", "closing_en")
            if name in row
        }
        if "value" in row:
            values["limit_value"] = _number(row["value"], "value")
            values["limit_unit"] = row.get("unit", "working_days")
        known = session.query(FilingCondition.id).filter(FilingCondition.code == code).first()
        if known is None:
            add_condition(session, row["category"], values, begins, actor, now, code=code)
        else:
            change_condition(session, code, values, begins, actor, now)

    return _each(session, table, take)


def load_stage_limits(
    session: Session,
    table: pd.DataFrame,
    zone: ZoneInfo,
    now: datetime,
    from_at: datetime | None = None,
    actor: str = SYSTEM,
) -> PeopleReport:
    """Loads limits of stages: stage, urgency, area_class, value, unit."""

    def take(row: Row) -> None:
        limit = (_number(row.get("value", ""), "value"), row.get("unit", ""))
        urgency, area = row.get("urgency") or None, row.get("area_class") or None
        begins = from_at or now
        set_stage_limit(session, row["stage"], urgency, area, limit, begins, zone, actor, now)

    return _each(session, table, take)


def load_chase_rules(
    session: Session,
    table: pd.DataFrame,
    now: datetime,
    from_at: datetime | None = None,
    actor: str = SYSTEM,
) -> PeopleReport:
    """Loads rules of chasing: code, clock, urgency, share, after_value, after_unit, tell."""

    def take(row: Row) -> None:
        after = row.get("after_value")
        facts = {
            "clock": row.get("clock"),
            "share": _number(row.get("share", ""), "share"),
            "after_value": _number(after, "after_value") if after else None,
            "after_unit": row.get("after_unit") or None,
            "tell": row.get("tell"),
        }
        begins = from_at or now
        set_chase_rule(session, row["code"], row.get("urgency") or None, facts, begins, actor, now)

    return _each(session, table, take)


def load_calendar(
    session: Session, table: pd.DataFrame, official: bool, actor: str, now: datetime
) -> PeopleReport:
    """Loads days that differ from their week: day (YYYY-MM-DD), is_workday, name_zh, name_en.

    With `official` the years of these days are marked as published.
    """
    years: set[int] = set()

    def take(row: Row) -> None:
        try:
            day = date.fromisoformat(row["day"].strip()[:10])
        except ValueError as error:
            raise BadInput("calendar.day_unreadable", field="day", day=row["day"]) from error
        works = _yes(row.get("is_workday", ""), "is_workday")
        names = row.get("name_zh", ""), row.get("name_en", "")
        set_day(session, day, works, *names, actor, now)
        years.add(day.year)

    report = _each(session, table, take)
    for year in sorted(years) if official else ():
        set_official(session, year, True, actor, now)
    return report


def _each(session: Session, table: pd.DataFrame, take: Callable[[Row], None]) -> PeopleReport:
    """Each row by itself: one that is refused leaves nothing behind and holds up no other."""
    refused: list[RefusedRow] = []
    taken = 0
    for number, record in enumerate(table.to_dict("records"), start=2):
        row = {str(k): str(v) for k, v in record.items() if not pd.isna(v) and str(v)}
        try:
            with session.begin_nested():
                take(row)
        except Trouble as trouble:
            refused.append(RefusedRow(number, trouble.code, trouble.values))
            continue
        except KeyError as error:
            refused.append(RefusedRow(number, "rules.field_missing", {"name": error.args[0]}))
            continue
        taken += 1
    return PeopleReport(taken, refused)


def _lead_limit(
    session: Session,
    category: str,
    row: Row,
    limit: Limit,
    begins: datetime,
    actor: str,
    now: datetime,
) -> None:
    """The leading condition's limit; a category without conditions gets one of its own name."""
    values: dict[str, Any] = {"limit_value": limit.value, "limit_unit": str(limit.unit)}
    present = conditions_at_hand(session, now, category)
    if present:
        leading = min(present, key=lambda each: each["number"])
        change_condition(session, leading["code"], values, begins, actor, now)
        return
    name = row["name_zh"]
    values |= {"name_zh": name, "name_en": row.get("name_en", name)}
    values |= {"closing_zh": CLOSING_ZH, "closing_en": CLOSING_EN}
    add_condition(session, category, values, now, actor, now)


def _limit(row: Row) -> Limit | None:
    if "deadline_value" not in row:
        return None
    value = _number(row["deadline_value"], "deadline_value")
    return Limit.of(value, row.get("deadline_unit", "working_days"))


def _parts(written: str) -> list[str]:
    return [part.strip() for part in written.replace(",", ";").split(";") if part.strip()]


def _number(written: str, field: str) -> float:
    try:
        return float(written)
    except ValueError as error:
        raise BadInput("limit.value_bad", field=field, value=written) from error


def _yes(written: str, field: str) -> bool:
    known = written.strip().casefold()
    if known in YES:
        return True
    if known in NO:
        return False
    raise BadInput("rules.yes_or_no", field=field, written=written)
