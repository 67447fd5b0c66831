"""What residents are told: turns, places of a template, shipped words in both languages."""

from __future__ import annotations

import pytest

from dispatch.moves import MOVES
from dispatch.resident_templates import (
    KINDS,
    LANGUAGES,
    TURNS,
    Words,
    check_words,
    fill,
    shipped,
    turn_of,
)
from grid.core.errors import BadInput


def test_every_turn_is_a_move_and_a_kind() -> None:
    assert set(TURNS) <= set(MOVES)
    assert set(TURNS.values()) == set(KINDS)


def test_shipped_words_are_complete_and_sound() -> None:
    assert {(row["kind"], row["language"]) for row in shipped()} == {
        (kind, language) for kind in KINDS for language in LANGUAGES
    }
    for row in shipped():
        check_words(Words(row["title"], row["body"]))
        assert "{number}" in row["body"]


def test_the_last_turn_of_several_moves_counts() -> None:
    assert turn_of(["report", "accept", "file", "dispatch", "assign"]) == "taken_on"
    assert turn_of(["feed_back", "send_check"]) is None
    assert turn_of(["accept", "decline"]) == "refused"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "template.empty"),
        ("x" * 1001, "template.too_long"),
        ("{name}", "template.place_unknown"),
        ("{number.__class__}", "template.place_unknown"),
        ("{number!r}", "template.unreadable"),
        ("{number:>9999999}", "template.unreadable"),
        ("{number", "template.unreadable"),
        ("{}", "template.place_unknown"),
    ],
)
def test_words_that_could_not_be_filled_are_refused(body: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_words(Words("t", body))
    assert refused.value.code == code


def test_filling_never_fails() -> None:
    words = Words("{category}", "{number} {{x}} {due_date}|{link}")
    filled = fill(words, {"number": "{link}", "category": "a"})
    assert filled == Words("a", "{link} {x} |")
