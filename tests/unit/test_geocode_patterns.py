"""Every text of the table of address patterns is read as the table says, with street names as the only gazetteer."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from grid.geocode import Gazetteer, GazetteerData, Reading, parse

FIELDS = (
    "street",
    "cross_street",
    "house_number",
    "landmark",
    "side",
    "direction",
    "offset_m",
    "span_from",
    "span_to",
    "km_post",
)


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data.parent / "domain/address-patterns.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def streets_only(rows: list[dict[str, str]]) -> Gazetteer:
    """The streets of the table; no place is known, and codes of roads are not either."""
    names = sorted(
        {
            row[key]
            for row in rows
            for key in ("street", "cross_street", "span_from", "span_to")
            if re.search("(路|街|巷|大道)$", row[key])
        }
    )
    assert len(names) > 30
    return Gazetteer.build(GazetteerData(street_id=list(range(len(names))), street_name=names))


def _shown(reading: Reading) -> dict[str, str]:
    values = {name: getattr(reading, name) for name in FIELDS}
    return {
        k: "" if v is None else f"{v:g}" if isinstance(v, float) else v for k, v in values.items()
    }


def test_all_patterns_read_as_the_table_says(
    rows: list[dict[str, str]], streets_only: Gazetteer
) -> None:
    wrong = []
    for row in rows:
        got = _shown(parse(row["text"], streets_only))
        wrong += [
            f"{row['text']}: {k} is {got[k]!r}, not {row[k]!r}" for k in FIELDS if got[k] != row[k]
        ]
    assert len(rows) == 117
    assert wrong == []


def test_patterns_read_the_same_when_the_places_are_known(
    rows: list[dict[str, str]], streets_only: Gazetteer
) -> None:
    """Places in the gazetteer must not upset what the words already say."""
    places = sorted(
        {
            row["landmark"]
            for row in rows
            if row["landmark"] and not re.search(r"\d", row["landmark"])
        }
    )
    data = GazetteerData(
        street_id=list(range(len(streets_only.street_names))),
        street_name=streets_only.street_names,
        place_name=places,
        place_x_m=[0.0] * len(places),
        place_y_m=[0.0] * len(places),
    )
    gazetteer = Gazetteer.build(data)
    wrong = []
    for row in rows:
        got = _shown(parse(row["text"], gazetteer))
        wrong += [
            f"{row['text']}: {k} is {got[k]!r}, not {row[k]!r}" for k in FIELDS if got[k] != row[k]
        ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "我家楼下",
        "不知道在哪里",
        "有人吗",
        "垃圾太多了没人管",
        "hello",
        "？？？",
        "今天第3次投诉了",
    ],
)
def test_texts_without_a_place_yield_nothing(text: str, streets_only: Gazetteer) -> None:
    assert parse(text, streets_only) == Reading()
