"""Street and place names in Latin text: known in full, one wrong key away, without their type, or not known at all."""

from __future__ import annotations

import re
from dataclasses import replace

from grid.geocode.fold import TYPE_WORDS, latin_tokens, written_key
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.model import Correction
from grid.geocode.names import PLACE, STREET, Hit, scan_latin
from grid.geocode.parsed import PlaceRef, StreetRef
from grid.geocode.spelling import Meant

JOINERS = frozenset(("&", "and", "at", "@", "/", "und", "et", "near", "corner"))
SIDES = {
    "n": "north",
    "s": "south",
    "e": "east",
    "w": "west",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
UNITS = {
    "m": 1.0,
    "meters": 1.0,
    "metres": 1.0,
    "meter": 1.0,
    "metre": 1.0,
    "ft": 0.3048,
    "feet": 0.3048,
    "foot": 0.3048,
    "yards": 0.9144,
    "yd": 0.9144,
    "km": 1000.0,
    "miles": 1609.344,
    "mile": 1609.344,
    "yds": 0.9144,
}
NOISE = frozenset(
    ["the", "a", "an", "of", "on", "in", "to", "is", "are", "please", "fix", "there", "near", "by", "from", "side", "corner", "intersection", "between", "opposite", "across", "and", "block", "st"]
)  # fmt: skip
BREAKS = frozenset(
    ["of", "the", "on", "intersection", "corner", "and", "between", "from", "to", "at", "opposite", "near", "across", "in", "front"]
)  # fmt: skip
NUMBER_RE = re.compile(r"\d+[a-z]{0,2}$")
LETTER_RE = re.compile(r"[a-dr]$")
"""The letter behind a number (`23 A`, `11 R` for the rear house); n, s, e, w begin a street's name."""


class Words:
    """The words of a text with the streets and places found among them."""

    def __init__(self, typed: str, gazetteer: Gazetteer) -> None:
        self.typed = typed
        self.tokens = latin_tokens(typed)
        self.words = [t[0] for t in self.tokens]
        self.gazetteer = gazetteer
        self.streets: list[tuple[int, int, StreetRef]] = []
        self.places: list[tuple[int, int, PlaceRef]] = []

    def wide_gap(self, i: int) -> bool:
        """True when two blanks or more stand before word i: a city follows."""
        return (
            0 < i < len(self.tokens)
            and self.tokens[i][1] - self.tokens[i - 1][2] >= 2
            and not self.typed[self.tokens[i - 1][2] : self.tokens[i][1]].strip()
        )

    def said(self, low: int, high: int) -> str:
        """Words low..high as typed."""
        return self.typed[self.tokens[low][1] : self.tokens[high - 1][2]]


def known_names(text: Words) -> None:
    """Names of the town: in full, then with one wrong key where a name should begin, then without their type."""
    words = text.words
    for hit in scan_latin(text.gazetteer.latin, words):
        streets = hit.of(STREET)
        if streets:
            text.streets.append(
                (hit.start, hit.end, StreetRef(text.said(hit.start, hit.end), streets))
            )
        elif places := hit.of(PLACE):
            text.places.append(
                (hit.start, hit.end, PlaceRef(text.said(hit.start, hit.end), places))
            )
    begun = {low for low, _, _ in (*text.streets, *text.places)}
    bare = {
        hit.start: hit
        for hit in scan_latin(text.gazetteer.latin_base, words)
        if _stands_alone(text, hit)
    }
    for low in _starts(text):
        if low not in begun and low not in bare:
            _mistyped(text, low)
    taken = taken_words(text)
    for hit in bare.values():
        if not any(i in taken for i in range(hit.start, hit.end)):
            streets = tuple(dict.fromkeys(hit.of(STREET)))
            likeness = 0.9 if len(streets) == 1 else 0.6
            said = text.said(hit.start, hit.end)
            refs = [StreetRef(said, (s,), likeness) for s in streets[:8]]
            text.streets.append((hit.start, hit.end, replace(refs[0], rivals=tuple(refs[1:]))))


def _stands_alone(text: Words, hit: Hit) -> bool:
    """True when a name without its type is followed by nothing that could be its type, and stands where names do."""
    follows = text.words[hit.end] if hit.end < len(text.words) else ""
    before = text.words[hit.start - 1] if hit.start else ""
    if hit.key in NOISE or hit.key.isdigit() or hit.key in TYPE_WORDS:
        return False
    related = (
        bool(NUMBER_RE.match(before))
        or before in JOINERS
        or before in ("of", "on", "between", "from", "to")
    )
    return _ends_here(text, hit.end) and (
        related or (hit.start == 0 and (follows in JOINERS or follows in BREAKS or not follows))
    )


def _ends_here(text: Words, i: int) -> bool:
    """True when nothing that could still belong to a name stands at word i."""
    follows = text.words[i] if i < len(text.words) else ""
    return (
        not follows
        or not follows[0].isalpha()
        or follows in JOINERS
        or follows in BREAKS
        or text.wide_gap(i)
    )


def _mistyped(text: Words, low: int) -> None:
    """Where a name should begin and none does: one that is a single wrong key away, over the words that follow."""
    high = low
    while (
        high < len(text.words)
        and high - low < 5
        and text.words[high][0].isalnum()
        and text.words[high] not in BREAKS
        and not (high > low and text.wide_gap(high))
    ):
        high += 1
    best = _likeliest(
        text, [(low, b) for b in range(low + 1, high + 1) if low > 0 or _ends_here(text, b)]
    )
    if best is not None:
        text.streets = [s for s in text.streets if s[1] <= best[0] or s[0] >= best[1]]
        text.places = [p for p in text.places if p[1] <= best[0] or p[0] >= best[1]]
        text.streets.append(best)


def taken_words(text: Words) -> set[int]:
    return {i for low, high, _ in (*text.streets, *text.places) for i in range(low, high)}


def unknown_names(text: Words) -> None:
    """Words up to a street type behind a number or a joining word, where the town knows no such street."""
    taken = taken_words(text)
    for low in _starts(text):
        if low in taken:
            continue
        high = _name_end(text, low, taken)
        if high > low:
            text.streets.append((low, high, StreetRef(text.said(low, high).strip())))
            taken.update(range(low, high))


def _starts(text: Words) -> list[int]:
    """Word positions where a street name may begin: behind a number, a joiner, `of`, `on`, or at the very start."""
    starts: list[int] = []
    words = text.words
    for i, this in enumerate(words):
        before = words[i - 1] if i else ""
        begins = (
            (
                bool(NUMBER_RE.match(before))
                and not is_measure(words, i - 1)
                and (len(this) > 1 or i + 1 < len(words))
            )
            or before
            in (
                "&",
                "and",
                "@",
                "/",
                "at",
                "of",
                "on",
                "between",
                "from",
                "to",
                "intersection",
                "near",
            )
            or (i == 0 and not NUMBER_RE.match(this))
        )
        numbered = this.isdigit() and i + 1 < len(words) and words[i + 1] not in TYPE_WORDS
        if begins and this[0].isalnum() and this not in BREAKS and not numbered:
            starts.append(i)
    return starts


def is_measure(words: list[str], i: int) -> bool:
    return (
        i + 1 < len(words)
        and words[i + 1] in UNITS
        and not (i + 2 < len(words) and words[i + 2] in TYPE_WORDS)
    )


def _name_end(text: Words, low: int, taken: set[int]) -> int:
    """End of an unknown street name: its type word, a joiner, two blanks, a comma, or at most five words."""
    words = text.words
    last_type = -1
    bounded = False
    i = low
    while i < len(words) and i not in taken and i - low < 6:
        this = words[i]
        if i > low and (
            (not this[0].isalnum() and this not in ("-",))
            or this in JOINERS
            or this in ("between", "from", "to", "opposite")
        ):
            bounded = this in ("&", "/", "@", "and", "at")
            break
        if i > low and text.wide_gap(i):
            bounded = True
            break
        if this in TYPE_WORDS and i > low:
            last_type = i
        i += 1
    else:
        bounded = i >= len(words)
    behind_number = low > 0 and (bool(NUMBER_RE.match(words[low - 1])) or words[low - 1] in JOINERS)
    if last_type >= 0:
        tail = last_type + 1
        if tail < i and words[tail] == "no" and tail + 1 < i and words[tail + 1].isdigit():
            tail += 2  # Public Alley No. 908
        elif tail < i and (words[tail] in SIDES or words[tail].isdigit()) and bounded:
            tail += 1
        if bounded and i - tail <= 0:
            return i
        return tail
    joined = i < len(words) and words[i] in ("&", "/", "@")
    if bounded and (behind_number or joined) and 0 < i - low <= 4:
        return i
    return low


def corrected_names(text: Words) -> None:
    """No street and no place at all: a name one wrong key away anywhere in the text."""
    if text.streets or text.places:
        return
    spans = [
        (a, b)
        for a in range(len(text.words))
        for b in range(a + 1, min(a + 4, len(text.words)) + 1)
        if text.words[a][0].isalpha()
    ]
    best = _likeliest(text, spans[:80])
    if best is not None:
        text.streets.append(best)


def _likeliest(text: Words, spans: list[tuple[int, int]]) -> tuple[int, int, StreetRef] | None:
    """(first word, end, street) that one wrong key explains best among several stretches; rivals are kept with it."""
    refs = text.gazetteer.latin_said
    said = [written_key(text.said(a, b)) for a, b in spans]
    found: list[tuple[float, int, int, int, Meant, tuple[int, ...]]] = []
    for (a, b), options in zip(spans, text.gazetteer.latin_spelling.meant(said), strict=True):
        for option in options:
            ids = Hit(0, 0, option.key, refs[option.key]).of(STREET)
            if ids and option.how and (len(option.key) >= 5 or b - a >= 2):
                found.append((option.likeness, b - a, a, b, option, ids))
    if not found:
        return None
    found.sort(key=lambda f: (-f[0], -f[1], f[4].key))
    kept: list[StreetRef] = []
    names = text.gazetteer.street_names
    for likeness, _, a, b, option, ids in found:
        if (
            likeness >= found[0][0] - 0.2
            and not any(set(ids) & set(k.ids) for k in kept)
            and len(kept) < 8
        ):
            kept.append(
                StreetRef(
                    text.said(a, b),
                    ids,
                    likeness,
                    Correction(text.said(a, b), names[ids[0]], option.how),
                )
            )
    first = kept[0]
    return (
        found[0][2],
        found[0][3],
        StreetRef(first.text, first.ids, first.likeness, first.correction, tuple(kept[1:])),
    )
