"""Street-like words that the town does not know: read all the same, and put right where one wrong key explains them."""

from __future__ import annotations

import re
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
_BOUNDARY = re.compile(r".*(?:在|到|近|与|和|从|至|往|向|区|县|镇|乡|社区|街道|是|叫|经|沿|处理|反映|[（(])(?=[\u4e00-\u9fff]{2})")
_BEFORE_NUMBER = re.compile(r"(?=[0-9零一二三四五六七八九十百]+(?:号|弄|-|之|附|$))|(?=(?:交叉|交汇|路口|与|和))")


class Text(Protocol):
    """The text under work (see `chinese`)."""

    typed: str
    folded: str
    marked: str
    streets: list[StreetRef]

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
        if len(word) < 3 - (len(m.group(2)) > 1) or not stem or w.NOT_A_STREET_NAME.search(stem) or word in w.NOT_WHOLE:
            continue
        if re.search(r"有|的|不|了|着|被|把|哪|什么", stem):
            continue
        text.add_street(start, end, StreetRef(text.typed[start:end]))


def corrected_streets(text: Text, gazetteer: Gazetteer) -> None:
    """Where a street-like word is not known, take the name that one wrong key explains, and say so."""
    for n, ref in enumerate(text.streets):
        if ref.ids:
            continue
        marker = chr(w.STREET0 + n)
        end = text.marked.rfind(marker) + 1
        start = text.marked.find(marker)
        if end <= 0:
            continue
        floor = start
        while floor > 0 and "\u4e00" <= text.marked[floor - 1] <= "\u9fff" and start - floor < 6:
            floor -= 1
        best = _best(text, gazetteer, [(low, end) for low in range(floor, end - 1)], start)
        if best is not None:
            low, found = best
            text.mark(start, end, w.GONE)
            text.mark(low, end, marker)
            text.streets[n] = found
    if not text.streets:
        _anywhere(text, gazetteer)


def _anywhere(text: Text, gazetteer: Gazetteer) -> None:
    """No street-like word at all: perhaps its last character is wrong or missing before a number or a crossing word."""
    ends = {m.start() for m in _BEFORE_NUMBER.finditer(text.marked)} | {m.end() for m in _SUFFIX.finditer(text.marked)}
    spans = [
        (low, end)
        for end in sorted(ends)[:6]
        for low in range(max(0, end - 7), end - 1)
        if all("\u4e00" <= c <= "\u9fff" or c.isalnum() for c in text.marked[low:end])
    ]
    best = _best(text, gazetteer, spans, None)
    if best is not None:
        low, found = best
        end = next(e for s, e in spans if s == low and text.typed[s:e] == (found.correction.typed if found.correction else ""))
        text.add_street(low, end, found)


def _best(text: Text, gazetteer: Gazetteer, spans: list[tuple[int, int]], said_from: int | None) -> tuple[int, StreetRef] | None:
    """(start, street) that the likeliest correction gives among several stretches; rivals as like are kept with it."""
    typed = [text.folded[a:b] for a, b in spans]
    found: list[tuple[float, int, int, Meant, tuple[int, ...]]] = []
    for (low, _), word, options in zip(spans, typed, gazetteer.chinese_spelling.meant(typed), strict=True):
        for meant in options:
            ids = Hit(0, 0, meant.key, gazetteer.chinese.refs[meant.key]).of(STREET)
            if ids and meant.likeness >= ENOUGH:
                # A stretch that leaves typed characters out in front of it is a worse reading of the word.
                left_out = 0 if said_from is None else max(0, low - said_from)
                found.append((meant.likeness - 0.12 * left_out, len(word), low, meant, ids))
    if not found:
        return None
    found.sort(key=lambda f: (-f[0], -f[1], f[3].key))
    top = found[0]
    refs = []
    for score, _, low, meant, ids in found:
        if score < top[0] - 0.25 or len(refs) >= 8 or any(set(ids) & set(r.ids) for r in refs):
            continue
        end = low + len(typed[spans.index(next(s for s in spans if s[0] == low))])
        name = gazetteer.street_names[ids[0]]
        refs.append(StreetRef(name, ids, max(score, 0.1), Correction(text.typed[low:end], name, meant.how)))
    first = refs[0]
    return top[2], StreetRef(first.text, first.ids, first.likeness, first.correction, tuple(refs[1:]))
