"""Categories, limits, channels and the working calendar as plain values, read once a version of ground and rules."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dispatch import catalogue_models, chase_models, models
from dispatch.calendars import CalendarDay, calendar_of
from dispatch.chase_rules import ChaseRule
from dispatch.clocks import ClockKind
from dispatch.deadlines import LimitRule, LimitTable, reply_limit, seed_stage_rules
from dispatch.worktime import Limit, WorkCalendar
from grid.core.errors import BadInput
from grid.core.settings import TownSettings
from grid.core.values import dataclass

# Of the ground and of the rules; where no street is yet, of the last change of the rules.
Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CategoryFacts:
    """What routing needs of a category."""

    code: str
    name_zh: str
    name_en: str
    class_zh: str
    class_en: str
    kind: str
    post: str
    support_posts: tuple[str, ...]
    urgency: str
    support_after: tuple[str, ...] = ()
    # From then on new incidents are not given it, but `replaced_by` where there is one.
    ended_at: datetime | None = None
    replaced_by: str | None = None

    def ended(self, at: datetime) -> bool:
        """Whether the category is given to no new incident any more."""
        return self.ended_at is not None and self.ended_at <= at


@dataclass(frozen=True, slots=True)
class ConditionFacts:
    """A filing condition with its limit and its period."""

    id: int
    code: str
    number: int
    name_zh: str
    name_en: str
    limit: Limit
    valid_from: datetime | None
    valid_to: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether the condition is in force at a moment."""
        started = self.valid_from is None or self.valid_from <= at
        return started and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel: default datum, whether its reports go straight to the crew, its own reply limits as (value, unit)."""

    code: str
    name_zh: str
    name_en: str
    datum: str
    trusted: bool
    open_to_all: bool
    reply: tuple[float | None, str | None] = (None, None)
    reply_emergency: tuple[float | None, str | None] = (None, None)
    machine: bool = False

    def reply_limit(
        self, now: datetime, urgency: str | None, calendar: WorkCalendar
    ) -> Limit | None:
        """The limit of the answer to what comes in now; None where the channel has none."""
        emergency = urgency == "emergency" and self.reply_emergency[1] is not None
        return reply_limit(now, *(self.reply_emergency if emergency else self.reply), calendar)


@dataclass(frozen=True)
class Catalogue:
    """The bureau's rules as they stand."""

    categories: Mapping[str, CategoryFacts]
    by_alias: Mapping[str, str]
    conditions: Mapping[str, tuple[ConditionFacts, ...]]
    channels: Mapping[str, ChannelFacts]
    calendar: WorkCalendar
    stages: LimitTable = field(default_factory=lambda: LimitTable(seed_stage_rules()))
    chase_rules: tuple[ChaseRule, ...] = ()

    def category(self, written: str | None) -> CategoryFacts | None:
        """The category of a code, an older code or an exact name; BadInput `category.unknown`."""
        if not written or not written.strip():
            return None
        key = written.strip()
        code = key if key in self.categories else self.by_alias.get(key.casefold())
        if code is None:
            raise BadInput("category.unknown", field="category", category=key)
        return self.categories[code]

    def category_at(self, written: str | None, at: datetime) -> CategoryFacts | None:
        """The category that a new incident gets at a moment: of one that has ended, the one that took its place.

        Raises BadInput `category.unknown`, `category.ended`.
        """
        found = self.category(written)
        passed: set[str] = set()
        while found is not None and found.ended(at):
            passed.add(found.code)
            if found.replaced_by is None or found.replaced_by in passed:
                raise BadInput("category.ended", field="category", category=found.code)
            found = self.categories[found.replaced_by]
        return found

    def open_categories(self, at: datetime) -> list[CategoryFacts]:
        """The categories that a new incident may get at a moment, by code."""
        return [found for found in self.categories.values() if not found.ended(at)]

    def leading_condition(self, code: str, at: datetime) -> ConditionFacts | None:
        """The first condition of a category in force at a moment."""
        return next((c for c in self.conditions.get(code, ()) if c.holds(at)), None)

    def condition(
        self, code: str | None, category: CategoryFacts | None, at: datetime
    ) -> ConditionFacts | None:
        """A condition of a category by its code, or the category's leading one.

        Raises BadInput `condition.unknown`.
        """
        if category is None:
            return None
        if code is None:
            return self.leading_condition(category.code, at)
        for found in self.conditions.get(category.code, ()):
            if found.code == code and found.holds(at):
                return found
        raise BadInput(
            "condition.unknown", field="condition", condition=code, category=category.code
        )

    def channel(self, code: str) -> ChannelFacts:
        """The channel of a code; BadInput `channel.unknown`."""
        found = self.channels.get(code)
        if found is None:
            known = ", ".join(sorted(self.channels))
            raise BadInput("channel.unknown", field="channel", channel=code, known=known)
        return found


class CatalogueBook:
    """Keeps the newest catalogue of one database; read anew when the version of the rules is another."""

    def __init__(self, settings: TownSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: tuple[Version, Catalogue] | None = None

    def read(self, session: Session, version: Version) -> Catalogue:
        """The catalogue at this version of ground and rules."""
        kept = self._kept
        if kept is not None and kept[0] == version:
            return kept[1]
        with self._lock:
            catalogue = read_catalogue(session, self._settings)
            self._kept = (version, catalogue)
            return catalogue


def read_catalogue(session: Session, settings: TownSettings) -> Catalogue:
    """Reads the tables into plain values."""
    categories: dict[str, CategoryFacts] = {}
    by_alias: dict[str, str] = {}
    # Of one name that several have, the category still in use is meant.
    newest = models.Category.ended_at.desc().nulls_first(), models.Category.code
    for row in session.scalars(select(models.Category).order_by(*newest)):
        categories[row.code] = CategoryFacts(
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            class_zh=row.class_zh,
            class_en=row.class_en,
            kind=row.kind,
            post=row.post,
            support_posts=tuple(row.support_posts),
            urgency=row.urgency,
            support_after=tuple(row.support_after),
            ended_at=row.ended_at,
            replaced_by=row.replaced_by,
        )
        for alias in (*row.aliases, row.name_zh, row.name_en):
            by_alias.setdefault(alias.casefold(), row.code)
    conditions: dict[str, list[ConditionFacts]] = {}
    for condition in session.scalars(
        select(models.FilingCondition).order_by(models.FilingCondition.number)
    ):
        conditions.setdefault(condition.category_code, []).append(
            ConditionFacts(
                id=condition.id,
                code=condition.code,
                number=condition.number,
                name_zh=condition.name_zh,
                name_en=condition.name_en,
                limit=Limit.of(condition.limit_value, condition.limit_unit),
                valid_from=condition.valid.lower,
                valid_to=condition.valid.upper,
            )
        )
    channels = {
        row.code: ChannelFacts(
            row.code,
            row.name_zh,
            row.name_en,
            row.datum,
            row.trusted,
            row.open_to_all,
            (row.reply_value, row.reply_unit),
            (row.reply_emergency_value, row.reply_emergency_unit),
            row.machine,
        )
        for row in session.scalars(select(models.Channel))
    }
    return Catalogue(
        categories=dict(sorted(categories.items())),
        by_alias=by_alias,
        conditions={code: tuple(items) for code, items in conditions.items()},
        channels=channels,
        calendar=_calendar(session, settings),
        stages=LimitTable(_stages(session, settings.zone)),
        chase_rules=_chase_rules(session),
    )


def last_change(session: Session) -> int:
    """The id of the newest change of the rules."""
    return session.scalar(select(func.max(catalogue_models.CatalogueChange.id))) or 0


def _stages(session: Session, zone: ZoneInfo) -> list[LimitRule]:
    """Limits of the stages; the shipped ones where the table is empty."""
    found = [
        LimitRule(
            row.stage,
            Limit.of(row.value, row.unit),
            row.area_class,
            row.urgency,
            row.valid.lower.astimezone(zone).date() if row.valid.lower else None,
            row.valid.upper.astimezone(zone).date() if row.valid.upper else None,
        )
        for row in session.scalars(select(chase_models.StageLimit))
    ]
    return found or list(seed_stage_rules())


def _chase_rules(session: Session) -> tuple[ChaseRule, ...]:
    return tuple(
        ChaseRule(
            row.id,
            row.code,
            ClockKind(row.clock),
            row.share,
            Limit.of(row.after_value, row.after_unit)
            if row.after_value is not None and row.after_unit is not None
            else None,
            row.tell,
            row.urgency,
            row.valid.lower,
            row.valid.upper,
        )
        for row in session.scalars(
            select(chase_models.ChaseRule)
            # Taken back before it began.
            .where(~func.isempty(chase_models.ChaseRule.valid))
            .order_by(chase_models.ChaseRule.id)
        )
    )


def _calendar(session: Session, settings: TownSettings) -> WorkCalendar:
    official = {row.year for row in session.scalars(select(models.CalendarYear)) if row.official}
    days = [
        CalendarDay(row.day, row.is_workday, row.name_zh, row.name_en, row.day.year in official)
        for row in session.scalars(select(models.CalendarDay).order_by(models.CalendarDay.day))
    ]
    zone = ZoneInfo(settings.time_zone)
    return calendar_of(days, zone, official, office_hours_of(settings.office_hours))


def office_hours_of(written: str) -> tuple[tuple[int, int], ...]:
    """`08:00-12:00,14:00-18:00` as minutes after midnight; BadInput `settings.office_hours`."""
    spans: list[tuple[int, int]] = []
    try:
        for part in written.split(","):
            start, end = (
                int(hours) * 60 + int(minutes)
                for hours, minutes in (edge.split(":") for edge in part.strip().split("-"))
            )
            spans.append((start, end))
    except ValueError as error:
        raise BadInput(
            "settings.office_hours", field="GRIDWARD_OFFICE_HOURS", text=written
        ) from error
    return tuple(spans)
