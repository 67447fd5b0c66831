"""Limits of the stages and rules of chasing as the bureau changes them; every change is written down.

A limit of a stage holds from the beginning of a day: its table is asked by the day. A rule of chasing tells of what is
due while it is in force; open incidents are planned anew (`dispatch/replanning.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from dispatch.categories import URGENCIES
from dispatch.chase_models import ChaseRule, StageLimit
from dispatch.chase_rules import TELLS
from dispatch.clocks import ClockKind
from dispatch.rule_periods import end_from, holding, set_from, to_come
from dispatch.rules_log import lock_rules, log_change, plan_again
from dispatch.standing import TASK_STAGE
from dispatch.worktime import Limit
from grid.core.errors import BadInput, NotFound

# Stages with a limit of their own; that of disposal is the filing condition's.
STAGES = (
    *("accept", "verify", "dispatch", TASK_STAGE),
    *("check", "close"),
)
AREA_CLASSES = ("village",)
MOST = 10_000
LONGEST_CODE = 60


def set_stage_limit(
    session: Session,
    stage: str,
    urgency: str | None,
    area_class: str | None,
    limit: tuple[float, str],
    from_at: datetime,
    zone: ZoneInfo,
    actor: str,
    now: datetime,
) -> None:
    """Another limit (value, unit) of a stage, for one urgency or all, from the beginning of a day on.

    Raises BadInput `limit.stage_unknown`, `category.urgency_unknown`, `limit.area_unknown`, `limit.value_bad`,
    `limit.unit_unknown`.
    """
    lock_rules(session)
    _check_stage(stage, urgency, area_class)
    value, unit = check_limit(*limit)
    rows = _stage_rows(session, stage, urgency, area_class)
    since = _midnight(from_at, zone)
    before = _stage_facts(holding(rows, since))
    set_from(
        session,
        rows,
        {"value": value, "unit": unit},
        since,
        lambda: StageLimit(stage=stage, urgency=urgency, area_class=area_class),
    )
    code = stage_code(stage, urgency, area_class)
    after = {"value": value, "unit": unit}
    log_change(session, "stage_limit", code, before, after, since, actor, now)


def end_stage_limit(
    session: Session,
    stage: str,
    urgency: str | None,
    area_class: str | None,
    from_at: datetime,
    zone: ZoneInfo,
    actor: str,
    now: datetime,
) -> None:
    """Takes a limit of a stage away from a day on: the one for all holds, or none. NotFound `limit.none_set`."""
    lock_rules(session)
    rows = _stage_rows(session, stage, urgency, area_class)
    code = stage_code(stage, urgency, area_class)
    if not rows:
        raise NotFound("limit.none_set", field="stage", stage=code)
    since = _midnight(from_at, zone)
    before = _stage_facts(holding(rows, since))
    end_from(session, rows, since, session.delete)
    log_change(session, "stage_limit", code, before or {}, None, since, actor, now)


def stage_limits_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Limits of stages in force or to come: stage, urgency, area_class, value, unit, from, to, planned."""
    groups: dict[str, list[StageLimit]] = {}
    for row in session.scalars(select(StageLimit).order_by(StageLimit.id)):
        groups.setdefault(stage_code(row.stage, row.urgency, row.area_class), []).append(row)
    found = []
    for rows in groups.values():
        shown = _present(rows, now)
        if shown is not None:
            row, later = shown
            about = {"stage": row.stage, "urgency": row.urgency, "area_class": row.area_class}
            period = [{**(_stage_facts(r) or {}), **_period(r)} for r in (row, *later)]
            found.append({**about, **period[0], "planned": period[1:]})
    return sorted(found, key=_stage_order)


def set_chase_rule(
    session: Session,
    code: str,
    urgency: str | None,
    facts: Mapping[str, Any],
    from_at: datetime,
    actor: str,
    now: datetime,
) -> None:
    """A rule of chasing (clock, share, after_value, after_unit, tell) from a moment on, for one urgency or all.

    Raises BadInput `chase.code_bad`, `chase.clock_unknown`, `chase.share_bad`, `chase.after_bad`, `chase.tell_unknown`,
    `category.urgency_unknown`, `limit.value_bad`, `limit.unit_unknown`.
    """
    lock_rules(session)
    code = code.strip()
    _check_chase(code, urgency, facts)
    after_value, after_unit = facts.get("after_value"), facts.get("after_unit")
    wanted = {
        "clock": facts["clock"],
        "share": float(facts["share"]),
        "after_value": None if after_value is None else float(after_value),
        "after_unit": after_unit,
        "tell": facts["tell"],
    }
    rows = _chase_rows(session, code, urgency)
    before = _chase_facts(holding(rows, from_at))
    if before == wanted:
        return
    set_from(session, rows, wanted, from_at, lambda: ChaseRule(code=code, urgency=urgency))
    log_change(session, "chase_rule", rule_code(code, urgency), before, wanted, from_at, actor, now)
    plan_again(session)


def end_chase_rule(
    session: Session, code: str, urgency: str | None, from_at: datetime, actor: str, now: datetime
) -> None:
    """Lets a rule of chasing tell nobody from a moment on; NotFound `chase.unknown`."""
    lock_rules(session)
    rows = _chase_rows(session, code, urgency)
    if not rows:
        raise NotFound("chase.unknown", field="code", code=code)
    before = _chase_facts(holding(rows, from_at))
    end_from(session, rows, from_at, _never)
    named = rule_code(code, urgency)
    log_change(session, "chase_rule", named, before or {}, None, from_at, actor, now)
    plan_again(session)


def chase_rules_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Rules of chasing in force or to come: code, urgency, clock, share, after_value, after_unit, tell, planned."""
    groups: dict[str, list[ChaseRule]] = {}
    asked = select(ChaseRule).where(~func.isempty(ChaseRule.valid)).order_by(ChaseRule.id)
    for row in session.scalars(asked):
        groups.setdefault(rule_code(row.code, row.urgency), []).append(row)
    found = []
    for rows in groups.values():
        shown = _present(rows, now)
        if shown is not None:
            row, later = shown
            period = [{**(_chase_facts(r) or {}), **_period(r)} for r in (row, *later)]
            about = {"code": row.code, "urgency": row.urgency}
            found.append({**about, **period[0], "planned": period[1:]})
    return found


def check_limit(value: float, unit: str) -> tuple[float, str]:
    """Value and unit of a limit; BadInput `limit.value_bad`, `limit.unit_unknown`."""
    if not 0 < float(value) <= MOST:
        raise BadInput("limit.value_bad", "value", value=value)
    limit = Limit.of(value, unit)
    return limit.value, str(limit.unit)


def stage_code(stage: str, urgency: str | None, area_class: str | None = None) -> str:
    """A limit of a stage in one word, as the log names it: dispatch/emergency."""
    return "/".join(part for part in (stage, urgency, area_class) if part)


def rule_code(code: str, urgency: str | None) -> str:
    """A rule of chasing in one word, as the log names it."""
    return f"{code}/{urgency}" if urgency else code


def _check_stage(stage: str, urgency: str | None, area_class: str | None) -> None:
    if stage not in STAGES:
        known = ", ".join(STAGES)
        raise BadInput("limit.stage_unknown", field="stage", stage=stage, known=known)
    _check_urgency(urgency)
    if area_class is not None and area_class not in AREA_CLASSES:
        known = ", ".join(AREA_CLASSES)
        raise BadInput("limit.area_unknown", field="area_class", area=area_class, known=known)


def _check_urgency(urgency: str | None) -> None:
    if urgency is not None and urgency not in URGENCIES:
        known = ", ".join(URGENCIES)
        raise BadInput("category.urgency_unknown", field="urgency", urgency=urgency, known=known)


def _check_chase(code: str, urgency: str | None, facts: Mapping[str, Any]) -> None:
    if not code or len(code) > LONGEST_CODE or any(letter.isspace() for letter in code):
        raise BadInput("chase.code_bad", field="code", code=code, most=LONGEST_CODE)
    _check_urgency(urgency)
    clocks = [str(kind) for kind in ClockKind]
    if facts.get("clock") not in clocks:
        known = ", ".join(clocks)
        raise BadInput("chase.clock_unknown", field="clock", clock=facts.get("clock"), known=known)
    share = float(facts.get("share") or 0)
    if not 0 < share <= 1:
        raise BadInput("chase.share_bad", field="share", share=facts.get("share"))
    if facts.get("tell") not in TELLS:
        known = ", ".join(TELLS)
        raise BadInput("chase.tell_unknown", field="tell", tell=facts.get("tell"), known=known)
    value, unit = facts.get("after_value"), facts.get("after_unit")
    if (value is None) != (unit is None) or (value is not None and share != 1):
        raise BadInput("chase.after_bad", field="after_value")
    if value is not None and unit is not None:
        check_limit(value, unit)


def _present(rows: list[Any], now: datetime) -> tuple[Any, list[Any]] | None:
    """The row to show first, the one in force or the next, with what comes after it."""
    present, later = holding(rows, now), to_come(rows, now)
    if present is not None:
        return present, later
    return (later[0], later[1:]) if later else None


def _stage_rows(
    session: Session, stage: str, urgency: str | None, area_class: str | None
) -> list[StageLimit]:
    asked = select(StageLimit).where(
        StageLimit.stage == stage,
        StageLimit.urgency.is_not_distinct_from(urgency),
        StageLimit.area_class.is_not_distinct_from(area_class),
    )
    return list(session.scalars(asked.execution_options(populate_existing=True)))


def _chase_rows(session: Session, code: str, urgency: str | None) -> list[ChaseRule]:
    asked = select(ChaseRule).where(
        ChaseRule.code == code,
        ChaseRule.urgency.is_not_distinct_from(urgency),
        ~func.isempty(ChaseRule.valid),
    )
    return list(session.scalars(asked.execution_options(populate_existing=True)))


def _stage_facts(row: StageLimit | None) -> dict[str, Any] | None:
    return None if row is None else {"value": row.value, "unit": row.unit}


def _chase_facts(row: ChaseRule | None) -> dict[str, Any] | None:
    names = ("clock", "share", "after_value", "after_unit", "tell")
    return None if row is None else {name: getattr(row, name) for name in names}


def _period(row: Any) -> dict[str, Any]:
    return {"from": row.valid.lower, "to": row.valid.upper}


def _stage_order(row: Mapping[str, Any]) -> tuple[int, str, int]:
    urgency = row["urgency"]
    place = len(URGENCIES) if urgency is None else URGENCIES[::-1].index(urgency)
    return STAGES.index(row["stage"]), row["area_class"] or "", -place


def _never(row: ChaseRule) -> None:
    """A rule that never held: plans may name it, so its row stays."""
    row.valid = Range(empty=True)


def _midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
