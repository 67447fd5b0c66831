"""English and other European text to its parts: number and street, crossings, stretches, sides, places."""

from __future__ import annotations

import re

from grid.geocode.gazetteer import Gazetteer
from grid.geocode.latin_names import (
    JOINERS,
    LETTER_RE,
    NUMBER_RE,
    SIDES,
    UNITS,
    Words,
    corrected_names,
    is_measure,
    known_names,
    taken_words,
    unknown_names,
)
from grid.geocode.numbers import latin_house_number
from grid.geocode.parsed import End, Parsed, PlaceRef


def parse_latin(typed: str, gazetteer: Gazetteer) -> Parsed:
    """Take a Latin-script text apart; names in `Parsed` carry their dense indices."""
    text = Words(typed, gazetteer)
    parsed = Parsed()
    if not text.words:
        return parsed
    known_names(text)
    unknown_names(text)
    corrected_names(text)
    text.streets.sort(key=lambda s: s[0])
    if not _between(text, parsed) and not _crossing(text, parsed):
        _numbered(text, parsed)
    _relations(text, parsed)
    if parsed.street is None and parsed.landmark is None and text.places:
        parsed.landmark = text.places[0][2]
    return parsed


def _gap(text: Words, high: int, low: int) -> list[str]:
    return text.words[high:low]


def _between(text: Words, parsed: Parsed) -> bool:
    """A between B and C; A from B to C."""
    s = text.streets
    for i in range(len(s) - 1):
        before = text.words[s[i][0] - 1] if s[i][0] else ""
        gap = _gap(text, s[i][1], s[i + 1][0])
        if (before == "between" and gap and set(gap) <= {"and", "&"}) or (
            before == "from" and gap == ["to"]
        ):
            parsed.span = (
                End(s[i][2].text, street=s[i][2]),
                End(s[i + 1][2].text, street=s[i + 1][2]),
            )
            others = [x for j, x in enumerate(s) if j not in (i, i + 1)]
            parsed.street = others[0][2] if others else None
            return True
    return False


def _crossing(text: Words, parsed: Parsed) -> bool:
    s = text.streets
    for i in range(len(s) - 1):
        gap = _gap(text, s[i][1], s[i + 1][0])
        joined = (
            bool(gap)
            and len(gap) <= 3
            and any(g in JOINERS for g in gap)
            and all(g in JOINERS or g in ("the", "of", "no", "corner") or g.isdigit() for g in gap)
        )
        bare = (
            not gap and len(s) == 2 and not (s[i][0] and NUMBER_RE.match(text.words[s[i][0] - 1]))
        )
        if (joined or bare) and not (
            s[i][0] and NUMBER_RE.match(text.words[s[i][0] - 1]) and "near" in gap
        ):
            parsed.street, parsed.cross = s[i][2], s[i + 1][2]
            return True
    return False


def _numbered(text: Words, parsed: Parsed) -> None:
    """`12 Main St`, `12-14 Main St`, `Hauptstr. 12`; the street alone when there is no number."""
    words = text.words
    for low, high, ref in text.streets:
        i = low - 1
        if i >= 3 and words[i - 2 : low] == ["1", "/", "2"] and words[i - 3].isdigit():
            parsed.street, parsed.house = ref, latin_house_number(words[i - 3] + " 1/2")
            parsed.hints.extend(r for a, _, r in text.streets if a > high)
            return
        if i >= 1 and LETTER_RE.match(words[i]) and words[i - 1].isdigit():
            parsed.street, parsed.house = ref, latin_house_number(f"{words[i - 1]} {words[i]}")
            parsed.hints.extend(r for a, _, r in text.streets if a > high)
            return
        if i >= 0 and NUMBER_RE.match(words[i]) and not is_measure(words, i):
            start = i
            while start >= 1 and (
                words[start - 1] in ("-", "/")
                or (words[start - 1][0].isdigit() and words[start] in ("-", "/", "2"))
            ):
                start -= 1
            house = (
                latin_house_number(text.said(start, low))
                or latin_house_number(text.said(i, low))
                or latin_house_number(words[i])
            )
            parsed.street, parsed.house = ref, house
            parsed.hints.extend(r for a, _, r in text.streets if a > high)
            return
        j = high + 1 if high < len(words) and words[high] in (",", "no", "#") else high
        if (
            j < len(words)
            and NUMBER_RE.match(words[j])
            and not is_measure(words, j)
            and len(words[j]) <= 5
            and not (low > 0 and words[low - 1] in JOINERS)
        ):
            house = latin_house_number(words[j])
            if j + 2 < len(words) and words[j + 1] == "-" and words[j + 2].isdigit():
                house = latin_house_number(text.said(j, j + 3))
            parsed.street, parsed.house = ref, house
            return
    if text.streets:
        parsed.street = text.streets[0][2]
        parsed.hints.extend(r for _, _, r in text.streets[1:])
        if text.places:
            parsed.landmark = text.places[0][2]


def _relations(text: Words, parsed: Parsed) -> None:
    """`50 m north of`, `opposite`, `north side of`, `NE corner`."""
    words, taken = text.words, taken_words(text)
    for i, this in enumerate(words):
        if i in taken:
            continue
        follows = words[i + 1] if i + 1 < len(words) else ""
        if this in ("opposite", "across"):
            parsed.side = "opposite"
        elif this in SIDES and follows in ("side", "corner", "curb", "kerb", "sidewalk"):
            parsed.side = SIDES[this]
        elif this in UNITS and i and re.fullmatch(r"\d+", words[i - 1]):
            parsed.offset_m = float(words[i - 1]) * UNITS[this]
        elif (m := re.fullmatch(r"(\d+)(m|ft|km|yd)", this)) and i not in taken:
            parsed.offset_m = float(m.group(1)) * UNITS[m.group(2)]
        elif this in SIDES and follows in ("of", "from", "on", "along"):
            parsed.direction = SIDES[this]
        elif this.endswith("bound") and this[:-5] in ("north", "south", "east", "west"):
            parsed.direction = this[:-5]
        elif this in ("left", "right") and follows == "side":
            parsed.side = this
        elif this == "both" and follows == "sides":
            parsed.side = "both"
    if parsed.street is None and parsed.landmark is None:
        generic = _generic_place(text)
        if generic:
            parsed.landmark = generic


def _generic_place(text: Words) -> PlaceRef | None:
    """`opposite the library`: the words behind a relation, when they are no street."""
    for i, this in enumerate(text.words):
        if this in ("opposite", "near", "behind", "beside", "outside") or (
            this == "to" and i and text.words[i - 1] == "next"
        ):
            low = i + 1
            while low < len(text.words) and text.words[low] in ("the", "a", "an", "to"):
                low += 1
            high = low
            while high < len(text.words) and text.words[high][0].isalnum() and high - low < 4:
                high += 1
            if high > low:
                return PlaceRef(text.said(low, high))
    return None
