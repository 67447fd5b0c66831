"""First contents of the tables that are data: categories with conditions, channels, working calendars.

Loading twice changes nothing, and nothing the bureau has changed is overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from psycopg.types.range import TimestamptzRange
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch import chase_models, models
from dispatch.calendars import is_official, seed_days
from dispatch.categories import aliases, seed_categories, seed_conditions
from dispatch.chase_rules import seed_chase_rules
from dispatch.deadlines import SAME_DAY, seed_reply_rules, seed_stage_rules
from dispatch.ready_replies import load_shipped as load_shipped_replies
from dispatch.resident_templates import load_shipped

# Datum of the points a channel sends unless they say otherwise: domain notes 6.2.
CHANNELS = (
    # code, name_zh, name_en, datum, trusted, open to all
    ("patrol", "巡查上报", "Patrol report", "wgs84", True, False),
    ("hotline_12345", "12345热线", "12345 hotline", "gcj02", True, False),
    ("hotline_12319", "12319热线", "12319 hotline", "gcj02", True, False),
    ("video", "视频上报", "Video report", "wgs84", True, False),
    ("leader", "领导批示", "Leader's instruction", "wgs84", True, False),
    ("media", "媒体曝光", "Media", "wgs84", True, False),
    ("system", "系统对接", "Other system", "wgs84", True, False),
    ("citizen", "市民上报", "Citizen report", "wgs84", False, True),
    ("wechat", "微信上报", "WeChat report", "gcj02", False, True),
    ("camera", "摄像头识别", "Camera", "wgs84", True, False),
    ("sensor", "物联感知", "Sensor", "wgs84", True, False),
)
# Channels that repeat themselves: within their window they attach to the open incident.
MACHINES = frozenset({"camera", "sensor"})
# The answer that 12345 owes the caller: of the kinds in data/reply_limits.csv, complaints and emergencies.
REPLIES = {"hotline_12345": ("complaint", "emergency")}
# Whoever sweeps comes when the repair is done; the other helpers begin at once.
AFTER_THE_LEAD = frozenset({"cleaner"})
# Conditions hold from before the first archive a bureau may bring.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def load_seeds(session: Session, country: str, years: Iterable[int]) -> None:
    """Fills empty tables with the seed data; `years` are those of the working calendar."""
    old_codes: dict[str, list[str]] = {}
    for _edition, _kind, old, new in aliases(seed_categories()):
        old_codes.setdefault(new, []).append(old)
    session.execute(
        insert(models.Category).on_conflict_do_nothing(),
        [
            {
                "code": c.code,
                "standard": c.edition,
                "class_zh": c.class_zh,
                "class_en": c.class_en,
                "kind": c.kind,
                "name_zh": c.name_zh,
                "name_en": c.name_en,
                "post": c.post,
                "support_posts": list(c.support_posts),
                "urgency": c.urgency,
                "source": c.source,
                "aliases": sorted(set(old_codes.get(c.code, []))),
                "support_after": [post for post in c.support_posts if post in AFTER_THE_LEAD],
            }
            for c in seed_categories()
        ],
    )
    if not session.scalar(select(func.count()).select_from(models.FilingCondition)):
        session.add_all(
            models.FilingCondition(
                category_code=c.category,
                code=c.code,
                number=c.number,
                name_zh=c.name_zh,
                name_en=c.name_en,
                closing_zh=c.closing_zh,
                closing_en=c.closing_en,
                limit_value=c.limit.value,
                limit_unit=str(c.limit.unit),
                valid=TimestamptzRange(BEGINNING, None),
            )
            for c in seed_conditions()
        )
    load_shipped(session, datetime.now(UTC))
    load_shipped_replies(session, datetime.now(UTC))
    names = ("code", "name_zh", "name_en", "datum", "trusted", "open_to_all")
    session.execute(
        insert(models.Channel).on_conflict_do_nothing(),
        [
            dict(zip(names, row, strict=True)) | _reply(row[0]) | {"machine": row[0] in MACHINES}
            for row in CHANNELS
        ],
    )
    _load_chasing(session)
    known = set(session.scalars(select(models.CalendarYear.year)))
    missing = sorted(set(years) - known)
    if missing:
        session.execute(
            insert(models.CalendarYear),
            [{"year": year, "official": is_official(country, year)} for year in missing],
        )
        days = [
            {"day": d.day, "is_workday": d.is_workday, "name_zh": d.name_zh, "name_en": d.name_en}
            for d in seed_days(country, missing)
        ]
        if days:
            session.execute(insert(models.CalendarDay).on_conflict_do_nothing(), days)


def _reply(channel: str) -> dict[str, object]:
    """A channel's own reply limits as columns."""
    rules = {rule.matter: rule for rule in seed_reply_rules()}
    columns: dict[str, object] = {}
    kinds = REPLIES.get(channel, (None, None))
    for name, kind in zip(("reply", "reply_emergency"), kinds, strict=True):
        rule = rules.get(kind) if kind else None
        limit = rule.limit if rule else None
        unit = None if rule is None else str(limit.unit) if limit else SAME_DAY
        columns |= {f"{name}_value": limit.value if limit else None, f"{name}_unit": unit}
    return columns


def _load_chasing(session: Session) -> None:
    """Limits of the stages and rules of chasing, where the bureau has none yet."""
    always = TimestamptzRange(BEGINNING, None)
    if not session.scalar(select(func.count()).select_from(chase_models.StageLimit)):
        session.add_all(
            chase_models.StageLimit(
                stage=rule.subject,
                urgency=rule.urgency,
                area_class=rule.area_class,
                value=rule.limit.value,
                unit=str(rule.limit.unit),
                valid=always,
            )
            for rule in seed_stage_rules()
        )
    if not session.scalar(select(func.count()).select_from(chase_models.ChaseRule)):
        session.add_all(
            chase_models.ChaseRule(
                code=row["code"],
                clock=row["clock"],
                urgency=row["urgency"] or None,
                share=float(row["share"]),
                after_value=float(row["after_value"]) if row["after_value"] else None,
                after_unit=row["after_unit"] or None,
                tell=row["tell"],
                valid=always,
            )
            for row in seed_chase_rules()
        )
    session.flush()
