"""The seed catalogue: categories, filing conditions and the codes of older editions, read from data/*.csv.

The bureau's own tables start from these values and are edited there; nothing here knows a database.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files

from dispatch.worktime import Limit, Unit
from grid.core.errors import BadInput, NotFound
from grid.core.values import dataclass

EDITION = "GB/T 47678.5-2026"
OLD_EDITION = "GB/T 30428.2-2013"
POSTS = ("officer", "cleaner", "gardener", "maintainer")
URGENCIES = ("emergency", "urgent", "normal")


@dataclass(frozen=True, slots=True)
class Category:
    """A 小类: five-digit code, names, lead post and helpers, urgency, and the limit where no condition says more.

    `source` is "sourced" or "unverified" (domain 2.5); `edition` names the standard the code belongs to.
    """

    code: str
    class_zh: str
    class_en: str
    kind: str  # component | event
    name_zh: str
    name_en: str
    post: str
    support_posts: tuple[str, ...]
    urgency: str
    limit: Limit
    source: str
    edition: str = EDITION

    @property
    def class_code(self) -> str:
        """The 大类: first two digits."""
        return self.code[:2]


@dataclass(frozen=True, slots=True)
class FilingCondition:
    """What must be seen on site to file, with its own limit and its own closing condition (domain 2.1).

    `code` is category-number ("01003-2"); number 1 is the leading condition of its category.
    """

    code: str
    category: str
    number: int
    name_zh: str
    name_en: str
    limit: Limit
    closing_zh: str
    closing_en: str

    @property
    def leading(self) -> bool:
        """True for the condition taken when nobody has chosen one."""
        return self.number == 1


@dataclass(frozen=True, slots=True)
class CodeRule:
    """Old codes that begin with `old_prefix` begin with `new_prefix` now; the longest prefix wins."""

    edition: str
    kind: str
    old_prefix: str
    new_prefix: str


@lru_cache(maxsize=1)
def seed_categories() -> tuple[Category, ...]:
    """Every category of data/categories.csv, by code."""
    return tuple(
        sorted((_category(row) for row in rows_of("categories.csv")), key=lambda c: c.code)
    )


@lru_cache(maxsize=1)
def seed_conditions() -> tuple[FilingCondition, ...]:
    """The conditions of data/filing_conditions.csv, and one made from the category's own limit where none is listed."""
    listed = [_condition(row) for row in rows_of("filing_conditions.csv")]
    covered = {condition.category for condition in listed}
    made = [_plain_condition(c) for c in seed_categories() if c.code not in covered]
    return tuple(sorted(listed + made, key=lambda c: (c.category, c.number)))


@lru_cache(maxsize=1)
def seed_code_rules() -> tuple[CodeRule, ...]:
    """Rules from older codes to the present edition (domain 1.2), from data/code_rules.csv."""
    return tuple(
        CodeRule(row["edition"], row["kind"], row["old_prefix"], row["new_prefix"])
        for row in rows_of("code_rules.csv")
    )


def aliases(
    categories: Iterable[Category], rules: Sequence[CodeRule] | None = None
) -> list[tuple[str, str, str, str]]:
    """Rows (edition, kind, old_code, code) for every category that had an older code; for the alias table."""
    found: list[tuple[str, str, str, str]] = []
    for category in categories:
        for rule in seed_code_rules() if rules is None else rules:
            if category.kind == rule.kind and category.code.startswith(rule.new_prefix):
                old = rule.old_prefix + category.code[len(rule.new_prefix) :]
                if (
                    len(old) == 4
                    and modern_code(old, rule.kind, rule.edition, rules) == category.code
                ):
                    found.append((rule.edition, rule.kind, old, category.code))
    return sorted(found)


def modern_code(
    old: str, kind: str, edition: str = OLD_EDITION, rules: Sequence[CodeRule] | None = None
) -> str | None:
    """The five-digit code of an older four-digit one, or None where no rule covers it (sudden events, say).

    The old codes of components and events overlap (0103 was a storm cover and a kerb ramp), so `kind` is needed.
    """
    known = seed_code_rules() if rules is None else rules
    fits = [
        rule
        for rule in known
        if rule.edition == edition and rule.kind == kind and old.startswith(rule.old_prefix)
    ]
    if len(old) != 4 or not old.isdigit() or not fits:
        return None
    best = max(fits, key=lambda rule: len(rule.old_prefix))
    return best.new_prefix + old[len(best.old_prefix) :]


def find_category(
    code: str,
    categories: Iterable[Category],
    kind: str | None = None,
    edition: str = OLD_EDITION,
    rules: Sequence[CodeRule] | None = None,
) -> Category:
    """A category by its code of this edition or an older one.

    Raises NotFound category.unknown, and BadInput category.code_ambiguous when an old code means a component
    and an event and `kind` does not say which.
    """
    by_code = {category.code: category for category in categories}
    if code in by_code:
        return by_code[code]
    kinds = (kind,) if kind else ("component", "event")
    modern = [modern_code(code, each, edition, rules) for each in kinds]
    known = [by_code[each] for each in modern if each in by_code]
    if not known:
        raise NotFound("category.unknown", "category", category=code)
    if len(known) > 1:
        candidates = [category.code for category in known]
        raise BadInput("category.code_ambiguous", "category", category=code, candidates=candidates)
    return known[0]


def rows_of(name: str) -> list[dict[str, str]]:
    """Rows of one of the csv files in dispatch/data."""
    with files("dispatch").joinpath("data", name).open("r", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def _category(row: dict[str, str]) -> Category:
    helpers = tuple(post for post in row["support_roles"].split(";") if post)
    return Category(
        code=row["code"],
        class_zh=row["class_zh"],
        class_en=row["class_en"],
        kind=row["kind"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        post=row["role"],
        support_posts=helpers,
        urgency=row["urgency"],
        limit=Limit(float(row["deadline_value"]), Unit(row["deadline_unit"])),
        source=row["source"],
    )


def _condition(row: dict[str, str]) -> FilingCondition:
    number = int(row["number"])
    return FilingCondition(
        code=f"{row['category']}-{number}",
        category=row["category"],
        number=number,
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        limit=Limit(float(row["value"]), Unit(row["unit"])),
        closing_zh=row["closing_zh"],
        closing_en=row["closing_en"],
    )


def _plain_condition(category: Category) -> FilingCondition:
    return FilingCondition(
        code=f"{category.code}-1",
        category=category.code,
        number=1,
        name_zh=f"现场存在{category.name_zh}问题",
        name_en=f"Seen on site: {category.name_en[0].lower()}{category.name_en[1:]}",
        limit=category.limit,
        closing_zh="现场问题已消除",
        closing_en="The problem is gone from the site",
    )
