"""Sentences for people, Chinese and English, from Babel catalogues with stable dotted ids.

A message id is a key ("console.title") or the code of a trouble ("import.field_missing"); its text may hold named
places such as {street}. The catalogues are read once, at start; nothing is compiled to disk.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
HTML_LANG: Mapping[Language, str] = {"zh": "zh-CN", "en": "en"}
LOCALES = Path(__file__).parent / "locales"


class _Forgiving(string.Formatter):
    """Fills named places; one without a value is left as it stands, so a sentence never becomes an error."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, int):
            return "{" + str(key) + "}"
        return kwargs.get(key, "{" + key + "}")

    def format_field(self, value: Any, format_spec: str) -> str:
        try:
            return str(super().format_field(value, format_spec))
        except (ValueError, TypeError):
            return str(value)


_FORMATTER = _Forgiving()


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every message of a language: id → text with named places."""
    # Here and not above: a command that has nothing to say need not wait for it.
    from babel.messages.pofile import read_po

    with (LOCALES / language / "messages.po").open("rb") as file:
        entries = read_po(file, locale=language, abort_invalid=True)
    return {str(entry.id): str(entry.string) for entry in entries if entry.id and entry.string}


def translate(language: Language, key: str, /, **values: object) -> str:
    """The text of `key` with its places filled; the key itself when it is not in the catalogue."""
    text = catalogue(language).get(key)
    if text is None:
        return key
    places = _places(text)
    if places is None:
        return _FORMATTER.vformat(text, (), values)
    filled = []
    for literal, name, spec in places:
        filled.append(literal)
        if name is not None:
            filled.append(_FORMATTER.format_field(values.get(name, f"{{{name}}}"), spec))
    return "".join(filled)


@lru_cache(maxsize=4096)
def _places(text: str) -> tuple[tuple[str, str | None, str], ...] | None:
    """A sentence taken apart: (words before, name of the place or None, its format); None where a place is no plain name."""
    try:
        parts = list(_FORMATTER.parse(text))
    except ValueError:
        return None
    found = []
    for literal, name, spec, conversion in parts:
        if name is not None and (not name.isidentifier() or conversion or "{" in (spec or "")):
            return None
        found.append((literal, name, spec or ""))
    return tuple(found)


def has(key: str) -> bool:
    """Whether every language has a text for `key`."""
    return all(key in catalogue(language) for language in LANGUAGES)


def messages_under(language: Language, *prefixes: str) -> dict[str, str]:
    """The messages whose id begins with one of `prefixes`, unfilled: what a page gives to its scripts."""
    return {key: text for key, text in catalogue(language).items() if key.startswith(prefixes)}
