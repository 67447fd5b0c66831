"""The other names of a street from all the lines that carry it."""

from __future__ import annotations

from grid.loading.streets import other_names


def test_what_one_line_alone_knows_is_kept() -> None:
    told = [{}, {"old": "霞飞路"}, None, {"old": "霞飞路;宝昌路", "loc": "老霞飞"}]
    assert other_names(told) == {"old": "霞飞路;宝昌路", "loc": "老霞飞"}


def test_a_language_keeps_one_spelling_to_be_shown() -> None:
    told = [
        {"en": "Huaihai Road"},
        {"en": "Middle Huaihai Road;Huaihai Road"},
        {"en": "Huaihai Rd"},
    ]
    assert other_names(told) == {"en": "Huaihai Road", "alt:en": "Middle Huaihai Road;Huaihai Rd"}
