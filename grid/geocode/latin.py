"""English and other European text to its parts: number and street, crossings, stretches, sides, places."""

from __future__ import annotations

import re
from dataclasses import replace

from grid.geocode.fold import TYPE_WORDS, latin_tokens, written_key
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.model import Correction
from grid.geocode.names import PLACE, STREET, Hit, scan_latin
from grid.geocode.numbers import latin_house_number
from grid.geocode.parsed import End, Parsed, PlaceRef, StreetRef
from grid.geocode.spelling import Meant

_JOIN = frozenset(("&", "and", "at", "@", "/", "und", "et", "near", "corner"))
_SIDES = {"n": "north", "s": "south", "e": "east", "w": "west", "ne": "northeast", "nw": "northwest", "se": "southeast", "sw": "southwest"}
_UNITS = {"m": 1.0, "meters": 1.0, "metres": 1.0, "meter": 1.0, "metre": 1.0, "ft": 0.3048, "feet": 0.3048, "foot": 0.3048, "yards": 0.9144, "yd": 0.9144, "km": 1000.0, "miles": 1609.344, "mile": 1609.344, "yds": 0.9144}
_NOISE = frozenset(
    ["the", "a", "an", "of", "on", "in", "to", "is", "are", "please", "fix", "there", "near", "by", "from", "side", "corner", "intersection", "between", "opposite", "across", "and", "block", "st"]
)
_BREAKS = frozenset(["of", "the", "on", "intersection", "corner", "and", "between", "from", "to", "at", "opposite", "near", "across", "in", "front"])
_NUMBER = re.compile(r"\d+[a-z]{0,2}$")


class _Words:
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
        return 0 < i < len(self.tokens) and self.tokens[i][1] - self.tokens[i - 1][2] >= 2 and not self.typed[self.tokens[i - 1][2] : self.tokens[i][1]].strip()

    def said(self, low: int, high: int) -> str:
        """Words low..high as typed."""
        return self.typed[self.tokens[low][1] : self.tokens[high - 1][2]]


def parse_latin(typed: str, gazetteer: Gazetteer) -> Parsed:
    """Take a Latin-script text apart; names in `Parsed` carry their dense indices."""
    text = _Words(typed, gazetteer)
    parsed = Parsed()
    if not text.words:
        return parsed
    _known(text)
    _unknown(text)
    _correct(text)
    text.streets.sort(key=lambda s: s[0])
    if not _between(text, parsed) and not _crossing(text, parsed):
        _numbered(text, parsed)
    _relations(text, parsed)
    if parsed.street is None and parsed.landmark is None and text.places:
        parsed.landmark = text.places[0][2]
    return parsed


def _known(text: _Words) -> None:
    """Names of the town: in full, then with one wrong key where a name should begin, then without their type."""
    words = text.words
    for hit in scan_latin(text.gazetteer.latin, words):
        streets = hit.of(STREET)
        if streets:
            text.streets.append((hit.start, hit.end, StreetRef(text.said(hit.start, hit.end), streets)))
        elif places := hit.of(PLACE):
            text.places.append((hit.start, hit.end, PlaceRef(text.said(hit.start, hit.end), places)))
    begun = {low for low, _, _ in (*text.streets, *text.places)}
    bare = {hit.start: hit for hit in scan_latin(text.gazetteer.latin_base, words) if _stands_alone(text, hit)}
    for low in _starts(text):
        if low not in begun and low not in bare:
            _mistyped(text, low)
    taken = _taken(text)
    for hit in bare.values():
        if not any(i in taken for i in range(hit.start, hit.end)):
            streets = tuple(dict.fromkeys(hit.of(STREET)))
            likeness = 0.9 if len(streets) == 1 else 0.6
            said = text.said(hit.start, hit.end)
            refs = [StreetRef(said, (s,), likeness) for s in streets[:8]]
            text.streets.append((hit.start, hit.end, replace(refs[0], rivals=tuple(refs[1:]))))


def _stands_alone(text: _Words, hit: Hit) -> bool:
    """True when a name without its type is followed by nothing that could be its type, and stands where names do."""
    follows = text.words[hit.end] if hit.end < len(text.words) else ""
    before = text.words[hit.start - 1] if hit.start else ""
    if hit.key in _NOISE or hit.key.isdigit():
        return False
    ends = not follows or not follows[0].isalpha() or follows in _JOIN or follows in _BREAKS or text.wide_gap(hit.end)
    begins = not before or bool(_NUMBER.match(before)) or before in _JOIN or before in _BREAKS or not before[0].isalnum()
    return ends and begins


def _mistyped(text: _Words, low: int) -> None:
    """Where a name should begin and none does: one that is a single wrong key away, over the words that follow."""
    high = low
    while high < len(text.words) and high - low < 5 and text.words[high][0].isalnum() and text.words[high] not in _BREAKS and not (high > low and text.wide_gap(high)):
        high += 1
    best = _likeliest(text, [(low, b) for b in range(low + 1, high + 1)])
    if best is not None:
        text.streets = [s for s in text.streets if s[1] <= best[0] or s[0] >= best[1]]
        text.places = [p for p in text.places if p[1] <= best[0] or p[0] >= best[1]]
        text.streets.append(best)


def _taken(text: _Words) -> set[int]:
    return {i for low, high, _ in (*text.streets, *text.places) for i in range(low, high)}


def _unknown(text: _Words) -> None:
    """Words up to a street type behind a number or a joining word, where the town knows no such street."""
    taken = _taken(text)
    for low in _starts(text):
        if low in taken:
            continue
        high = _name_end(text, low, taken)
        if high > low:
            text.streets.append((low, high, StreetRef(text.said(low, high).strip())))
            taken.update(range(low, high))


def _starts(text: _Words) -> list[int]:
    """Word positions where a street name may begin: behind a number, a joiner, `of`, `on`, or at the very start."""
    starts: list[int] = []
    words = text.words
    for i, this in enumerate(words):
        before = words[i - 1] if i else ""
        begins = (
            (bool(_NUMBER.match(before)) and not _measure(words, i - 1) and (len(this) > 1 or i + 1 < len(words)))
            or before in ("&", "and", "@", "/", "at", "of", "on", "between", "from", "to", "intersection", "near")
            or (i == 0 and not _NUMBER.match(this))
        )
        numbered = this.isdigit() and i + 1 < len(words) and words[i + 1] not in TYPE_WORDS
        if begins and this[0].isalnum() and this not in _BREAKS and not numbered:
            starts.append(i)
    return starts


def _measure(words: list[str], i: int) -> bool:
    return i + 1 < len(words) and words[i + 1] in _UNITS and not (i + 2 < len(words) and words[i + 2] in TYPE_WORDS)


def _name_end(text: _Words, low: int, taken: set[int]) -> int:
    """End of an unknown street name: its type word, a joiner, two blanks, a comma, or at most five words."""
    words = text.words
    last_type = -1
    bounded = False
    i = low
    while i < len(words) and i not in taken and i - low < 6:
        this = words[i]
        if i > low and ((not this[0].isalnum() and this not in ("-",)) or this in _JOIN or this in ("between", "from", "to", "opposite")):
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
    behind_number = low > 0 and (bool(_NUMBER.match(words[low - 1])) or words[low - 1] in _JOIN)
    if last_type >= 0:
        tail = last_type + 1
        if tail < i and words[tail] == "no" and tail + 1 < i and words[tail + 1].isdigit():
            tail += 2  # Public Alley No. 908
        elif tail < i and (words[tail] in _SIDES or words[tail].isdigit()) and bounded:
            tail += 1
        if bounded and i - tail <= 0:
            return i
        return tail
    joined = i < len(words) and words[i] in ("&", "/", "@")
    if bounded and (behind_number or joined) and 0 < i - low <= 4:
        return i
    return low


def _correct(text: _Words) -> None:
    """No street and no place at all: a name one wrong key away anywhere in the text."""
    if text.streets or text.places:
        return
    spans = [(a, b) for a in range(len(text.words)) for b in range(a + 1, min(a + 4, len(text.words)) + 1) if text.words[a][0].isalpha()]
    best = _likeliest(text, spans[:80])
    if best is not None:
        text.streets.append(best)


def _likeliest(text: _Words, spans: list[tuple[int, int]]) -> tuple[int, int, StreetRef] | None:
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
        if likeness >= found[0][0] - 0.2 and not any(set(ids) & set(k.ids) for k in kept) and len(kept) < 8:
            kept.append(StreetRef(text.said(a, b), ids, likeness, Correction(text.said(a, b), names[ids[0]], option.how)))
    first = kept[0]
    return found[0][2], found[0][3], StreetRef(first.text, first.ids, first.likeness, first.correction, tuple(kept[1:]))


def _gap(text: _Words, high: int, low: int) -> list[str]:
    return text.words[high:low]


def _between(text: _Words, parsed: Parsed) -> bool:
    """A between B and C; A from B to C."""
    s = text.streets
    for i in range(len(s) - 1):
        before = text.words[s[i][0] - 1] if s[i][0] else ""
        gap = _gap(text, s[i][1], s[i + 1][0])
        if (before == "between" and gap and set(gap) <= {"and", "&"}) or (before == "from" and gap == ["to"]):
            parsed.span = (End(s[i][2].text, street=s[i][2]), End(s[i + 1][2].text, street=s[i + 1][2]))
            others = [x for j, x in enumerate(s) if j not in (i, i + 1)]
            parsed.street = others[0][2] if others else None
            return True
    return False


def _crossing(text: _Words, parsed: Parsed) -> bool:
    s = text.streets
    for i in range(len(s) - 1):
        gap = _gap(text, s[i][1], s[i + 1][0])
        joined = bool(gap) and len(gap) <= 3 and any(g in _JOIN for g in gap) and all(g in _JOIN or g in ("the", "of", "no", "corner") or g.isdigit() for g in gap)
        bare = not gap and len(s) == 2 and not (s[i][0] and _NUMBER.match(text.words[s[i][0] - 1]))
        if (joined or bare) and not (s[i][0] and _NUMBER.match(text.words[s[i][0] - 1]) and "near" in gap):
            parsed.street, parsed.cross = s[i][2], s[i + 1][2]
            return True
    return False


def _numbered(text: _Words, parsed: Parsed) -> None:
    """`12 Main St`, `12-14 Main St`, `Hauptstr. 12`; the street alone when there is no number."""
    words = text.words
    for low, high, ref in text.streets:
        i = low - 1
        if i >= 0 and _NUMBER.match(words[i]) and not _measure(words, i):
            start = i
            while start >= 1 and (words[start - 1] in ("-", "/") or (words[start - 1][0].isdigit() and words[start] in ("-", "/", "2"))):
                start -= 1
            house = latin_house_number(text.said(start, low)) or latin_house_number(text.said(i, low)) or latin_house_number(words[i])
            parsed.street, parsed.house = ref, house
            parsed.hints.extend(r for a, _, r in text.streets if a > high)
            return
        half = i >= 2 and words[i - 1] == "/" and words[i] == "2" and words[i - 2] == "1"
        if half and i >= 3 and words[i - 3].isdigit():
            parsed.street, parsed.house = ref, latin_house_number(words[i - 3] + " 1/2")
            return
        j = high + 1 if high < len(words) and words[high] in (",", "no", "#") else high
        if j < len(words) and _NUMBER.match(words[j]) and not _measure(words, j) and len(words[j]) <= 5 and not (low > 0 and words[low - 1] in _JOIN):
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


def _relations(text: _Words, parsed: Parsed) -> None:
    """`50 m north of`, `opposite`, `north side of`, `NE corner`."""
    words, taken = text.words, _taken(text)
    for i, this in enumerate(words):
        if i in taken:
            continue
        follows = words[i + 1] if i + 1 < len(words) else ""
        if this in ("opposite", "across"):
            parsed.side = "opposite"
        elif this in _SIDES and follows in ("side", "corner", "curb", "kerb", "sidewalk"):
            parsed.side = _SIDES[this]
        elif this in _UNITS and i and re.fullmatch(r"\d+", words[i - 1]):
            parsed.offset_m = float(words[i - 1]) * _UNITS[this]
        elif (m := re.fullmatch(r"(\d+)(m|ft|km|yd)", this)) and i not in taken:
            parsed.offset_m = float(m.group(1)) * _UNITS[m.group(2)]
        elif this in _SIDES and follows in ("of", "from", "on", "along"):
            parsed.direction = _SIDES[this]
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


def _generic_place(text: _Words) -> PlaceRef | None:
    """`opposite the library`: the words behind a relation, when they are no street."""
    for i, this in enumerate(text.words):
        if this in ("opposite", "near", "behind", "beside", "outside") or (this == "to" and i and text.words[i - 1] == "next"):
            low = i + 1
            while low < len(text.words) and text.words[low] in ("the", "a", "an", "to"):
                low += 1
            high = low
            while high < len(text.words) and text.words[high][0].isalnum() and high - low < 4:
                high += 1
            if high > low:
                return PlaceRef(text.said(low, high))
    return None
