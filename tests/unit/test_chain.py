"""The chained record: whole chains verify, and every kind of tampering is found and named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.chain import (
    GENESIS,
    Break,
    Line,
    canonical,
    line_hash,
    make_line,
    seal,
    verify,
    verify_seals,
)
from grid.core.errors import BadInput

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def chain_of(count: int) -> list[Line]:
    lines: list[Line] = []
    for number in range(count):
        fields = {"incident": 7, "move": f"move {number}", "at": NOON, "who": number}
        lines.append(make_line(lines[-1] if lines else None, fields))
    return lines


def last_of(lines: list[Line]) -> tuple[int, str]:
    return lines[-1].seq, lines[-1].hash


def edited(line: Line, **changes: object) -> Line:
    return replace(line, fields={**line.fields, **changes})


def rehashed(line: Line) -> Line:
    return replace(line, hash=line_hash(line.previous, line.seq, line.fields))


def test_known_hash() -> None:
    # printf '%s\n1\n{"a":1}' 000…0 | sha256sum
    assert (
        line_hash(GENESIS, 1, {"a": 1})
        == "58a8b64ede0a31c39c4c0afb728c913a6b777e6ee987ceea8e4264a089470621"
    )


def test_a_whole_chain_has_no_break() -> None:
    lines = chain_of(6)
    assert verify(lines, last_of(lines)) == []
    assert verify(reversed(lines)) == []
    assert verify([]) == []


@pytest.mark.parametrize("at", range(6))
def test_a_changed_line_is_named(at: int) -> None:
    lines = chain_of(6)
    last = last_of(lines)
    lines[at] = edited(lines[at], who="somebody else")
    assert verify(lines, last) == [Break("changed", at + 1)]


@pytest.mark.parametrize("at", range(6))
def test_a_line_rewritten_with_its_hash_is_named(at: int) -> None:
    lines = chain_of(6)
    last = last_of(lines)
    lines[at] = rehashed(edited(lines[at], who="somebody else"))
    assert verify(lines, last) == [Break("changed", at + 1)]


@pytest.mark.parametrize("at", range(6))
def test_a_missing_line_is_named(at: int) -> None:
    lines = chain_of(6)
    last = last_of(lines)
    del lines[at]
    assert verify(lines, last) == [Break("missing" if at < 5 else "cut_off", at + 1)]


def test_two_missing_lines() -> None:
    lines = chain_of(6)
    assert verify(lines[:2] + lines[4:]) == [Break("missing", 3), Break("missing", 4)]


@pytest.mark.parametrize("at", range(1, 5))
def test_an_inserted_line_is_named(at: int) -> None:
    lines = chain_of(6)
    forged = make_line(lines[at - 1], {"incident": 7, "move": "close", "at": NOON})
    for given_lines in ([*lines[:at], forged, *lines[at:]], [*lines, forged]):
        assert verify(given_lines, last_of(lines)) == [Break("inserted", at + 1)]


def test_a_line_added_at_the_end_is_named() -> None:
    lines = chain_of(3)
    forged = make_line(lines[-1], {"incident": 7, "move": "close"})
    assert verify([*lines, forged], last_of(lines)) == [Break("inserted", 4)]


def test_two_lines_exchanged() -> None:
    lines = chain_of(5)
    lines[1], lines[2] = replace(lines[1], seq=3), replace(lines[2], seq=2)
    assert {found.seq for found in verify(lines)} >= {2, 3}


@given(st.integers(1, 12), st.data())
def test_any_single_damage_is_found(count: int, data: st.DataObject) -> None:
    lines = chain_of(count)
    last = last_of(lines)
    at = data.draw(st.integers(0, count - 1))
    damage = data.draw(st.sampled_from(["field", "hash", "previous", "seq", "drop"]))
    if damage == "field":
        lines[at] = edited(lines[at], move="other")
    elif damage == "hash":
        lines[at] = replace(lines[at], hash="f" * 64)
    elif damage == "previous":
        lines[at] = replace(lines[at], previous="f" * 64)
    elif damage == "seq":
        lines[at] = replace(lines[at], seq=lines[at].seq + data.draw(st.integers(1, 20)))
    else:
        del lines[at]
    assert verify(lines, last)


def test_canonical_spelling() -> None:
    china = timezone(timedelta(hours=8))
    one = {"b": 1.0, "a": {"y": None, "x": [True, "道路"]}, "at": NOON}
    two = {"at": NOON.astimezone(china), "a": {"x": (True, "道路"), "y": None}, "b": 1}
    assert canonical(one) == canonical(two)
    assert canonical(one).decode() == (
        '{"a":{"x":[true,"道路"],"y":null},"at":"2026-03-02T04:00:00.000000+00:00","b":1}'
    )
    assert (
        canonical({"d": date(2026, 3, 2), "v": Decimal("1.50")}) == b'{"d":"2026-03-02","v":"1.50"}'
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcd"), json_values))
def test_a_trip_through_json_changes_nothing(fields: Mapping[str, object]) -> None:
    assert canonical(json.loads(json.dumps(fields))) == canonical(fields)
    assert canonical(json.loads(canonical(fields))) == canonical(fields)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**60, 1e300, object(), datetime(2026, 1, 1), {1: 2}],  # noqa: DTZ001
)
def test_values_without_one_spelling_are_refused(value: object) -> None:
    with pytest.raises(BadInput) as refused:
        canonical({"x": value})
    assert refused.value.code == "chain.value_unfit"


def test_daily_seals_find_a_chain_rewritten_to_its_end() -> None:
    lines = chain_of(4)
    days = {
        date(2026, 3, 2): [line.hash for line in lines[:2]],
        date(2026, 3, 3): [lines[2].hash, lines[3].hash],
    }
    first = seal(None, date(2026, 3, 2), days[date(2026, 3, 2)])
    second = seal(first, date(2026, 3, 3), days[date(2026, 3, 3)])
    assert second.lines == 2
    assert verify_seals([first, second], days) == []

    forged = [lines[0], rehashed(edited(lines[1], who="other"))]
    for line in lines[2:]:
        forged.append(make_line(forged[-1], line.fields))
    assert verify(forged) == []  # the incident's chain alone looks whole
    days[date(2026, 3, 2)] = [line.hash for line in forged[:2]]
    assert verify_seals([first, second], days) == [date(2026, 3, 2)]
    # A seal rewritten to fit is found by the next one.
    refitted = seal(None, date(2026, 3, 2), days[date(2026, 3, 2)])
    assert verify_seals([refitted, second], days) == [date(2026, 3, 3)]
