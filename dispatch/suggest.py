"""A category suggested from the words of a report: always a suggestion with its certainty, never a decision.

Words come from data (data/category_words.csv, and the bureau's own): a word counts by its length, and several parts
joined by & must all occur. The best word of a category decides, further ones only confirm it, as does a word that is
part of a weightier one found (垃圾桶 in 垃圾桶满). A word that names where it is (电线杆上…) counts half. Give the text
without its place where that is known: "market" in an address says nothing about what is wrong there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from dispatch.categories import rows_of, seed_categories
from grid.core.values import dataclass

_TOKEN = re.compile(r"[a-z0-9]+(?:[-'][a-z0-9]+)*")
_LATIN = re.compile(r"[a-z0-9]")
_LONGEST = 6  # tokens in one English expression
_CONFIRMS = 0.15
_PLACE_WORDS = "上旁边附前后里内下"
_AS_PLACE = 0.5


Source = Literal["keywords", "learned", "both"]


@dataclass(frozen=True, slots=True)
class CategoryWord:
    """One word or expression for a category; `parts` must all occur in the text."""

    category: str
    parts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A category with its certainty (0 to 1; of keywords the share of the evidence), the words found, and who says so."""

    category: str
    certainty: float
    words: tuple[str, ...]
    source: Source = "keywords"


class WordBook:
    """Category words arranged for look-up: a text is read once, whatever the number of words."""

    def __init__(self, words: Iterable[CategoryWord]) -> None:
        # A word waits under its longest part, the one least likely to occur by chance.
        self._han: dict[str, list[CategoryWord]] = {}
        self._latin: dict[str, list[CategoryWord]] = {}
        for word in {(word.category, word.parts): word for word in words}.values():
            key = max(word.parts, key=len)
            shelf = self._latin if _LATIN.search(key) else self._han
            shelf.setdefault(key, []).append(word)

    def found_in(self, text: str) -> list[CategoryWord]:
        """The words all of whose parts occur, the weightiest first."""
        lowered = text.lower()
        phrases = _phrases(lowered)
        waiting = [word for key, shelf in self._han.items() if key in lowered for word in shelf]
        waiting += [word for key in phrases for word in self._latin.get(key, ())]
        found = [
            word
            for word in waiting
            if all(
                part in phrases or (not _LATIN.search(part) and part in lowered)
                for part in word.parts
            )
        ]
        found = [_weighed(word, lowered) for word in found]
        return sorted(found, key=lambda word: (-word.weight, word.category, word.parts))


def category_word(category: str, text: str, factor: float = 1.0) -> CategoryWord:
    """A word from its stored spelling ("垃圾桶&满"); its weight grows with its length and number of parts."""
    parts = tuple(_plain(part) for part in text.split("&") if part.strip())
    length = sum(len(part) / 3 if _LATIN.search(part) else len(part) for part in parts)
    # Two parts found together say more than one word of the same length.
    return CategoryWord(category, parts, factor * (length + 0.5 * (len(parts) - 1)) ** 1.5)


def seed_words() -> list[CategoryWord]:
    """Words of data/category_words.csv in both languages, and every category's own names."""
    words = [
        category_word(row["code"], word)
        for row in rows_of("category_words.csv")
        for language in ("zh", "en")
        for word in row[language].split("|")
        if word
    ]
    names = [
        category_word(category.code, name)
        for category in seed_categories()
        for name in (category.name_zh, category.name_en)
    ]
    return words + names


@lru_cache(maxsize=1)
def seed_word_book() -> WordBook:
    """The seed words, arranged once."""
    return WordBook(seed_words())


def suggest(text: str, book: WordBook | None = None, at_most: int = 3) -> list[Suggestion]:
    """The best categories for a text, best first; empty when no word is found. Ties go to the lower code."""
    scores: dict[str, float] = {}
    shown: dict[str, list[str]] = {}
    found: list[CategoryWord] = []
    for word in (book or seed_word_book()).found_in(text):
        confirms = word.category in scores or any(_part_of(word, other) for other in found)
        found.append(word)
        gain = word.weight * (_CONFIRMS if confirms else 1.0)
        scores[word.category] = scores.get(word.category, 0.0) + gain
        shown.setdefault(word.category, []).append("&".join(word.parts))
    evidence = sum(scores.values())
    ranked = sorted(scores, key=lambda category: (-scores[category], category))
    return [
        Suggestion(category, _certainty(scores[category], evidence), tuple(shown[category][:3]))
        for category in ranked[:at_most]
    ]


def _weighed(word: CategoryWord, text: str) -> CategoryWord:
    first = word.parts[0]
    after = text.find(first) + len(first)
    as_place = len(word.parts) == 1 and text[after : after + 1] in set(_PLACE_WORDS)
    return replace(word, weight=word.weight * _AS_PLACE) if as_place else word


def _part_of(word: CategoryWord, other: CategoryWord) -> bool:
    return all(any(part in longer for longer in other.parts) for part in word.parts)


def _certainty(score: float, evidence: float) -> float:
    # The share of the evidence, held down where all of it is one short word (two characters: 0.65).
    return round(score / evidence * score / (score + 1.5), 3)


def _phrases(lowered: str) -> set[str]:
    """Every run of one to six English words of the text, plurals made single."""
    tokens = [_single(token) for token in _TOKEN.findall(lowered)]
    return {
        " ".join(tokens[start:end])
        for start in range(len(tokens))
        for end in range(start + 1, min(start + _LONGEST, len(tokens)) + 1)
    }


def _plain(part: str) -> str:
    lowered = part.strip().lower()
    if not _LATIN.search(lowered):
        return lowered
    return " ".join(_single(token) for token in _TOKEN.findall(lowered))


def _single(token: str) -> str:
    return (
        token[:-1] if len(token) > 3 and token.endswith("s") and not token.endswith("ss") else token
    )
