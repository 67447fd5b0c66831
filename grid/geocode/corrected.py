"""Street-like words that the town does not know: read all the same, and put right where one wrong key explains them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from grid.geocode import words as w
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.model import Correction
from grid.geocode.names import STREET, Hit
from grid.geocode.parsed import StreetRef
from grid.geocode.spelling import Meant

ENOUGH = 0.4
"""A name less like what was typed than this is no correction."""
_SUFFIX = re.compile(rf"(?:{w._ROADISH}|弄)")
_BOUNDARY = re.compile(
    r".*(?:在|到|近|与|和|从|至|往|向|区|县|镇|乡|社区|街道|是|叫|经|沿|处理|反映|[（(])(?=[\u4e00-\u9fff]{2})"
)
_WITH_LANE = re.compile(r"[\u4e00-\u9fff]{2,7}\d+[巷弄]")
_SECOND_OF_TWO = re.compile(
    r"[\ue000-\ue3ff][与和、]([\u4e00-\u9fff]{2,6}?)(?=交叉|交汇|路口|十字|丁字)"
)
_FIRST_OF_TWO = re.compile(
    r"([\u4e00-\u9fff]{2,6})[与和、][\ue000-\ue3ff]+(?=交叉|交汇|路口|十字|丁字)"
)
_SECTION = re.compile(r"[一二三四五六七八九十\d]+段")
_BEFORE_A_NAME = frozenset("与和到至从自由在近区县市镇乡村里路街、往向于沿经过映理的是")
MOST_RIVALS = 8
MOST_CORRECTED = 6
"""Streets of one text that are looked at for wrong keys; a place is told with two or three."""
Span = tuple[int, int]
_BEFORE_NUMBER = re.compile(
    r"(?=[0-9零一二三四五六七八九十百]+(?:号|弄|巷|-|之|附|$))|(?=(?:交叉|交汇|路口|与|和))"
)


class Text(Protocol):
    """The text under work (see `chinese`)."""

    typed: str
    folded: str
    marked: str
    streets: list[StreetRef]
    inside: list[StreetRef]

    def mark(self, start: int, end: int, char: str) -> None:
        """Overwrite a stretch with a marker."""

    def add_street(self, start: int, end: int, ref: StreetRef) -> None:
        """Mark a stretch as a street."""


def unknown_streets(text: Text) -> None:
    """Mark words that look like street names but are not in the gazetteer; their `ids` stay empty."""
    position = 0
    while m := w.UNKNOWN_STREET_RE.search(text.marked, position):
        start, end = m.span()
        position = end
        word = text.marked[start:end]
        noise = w.NOISE_START.match(word)
        if noise:
            start += noise.end()
        boundary = _BOUNDARY.match(text.marked[start:end])
        if boundary:
            start += boundary.end()
        word = text.marked[start:end]
        stem = word[: len(word) - len(m.group(2))]
        if (
            len(word) < 3 - (len(m.group(2)) > 1)
            or not stem
            or w.NOT_A_STREET_NAME.search(stem)
            or word in w.NOT_WHOLE
        ):
            continue
        if w.SCHOOL_AFTER_STREET.match(text.marked[end:]):
            continue
        if re.search(r"有|的|不|了|着|被|把|哪|什么", stem):
            continue
        text.add_street(start, end, StreetRef(text.typed[start:end]))


def corrected_streets(text: Text, gazetteer: Gazetteer) -> None:
    """Where a street-like word is not known, take the name that one wrong key explains, and say so."""
    for n, ref in enumerate(text.streets[:MOST_CORRECTED]):
        marker = chr(w.STREET0 + n)
        start, end = text.marked.find(marker), text.marked.rfind(marker) + 1
        if end <= 0:
            continue
        floor = start
        while floor > 0 and "\u4e00" <= text.marked[floor - 1] <= "\u9fff" and start - floor < 6:
            floor -= 1
        if ref.ids:
            _longer_name(text, gazetteer, n, (start, end), floor)
            continue
        ends = [end]
        section = _SECTION.match(text.marked, end)
        if section:
            ends.append(section.end())
        found = _best(
            text, gazetteer, [(low, e) for e in ends for low in range(floor, end - 1)], start
        )
        if found is not None:
            (low, high), taken = found
            text.mark(start, end, w.GONE)
            text.mark(low, high, marker)
            text.streets[n] = taken
    if not text.streets and not text.inside:
        _anywhere(text, gazetteer)
    elif len(text.streets) == 1:
        _other_of_two(text, gazetteer)


def _longer_name(
    text: Text, gazetteer: Gazetteer, n: int, span: tuple[int, int], floor: int
) -> None:
    """A known name right behind another character may be the tail of a longer one, mistyped there (案乐一路 is not 乐一路)."""
    start, end = span
    if start == floor or text.marked[start - 1] in _BEFORE_A_NAME:
        return
    found = _best(
        text, gazetteer, [(low, end) for low in range(max(floor, start - 2), start)], None
    )
    if found is None:
        return
    (low, _), taken = found
    if taken.likeness < 0.8:
        return
    marker = chr(w.STREET0 + n)
    known = text.streets[n]
    text.mark(low, end, marker)
    text.streets[n] = replace(taken, rivals=(*taken.rivals, replace(known, likeness=0.6)))


def _other_of_two(text: Text, gazetteer: Gazetteer) -> None:
    """A crossing of which only one street was recognised: the other word may have lost its 路."""
    for pattern in (_SECOND_OF_TWO, _FIRST_OF_TWO):
        m = pattern.search(text.marked)
        if m is None:
            continue
        start, end = m.span(1)
        spans = [(low, end) for low in range(start, end - 1)]
        found = _best(text, gazetteer, spans, start)
        if found is not None:
            (low, high), taken = found
            text.add_street(low, high, taken)
            return


def _anywhere(text: Text, gazetteer: Gazetteer) -> None:
    """No street-like word at all: perhaps its last character is wrong or missing before a number or a crossing word."""
    lanes = [m.span() for m in _WITH_LANE.finditer(text.marked)]
    ends = {m.start() for m in _BEFORE_NUMBER.finditer(text.marked)} | {
        m.end() for m in _SUFFIX.finditer(text.marked)
    }
    spans = [
        (low, end)
        for end in sorted(ends)[:8]
        for low in range(max(0, end - 7), end - 1)
        if all("\u4e00" <= c <= "\u9fff" for c in text.marked[low:end])
    ]
    spans += [(low, end) for start, end in lanes for low in range(max(start, end - 10), end - 3)]
    found = _best(text, gazetteer, spans, None)
    if found is not None:
        (low, high), taken = found
        text.add_street(low, high, taken)


def _best(
    text: Text, gazetteer: Gazetteer, spans: list[Span], said_from: int | None
) -> tuple[Span, StreetRef] | None:
    """(stretch, street) that the likeliest correction gives among several stretches; rivals about as like are kept with it."""
    typed = [text.folded[a:b] for a, b in spans]
    found: list[tuple[float, Span, Meant, tuple[int, ...]]] = []
    for span, options in zip(spans, gazetteer.chinese_spelling.meant(typed), strict=True):
        for meant in options:
            ids = Hit(0, 0, meant.key, gazetteer.chinese.refs[meant.key]).of(STREET)
            if ids and meant.how and meant.likeness >= ENOUGH:
                # A stretch that leaves typed characters out in front of it is a worse reading of the word.
                left_out = 0 if said_from is None else max(0, span[0] - said_from)
                found.append((meant.likeness - 0.12 * left_out, span, meant, ids))
    if not found:
        return None
    found.sort(key=lambda f: (-f[0], f[1][0] - f[1][1], f[2].key))
    top = found[0]
    refs: list[StreetRef] = []
    for score, (low, high), meant, ids in found:
        if score < top[0] - 0.25 or len(refs) >= MOST_RIVALS:
            break
        if (low, high) != top[1] and top[1][0] <= low and high <= top[1][1]:
            continue  # a part of the stretch that explains more
        fresh = tuple(i for i in ids if not any(i in r.ids for r in refs))
        if fresh:
            said = text.typed[low:high]
            refs.append(
                StreetRef(
                    said,
                    fresh,
                    max(score, 0.1),
                    Correction(said, gazetteer.street_names[fresh[0]], meant.how),
                )
            )
    return top[1], replace(refs[0], rivals=tuple(refs[1:]))
