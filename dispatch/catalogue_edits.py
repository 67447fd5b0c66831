"""Categories as the bureau changes them, from a moment on; every change is written down.

The row of table `category` is what holds now, its periods stand in `category_period`; what is planned is taken over when
it begins (`take_over`, by the clock). A category is never deleted: it ends, and may name the one that takes its place. An
incident keeps its category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.range import TimestamptzRange
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dispatch.catalogue_models import CatalogueChange, CategoryPeriod
from dispatch.categories import URGENCIES
from dispatch.models import Category
from dispatch.rule_periods import holding, to_come
from dispatch.rules_log import lock_rules, log_change
from dispatch.seeds import BEGINNING
from grid.core.errors import BadInput, Conflict, NotFound
from grid.models import POSTS
from grid.town import rules_changed

KINDS = ("component", "event")
# What a period of a category keeps.
FIELDS = (
    *("standard", "class_zh", "class_en", "kind", "name_zh", "name_en", "post"),
    *("support_posts", "support_after", "urgency", "source", "aliases"),
)
LONGEST_CODE, LONGEST_NAME = 20, 200


def add_category(
    session: Session, code: str, values: Mapping[str, Any], actor: str, now: datetime
) -> None:
    """A new category, from now on; `values` are FIELDS, names, class and post at least.

    Raises BadInput `category.code_bad` and what `check_values` raises; Conflict `category.exists`.
    """
    lock_rules(session)
    code = code.strip()
    if not code or len(code) > LONGEST_CODE or any(letter.isspace() for letter in code):
        raise BadInput("category.code_bad", field="code", category=code, most=LONGEST_CODE)
    if session.get(Category, code) is not None:
        raise Conflict("category.exists", field="code", category=code)
    name = str(values.get("name_zh") or "")
    facts = {
        "standard": "local",
        "class_zh": "",
        "class_en": str(values.get("class_zh") or ""),
        "kind": "event",
        "name_en": name,
        "support_posts": [],
        "support_after": [],
        "urgency": "normal",
        "source": "bureau",
        "aliases": [],
        **{field: value for field, value in values.items() if field in FIELDS},
    }
    check_values(facts)
    session.add(Category(code=code, **facts))
    session.flush()
    session.add(CategoryPeriod(category_code=code, facts=facts, valid=TimestamptzRange(now, None)))
    log_change(session, "category", code, None, facts, now, actor, now)


def change_category(
    session: Session,
    code: str,
    values: Mapping[str, Any],
    from_at: datetime,
    actor: str,
    now: datetime,
) -> None:
    """Other names, posts, urgency … from a moment on; a change planned for later takes the rest over.

    Raises NotFound `category.unknown`; what `check_values` raises.
    """
    lock_rules(session)
    row = _category(session, code)
    wanted = {field: value for field, value in values.items() if field in FIELDS}
    periods = _periods(session, row)
    current = holding(periods, from_at) or periods[-1]
    before = dict(current.facts)
    check_values({**before, **wanted})
    later = to_come(periods, from_at)
    if current.valid.lower == from_at:
        current.facts = {**before, **wanted}
    else:
        until = current.valid.upper
        current.valid = TimestamptzRange(current.valid.lower, from_at)  # type: ignore[assignment]
        session.flush()
        facts = {**before, **wanted}
        valid = TimestamptzRange(from_at, until)
        session.add(CategoryPeriod(category_code=code, facts=facts, valid=valid))
    known = before
    for period in later:
        # What a later plan does not itself change, it takes from before.
        own, taken = period.facts, dict(period.facts)
        taken |= {field: v for field, v in wanted.items() if own.get(field) == known.get(field)}
        known, period.facts = own, taken
    session.flush()
    if from_at <= now:
        _write(row, _fields(holding(_periods(session, row), now), row))
        session.flush()
    log_change(session, "category", code, before, {**before, **wanted}, from_at, actor, now)


def end_category(
    session: Session,
    code: str,
    replaced_by: str | None,
    from_at: datetime,
    actor: str,
    now: datetime,
) -> None:
    """Gives the category to no new incident from a moment on, but `replaced_by` where there is one.

    Raises NotFound `category.unknown`; BadInput `category.replaced_by_itself`, `category.replacement_ends`.
    """
    lock_rules(session)
    row = _category(session, code)
    if replaced_by is not None:
        other = _category(session, replaced_by)
        if other.code == code or _leads_to(session, other, code):
            raise BadInput("category.replaced_by_itself", field="replaced_by", category=code)
        if other.ended_at is not None and other.replaced_by is None:
            raise BadInput("category.replacement_ends", field="replaced_by", category=other.code)
    before = _end_of(row)
    row.ended_at, row.replaced_by = from_at, replaced_by
    session.flush()
    log_change(session, "category", code, before, _end_of(row), from_at, actor, now)


def reopen_category(session: Session, code: str, actor: str, now: datetime) -> None:
    """Takes an end back, whether it has come or not. Raises NotFound `category.unknown`, Conflict `category.not_ended`."""
    lock_rules(session)
    row = _category(session, code)
    if row.ended_at is None:
        raise Conflict("category.not_ended", category=code)
    before = _end_of(row)
    row.ended_at = row.replaced_by = None
    session.flush()
    log_change(session, "category", code, before, _end_of(row), now, actor, now)


def drop_plan(session: Session, code: str, from_at: datetime, actor: str, now: datetime) -> None:
    """Takes back a change of a category that has not begun; Conflict `rules.not_planned`."""
    lock_rules(session)
    row = _category(session, code)
    periods = sorted(_periods(session, row), key=lambda period: period.valid.lower or now)
    found = next((n for n, period in enumerate(periods) if period.valid.lower == from_at), None)
    if found is None or from_at <= now:
        raise Conflict("rules.not_planned", field="from", code=code)
    dropped, before = periods[found], periods[found - 1]
    old, until = dict(dropped.facts), dropped.valid.upper
    session.delete(dropped)
    session.flush()
    before.valid = TimestamptzRange(before.valid.lower, until)  # type: ignore[assignment]
    session.flush()
    log_change(session, "category", code, old, dict(before.facts), from_at, actor, now)


def take_over(session: Session, now: datetime) -> list[str]:
    """Lets planned changes of categories hold whose moment has come; their codes. To be called by the clock."""
    due = session.scalars(
        select(CategoryPeriod).where(
            CategoryPeriod.valid.op("@>")(now), func.lower(CategoryPeriod.valid) > BEGINNING
        )
    ).all()
    changed = []
    for period in due:
        row = session.get(Category, period.category_code)
        if row is not None and _facts(row) != {**_facts(row), **period.facts}:
            _write(row, period.facts)
            changed.append(row.code)
    if changed:
        session.flush()
        rules_changed(session)
    return changed


def categories_at_hand(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Every category as the administrator sees it: FIELDS, code, ended_at, replaced_by, planned (from, changes)."""
    planned: dict[str, list[CategoryPeriod]] = {}
    for period in session.scalars(
        select(CategoryPeriod).order_by(func.lower(CategoryPeriod.valid))
    ):
        planned.setdefault(period.category_code, []).append(period)
    rows = []
    for row in session.scalars(select(Category).order_by(Category.code)):
        facts = _facts(row)
        known, steps = facts, []
        for period in to_come(planned.get(row.code, []), now):
            change = {k: v for k, v in period.facts.items() if known.get(k) != v}
            steps.append({"from": period.valid.lower, "change": change})
            known = period.facts
        rows.append({"code": row.code, **facts, **_end_of(row), "planned": steps})
    return rows


def changed_by_hand(session: Session) -> frozenset[str]:
    """Codes of the categories that somebody has changed here."""
    asked = select(CatalogueChange.code).where(CatalogueChange.subject == "category").distinct()
    return frozenset(session.scalars(asked))


def check_values(facts: Mapping[str, Any]) -> None:
    """Whether a category can be so.

    Raises BadInput `category.name_missing`, `category.kind_unknown`, `category.urgency_unknown`,
    `category.post_unknown`, `category.support_unknown`, `category.after_unknown`.
    """
    for field in ("name_zh", "name_en"):
        if not str(facts.get(field) or "").strip() or len(str(facts[field])) > LONGEST_NAME:
            raise BadInput("category.name_missing", field=field, most=LONGEST_NAME)
    if facts["kind"] not in KINDS:
        raise BadInput("category.kind_unknown", field="kind", kind=facts["kind"])
    if facts["urgency"] not in URGENCIES:
        known = ", ".join(URGENCIES)
        raise BadInput(
            "category.urgency_unknown", field="urgency", urgency=facts["urgency"], known=known
        )
    if facts.get("post") not in POSTS:
        posts = ", ".join(POSTS)
        raise BadInput(
            "category.post_unknown", field="post", post=facts.get("post") or "-", posts=posts
        )
    support: Sequence[str] = facts["support_posts"]
    for post in support:
        if post not in POSTS or post == facts["post"]:
            raise BadInput("category.support_unknown", field="support_posts", post=post)
    for post in facts["support_after"]:
        if post not in support:
            raise BadInput("category.after_unknown", field="support_after", post=post)


def _category(session: Session, code: str) -> Category:
    row = session.get(Category, code, populate_existing=True)
    if row is None:
        raise NotFound("category.unknown", field="category", category=code)
    return row


def _periods(session: Session, row: Category) -> list[CategoryPeriod]:
    """The category's periods; of one that nobody has changed yet, what it is since the beginning."""
    asked = select(CategoryPeriod).where(CategoryPeriod.category_code == row.code)
    found = list(session.scalars(asked.execution_options(populate_existing=True)))
    if not found:
        valid = TimestamptzRange(BEGINNING, None)
        session.add(CategoryPeriod(category_code=row.code, facts=_facts(row), valid=valid))
        session.flush()
        found = list(session.scalars(asked))
    return found


def _fields(period: CategoryPeriod | None, row: Category) -> Mapping[str, Any]:
    return _facts(row) if period is None else period.facts


def _facts(row: Category) -> dict[str, Any]:
    facts = {field: getattr(row, field) for field in FIELDS}
    return {k: list(v) if isinstance(v, tuple | list) else v for k, v in facts.items()}


def _write(row: Category, facts: Mapping[str, Any]) -> None:
    for field in FIELDS:
        if field in facts:
            setattr(row, field, facts[field])


def _end_of(row: Category) -> dict[str, Any]:
    ended = row.ended_at.isoformat() if row.ended_at else None
    return {"ended_at": ended, "replaced_by": row.replaced_by}


def _leads_to(session: Session, row: Category, code: str) -> bool:
    """Whether one replacement after the other comes to a category."""
    passed: set[str] = set()
    current: Category | None = row
    while current is not None and current.replaced_by is not None and current.code not in passed:
        if current.replaced_by == code:
            return True
        passed.add(current.code)
        current = session.get(Category, current.replaced_by)
    return False
