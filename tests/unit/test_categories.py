"""The seed catalogue: complete, in step with the shared table, and reachable by the older codes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dispatch.categories import (
    POSTS,
    URGENCIES,
    aliases,
    find_category,
    modern_code,
    seed_categories,
    seed_conditions,
)
from dispatch.worktime import Limit, Unit
from grid.core.errors import BadInput, NotFound


def test_the_catalogue_is_that_of_the_domain(shared_data: Path) -> None:
    with (shared_data.parent / "domain" / "categories.csv").open(encoding="utf-8") as text:
        rows = {row["code"]: row for row in csv.DictReader(text)}
    seeded = {category.code: category for category in seed_categories()}
    assert len(seeded) == 130
    assert seeded.keys() == rows.keys()
    assert sum(category.kind == "component" for category in seeded.values()) == 47
    for code, category in seeded.items():
        row = rows[code]
        assert category.name_zh == row["name_zh"]
        assert category.post == row["role"]
        assert category.limit == Limit(float(row["deadline_value"]), Unit(row["deadline_unit"]))


def test_posts_and_urgencies_are_known() -> None:
    for category in seed_categories():
        assert category.post in POSTS
        assert set(category.support_posts) <= set(POSTS) - {category.post}
        assert category.urgency in URGENCIES


def test_every_category_has_a_leading_condition_with_its_own_limit() -> None:
    leading = {each.category: each for each in seed_conditions() if each.leading}
    assert leading.keys() == {category.code for category in seed_categories()}
    for category in seed_categories():
        assert leading[category.code].limit == category.limit


def test_conditions_of_a_storm_cover() -> None:
    found = [each for each in seed_conditions() if each.category == "01003"]
    assert [each.limit for each in found] == [
        Limit(2, Unit.HOURS),
        Limit(4, Unit.WORKING_HOURS),
        Limit(2, Unit.WORKING_DAYS),
        Limit(5, Unit.WORKING_DAYS),
    ]
    assert [each.code for each in found] == ["01003-1", "01003-2", "01003-3", "01003-4"]
    assert all(each.closing_zh and each.closing_en for each in seed_conditions())


def test_condition_codes_are_unique() -> None:
    codes = [each.code for each in seed_conditions()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("old", "kind", "new"),
    [
        ("0112", "event", "06012"),
        ("0405", "event", "09005"),
        ("0103", "component", "01003"),
        ("0103", "event", "06003"),
        ("0507", "component", "01070"),
        ("0501", "event", None),  # sudden events went elsewhere
        ("0601", "event", None),
        ("12", "event", None),
    ],
)
def test_codes_of_2013(old: str, kind: str, new: str | None) -> None:
    assert modern_code(old, kind) == new


def test_editions_that_swapped_classes() -> None:
    assert modern_code("0505", "event", "CJ/T 214") == "09005"
    assert modern_code("0405", "event", "CJ/T 214") is None


def test_an_old_code_finds_its_category_or_says_why_not() -> None:
    categories = seed_categories()
    assert find_category("06012", categories).code == "06012"
    assert find_category("0112", categories).code == "06012"  # no component 01012 in the catalogue
    assert find_category("0103", categories, kind="component").code == "01003"
    with pytest.raises(BadInput) as two:
        find_category("0103", categories)
    assert two.value.code == "category.code_ambiguous"
    assert two.value.values["candidates"] == ["01003", "06003"]
    with pytest.raises(NotFound) as unknown:
        find_category("9999", categories)
    assert unknown.value.code == "category.unknown"


def test_alias_rows_point_back() -> None:
    rows = aliases(seed_categories())
    assert ("GB/T 30428.2-2013", "event", "0112", "06012") in rows
    assert ("GB/T 30428.2-2013", "component", "0507", "01070") in rows
    for edition, kind, old, code in rows:
        assert modern_code(old, kind, edition) == code
    assert len({row[:3] for row in rows}) == len(rows)
