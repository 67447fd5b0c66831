"""Categories from a file: the bureau's own posts and limits, from a moment on."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
from psycopg.types.range import TimestamptzRange
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.models import Category, FilingCondition
from dispatch.worktime import Limit
from grid.core.errors import BadInput
from grid.loading.staff_list import PeopleReport, RefusedRow
from grid.models import POSTS
from grid.town import ground_changed

URGENCIES = ("emergency", "urgent", "normal")


def load_categories(session: Session, table: pd.DataFrame, now: datetime) -> PeopleReport:
    """Loads categories (columns of the seed file); a changed limit holds from `now`, the old one ends.

    Refuses `category.post_unknown`, `category.kind_unknown`, `category.urgency_unknown`,
    `limit.unit_unknown`, `limit.value_bad`.
    """
    refused: list[RefusedRow] = []
    taken = 0
    for number, record in enumerate(table.to_dict("records"), start=2):
        row = {str(k): str(v) for k, v in record.items() if not pd.isna(v) and str(v)}
        try:
            _check(row)
            limit = Limit.of(
                _number(row.get("deadline_value", "")), row.get("deadline_unit", "working_days")
            )
        except BadInput as trouble:
            refused.append(RefusedRow(number, trouble.code, trouble.values))
            continue
        values = {
            "standard": row.get("standard", "local"),
            "class_zh": row.get("class_zh", ""),
            "class_en": row.get("class_en", row.get("class_zh", "")),
            "kind": row.get("kind", "event"),
            "name_zh": row["name_zh"],
            "name_en": row.get("name_en", row["name_zh"]),
            "post": row.get("role") or row["post"],
            "support_posts": [p for p in row.get("support_roles", "").split(";") if p],
            "urgency": row.get("urgency", "normal"),
            "source": row.get("source", "bureau"),
        }
        session.execute(
            insert(Category)
            .values(code=row["code"], **values)
            .on_conflict_do_update(index_elements=["code"], set_=values)
        )
        _set_limit(session, row, limit, now)
        taken += 1
    if taken:
        ground_changed(session)
    return PeopleReport(taken, refused)


def _set_limit(session: Session, row: dict[str, str], limit: Limit, now: datetime) -> None:
    """The leading condition's limit; the same limit is left as it is."""
    present = session.execute(
        text(
            "select id, limit_value, limit_unit, code, name_zh, name_en, closing_zh, closing_en,"
            " lower(valid) as since from filing_condition"
            " where category_code = :code and number = 1 and upper_inf(valid)"
        ),
        {"code": row["code"]},
    ).one_or_none()
    unit = str(limit.unit)
    if present is not None:
        if present.limit_value == limit.value and present.limit_unit == unit:
            return
        session.execute(
            text("update filing_condition set valid = tstzrange(lower(valid), :at) where id = :id"),
            {"at": now, "id": present.id},
        )
    session.add(
        FilingCondition(
            category_code=row["code"],
            code=present.code if present else f"{row['code']}-1",
            number=1,
            name_zh=present.name_zh if present else row["name_zh"],
            name_en=present.name_en if present else row.get("name_en", row["name_zh"]),
            closing_zh=present.closing_zh if present else "问题已消除",
            closing_en=present.closing_en if present else "The problem is gone",
            limit_value=limit.value,
            limit_unit=unit,
            valid=TimestamptzRange(now, None),
        )
    )
    session.flush()


def _check(row: dict[str, str]) -> None:
    post = row.get("role") or row.get("post")
    if post not in POSTS:
        raise BadInput("category.post_unknown", field="role", post=post, posts=", ".join(POSTS))
    if row.get("kind", "event") not in ("event", "component"):
        raise BadInput("category.kind_unknown", field="kind", kind=row.get("kind"))
    if row.get("urgency", "normal") not in URGENCIES:
        known = ", ".join(URGENCIES)
        raise BadInput(
            "category.urgency_unknown", field="urgency", urgency=row.get("urgency"), known=known
        )


def _number(written: str) -> float:
    try:
        return float(written)
    except ValueError as error:
        raise BadInput("limit.value_bad", field="deadline_value", value=written) from error
