"""The bureau's rules over HTTP: categories, filing conditions, stage limits, rules of chasing, the calendar; who changed what."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, allowed
from api.routes.incidents import PROBLEMS
from api.services import Services
from dispatch import (
    calendar_edits,
    catalogue_edits,
    channel_edits,
    condition_edits,
    rule_edits,
    rules_log,
)

router = APIRouter(prefix="/api/v1/admin", tags=["rules"])
Administrator = Annotated[Account, Depends(allowed("administer"), scope="function")]
Text = Annotated[str, Field(max_length=400)]
Urgency = Literal["emergency", "urgent", "normal"]


class Change(BaseModel):
    """What every change may say: the day from which it holds; today, at once, when it says nothing."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_day: date | None = Field(default=None, alias="from")

    def facts(self) -> dict[str, Any]:
        """What is to be changed: only what was told."""
        return self.model_dump(exclude_unset=True, exclude={"from_day"})


class CategoryChange(Change):
    """Another name, post, urgency … of a category."""

    standard: Text | None = None
    class_zh: Text | None = None
    class_en: Text | None = None
    kind: str | None = None
    name_zh: Text | None = None
    name_en: Text | None = None
    post: str | None = None
    support_posts: list[str] | None = None
    support_after: list[str] | None = None
    urgency: str | None = None
    aliases: list[Text] | None = None

    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in super().facts().items() if value is not None}


class ConditionChange(Change):
    """Other words or another limit of a filing condition."""

    name_zh: Text | None = None
    name_en: Text | None = None
    closing_zh: Text | None = None
    closing_en: Text | None = None
    limit_value: float | None = None
    limit_unit: str | None = None

    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in super().facts().items() if value is not None}


class NewCategory(CategoryChange):
    """A new category with its first condition, whose name is the category's own where it has none."""

    code: str = Field(max_length=60)
    limit_value: float
    limit_unit: str = "working_days"


class CategoryEnd(Change):
    """From when on a category is given to nothing new, and what takes its place."""

    replaced_by: str | None = Field(default=None, max_length=60)


class StageLimitIn(Change):
    """A limit of a stage, for one urgency or for all."""

    stage: str
    urgency: Urgency | None = None
    area_class: str | None = None
    value: float | None = None
    unit: str | None = None


class ChaseRuleIn(Change):
    """A rule of chasing, for one urgency or for all."""

    code: str = Field(max_length=200)
    urgency: Urgency | None = None
    clock: str | None = None
    share: float | None = None
    after_value: float | None = None
    after_unit: str | None = None
    tell: str | None = None


class ChannelChange(BaseModel):
    """What is to change of a channel; a reply unit of "" takes that limit away, `same_day` ends with the day."""

    model_config = ConfigDict(extra="forbid")

    name_zh: Text | None = None
    name_en: Text | None = None
    datum: str | None = Field(default=None, max_length=40)
    trusted: bool | None = None
    open_to_all: bool | None = None
    machine: bool | None = None
    reply_value: float | None = None
    reply_unit: str | None = None
    reply_emergency_value: float | None = None
    reply_emergency_unit: str | None = None


class DayIn(BaseModel):
    """A day off, or a workday, whatever its weekday."""

    model_config = ConfigDict(extra="forbid")

    is_workday: bool
    name_zh: Text
    name_en: Text = ""


class YearIn(BaseModel):
    """Whether the shifted workdays of a year are those published."""

    model_config = ConfigDict(extra="forbid")

    official: bool


@router.get("/categories", responses=PROBLEMS)
def categories(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Every category, ended ones too, with its conditions and what is planned for each."""
    conditions: dict[str, list[dict[str, Any]]] = {}
    for condition in condition_edits.conditions_at_hand(session, now):
        conditions.setdefault(condition["category"], []).append(condition)
    rows = catalogue_edits.categories_at_hand(session, now)
    return [{**row, "conditions": conditions.get(row["code"], [])} for row in rows]


@router.post("/categories", status_code=201, responses=PROBLEMS)
def add_category(
    asked: NewCategory, session: DbSession, account: Administrator, now: Now
) -> dict[str, str]:
    """A new category with one condition."""
    code, who = asked.code.strip(), _who(account)
    catalogue_edits.add_category(session, code, asked.facts(), who, now)
    name = asked.name_zh or ""
    first = {
        "name_zh": name,
        "name_en": asked.name_en or name,
        "limit_value": asked.limit_value,
        "limit_unit": asked.limit_unit,
    }
    condition = condition_edits.add_condition(session, code, first, now, who, now)
    return {"code": code, "condition": condition}


@router.patch("/categories/{code}", status_code=204, responses=PROBLEMS)
def change_category(
    code: str,
    asked: CategoryChange,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Changes a category from a day on."""
    begins = _begins(services, asked, now)
    catalogue_edits.change_category(session, code, asked.facts(), begins, _who(account), now)


@router.post("/categories/{code}/end", status_code=204, responses=PROBLEMS)
def end_category(
    code: str,
    asked: CategoryEnd,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Ends a category from a day on; another may take its place."""
    begins = _begins(services, asked, now)
    instead = asked.replaced_by or None
    catalogue_edits.end_category(session, code, instead, begins, _who(account), now)


@router.delete("/categories/{code}/end", status_code=204, responses=PROBLEMS)
def reopen_category(code: str, session: DbSession, account: Administrator, now: Now) -> None:
    """Takes a category's end back."""
    catalogue_edits.reopen_category(session, code, _who(account), now)


@router.delete("/categories/{code}/planned", status_code=204, responses=PROBLEMS)
def drop_plan(
    code: str,
    session: DbSession,
    account: Administrator,
    now: Now,
    from_at: Annotated[AwareDatetime, Query(alias="from")],
) -> None:
    """Takes back a change that has not begun."""
    catalogue_edits.drop_plan(session, code, from_at, _who(account), now)


@router.post("/categories/{code}/conditions", status_code=201, responses=PROBLEMS)
def add_condition(
    code: str,
    asked: ConditionChange,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> dict[str, str]:
    """One more filing condition of a category."""
    begins = _begins(services, asked, now)
    made = condition_edits.add_condition(session, code, asked.facts(), begins, _who(account), now)
    return {"condition": made}


@router.patch("/conditions/{code}", status_code=204, responses=PROBLEMS)
def change_condition(
    code: str,
    asked: ConditionChange,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Changes a condition or its limit from a day on; what is filed keeps the limit it was filed with."""
    begins = _begins(services, asked, now)
    condition_edits.change_condition(session, code, asked.facts(), begins, _who(account), now)


@router.post("/conditions/{code}/end", status_code=204, responses=PROBLEMS)
def end_condition(
    code: str,
    asked: Change,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Ends a condition from a day on."""
    begins = _begins(services, asked, now)
    condition_edits.end_condition(session, code, begins, _who(account), now)


@router.get("/stage-limits", responses=PROBLEMS)
def stage_limits(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Limits of the stages: accept, verify, dispatch, task (to accept it), check, close."""
    return rule_edits.stage_limits_at_hand(session, now)


@router.put("/stage-limits", status_code=204, responses=PROBLEMS)
def set_stage_limit(
    asked: StageLimitIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Sets the limit of a stage from the beginning of a day on; without a value, takes it away."""
    begins, zone = _begins(services, asked, now), services.desk.zone
    what = asked.stage, asked.urgency, asked.area_class or None
    if asked.value is None:
        rule_edits.end_stage_limit(session, *what, begins, zone, _who(account), now)
        return
    limit = (asked.value, asked.unit or "")
    rule_edits.set_stage_limit(session, *what, limit, begins, zone, _who(account), now)


@router.get("/chase-rules", responses=PROBLEMS)
def chase_rules(session: DbSession, account: Administrator, now: Now) -> list[dict[str, Any]]:
    """Whom to tell when of which clock."""
    return rule_edits.chase_rules_at_hand(session, now)


@router.put("/chase-rules", status_code=204, responses=PROBLEMS)
def set_chase_rule(
    asked: ChaseRuleIn,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Sets a rule of chasing from a day on; without `tell`, takes it away."""
    begins, who = _begins(services, asked, now), _who(account)
    if asked.tell is None:
        rule_edits.end_chase_rule(session, asked.code, asked.urgency, begins, who, now)
        return
    facts = asked.model_dump(include={"clock", "share", "after_value", "after_unit", "tell"})
    facts["after_unit"] = facts["after_unit"] or None
    rule_edits.set_chase_rule(session, asked.code, asked.urgency, facts, begins, who, now)


@router.get("/channels", responses=PROBLEMS)
def channels(session: DbSession, account: Administrator) -> list[dict[str, Any]]:
    """Every channel: whether it is trusted, its datum, its own reply limits."""
    return channel_edits.channels_at_hand(session)


@router.patch("/channels/{code}", status_code=204, responses=PROBLEMS)
def change_channel(
    code: str, asked: ChannelChange, session: DbSession, account: Administrator, now: Now
) -> None:
    """Changes a channel for what comes in from now on."""
    told = asked.model_dump(exclude_unset=True).items()
    values = {name: value for name, value in told if value is not None}
    channel_edits.change_channel(session, code, values, _who(account), now)


@router.get("/calendar/{year}", responses=PROBLEMS)
def calendar(year: int, session: DbSession, account: Administrator) -> dict[str, Any]:
    """The days of a year that differ from their week, and whether the year is official."""
    return calendar_edits.calendar_at_hand(session, year)


@router.put("/calendar/{year}", status_code=204, responses=PROBLEMS)
def set_official(
    year: int, asked: YearIn, session: DbSession, account: Administrator, now: Now
) -> None:
    """Says whether a year is as published."""
    calendar_edits.set_official(session, year, asked.official, _who(account), now)


@router.put("/calendar/days/{day}", status_code=204, responses=PROBLEMS)
def set_day(day: date, asked: DayIn, session: DbSession, account: Administrator, now: Now) -> None:
    """Makes a day a day off or a workday; open incidents are due anew."""
    calendar_edits.set_day(
        session, day, asked.is_workday, asked.name_zh, asked.name_en, _who(account), now
    )


@router.delete("/calendar/days/{day}", status_code=204, responses=PROBLEMS)
def drop_day(day: date, session: DbSession, account: Administrator, now: Now) -> None:
    """Lets a day be what its weekday says."""
    calendar_edits.drop_day(session, day, _who(account), now)


@router.get("/changes", responses=PROBLEMS)
def changes(
    session: DbSession,
    account: Administrator,
    subject: str | None = None,
    code: str | None = None,
    actor: str | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=rules_log.LONGEST_LIST)] = 100,
) -> list[dict[str, Any]]:
    """Who changed what (rules, accounts, people …), when, from which moment on, from what to what; the newest first.

    `subject` may name several with commas; `before` gives those older than an id.
    """
    return rules_log.changes(session, subject, code, limit, actor=actor, before=before)


def _who(account: Account) -> str:
    return f"account:{account.username}"


def _begins(services: Services, asked: Change, now: datetime) -> datetime:
    return rules_log.beginning(asked.from_day, services.desk.zone, now)
