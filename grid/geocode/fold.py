"""Folding: one way of writing for every way of typing the same name.

Chinese: full width to half width, traditional to simplified, lower case; the length never changes, so
places in the folded text are places in the text as typed. Latin: accents, case, punctuation, usual
abbreviations and ordinals of street words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import opencc

# Variants that the simplification tables keep apart but people type for each other.
_VARIANTS = {
    "臺": "台",
    "裡": "里",
    "裏": "里",
    "后": "后",
    "褔": "福",
    "菓": "果",
    "舘": "馆",
    "堤": "堤",
}
_MARKS = {
    "（": "(",
    "）": ")",
    "【": "(",
    "】": ")",
    "「": "(",
    "」": ")",
    "〔": "(",
    "〕": ")",
    "－": "-",
    "–": "-",
    "—": "-",
    "─": "-",
    "―": "-",
    "‐": "-",
    "～": "~",
    "〜": "~",
    "∼": "~",
    "、": "、",
    "，": ",",
    "。": ".",
    "：": ":",
    "；": ";",
    "＃": "#",
    "　": " ",
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u00a0": " ",
}


@lru_cache(maxsize=1)
def _table() -> dict[int, str]:
    """Character table of the length-preserving fold, made once from OpenCC and Unicode (about 0.1 s)."""
    simplify = opencc.OpenCC("t2s").convert
    table: dict[int, str] = {}
    block = "".join(chr(code) for code in range(0x3400, 0xA000))
    for before, after in zip(block, simplify("\n".join(block)).split("\n"), strict=True):
        if len(after) == 1 and after != before and ord(after) < 0x10000:
            table[ord(before)] = after
    for code in [
        *range(0x21, 0x250),
        *range(0xFF01, 0xFF5F),
        *range(0x2460, 0x2474),
        *range(0xF900, 0xFB00),
    ]:
        plain = unicodedata.normalize("NFKC", chr(code)).lower()
        if len(plain) == 1 and plain != chr(code):
            table[code] = plain
    table.update(
        dict.fromkeys(range(0xE000, 0xF900), " ")
    )  # private characters are ours, for marking
    table.update({ord(k): v for k, v in (_VARIANTS | _MARKS).items() if k != v})
    return table


def fold(text: str) -> str:
    """The text folded character by character; always as long as the text given."""
    return text.translate(_table())


_CJK = re.compile("[\u3400-\u9fff\uf900-\ufaff]")


def has_cjk(text: str) -> bool:
    """True when a Chinese character occurs."""
    return _CJK.search(text) is not None


# --- Latin -----------------------------------------------------------------------------------------

TYPES: dict[str, str] = {
    "street": "st", "str": "st", "avenue": "ave", "av": "ave", "road": "rd", "square": "sq", "parkway": "pkwy", "pky": "pkwy",
    "highway": "hwy", "terrace": "ter", "terr": "ter", "place": "pl", "court": "ct", "lane": "ln", "drive": "dr", "boulevard": "blvd",
    "boul": "blvd", "circle": "cir", "park": "pk", "extension": "ext", "alley": "aly", "center": "ctr", "centre": "ctr", "plaza": "plz",
    "turnpike": "tpke", "wharf": "whf", "bridge": "brg", "crescent": "cres", "gardens": "gdns", "green": "grn", "heights": "hts",
    "landing": "ldg", "path": "path", "row": "row", "way": "way", "walk": "walk", "mall": "mall", "fenway": "fenway", "pike": "pike",
    "circuit": "crct", "esplanade": "esp", "quay": "quay", "overpass": "ovps", "bypass": "byp", "expressway": "expy", "freeway": "fwy",
    "strasse": "str", "gasse": "gasse", "platz": "platz", "allee": "allee", "weg": "weg", "katu": "katu", "tie": "tie", "kuja": "kuja",
    "gatan": "gatan", "tori": "tori", "rue": "rue", "via": "via", "calle": "calle",
}  # fmt: skip
TYPE_WORDS = frozenset(TYPES.values()) - {"pk", "st"} | {"st", "pk"}
_WORDS: dict[str, str] = {
    **TYPES,
    "north": "n", "south": "s", "east": "e", "west": "w", "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw",
    "saint": "st", "sainte": "ste", "mount": "mt", "massachusetts": "mass", "commonwealth": "comm", "monsignor": "msgr", "msr": "msgr",
    "doctor": "dr", "junior": "jr", "senior": "sr", "fort": "ft", "point": "pt", "reverend": "rev", "number": "no", "btwn": "between", "btw": "between",
    "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th", "seventh": "7th", "eighth": "8th",
    "ninth": "9th", "tenth": "10th", "eleventh": "11th", "twelfth": "12th", "thirteenth": "13th", "fourteenth": "14th", "fifteenth": "15th",
    "sixteenth": "16th", "seventeenth": "17th", "eighteenth": "18th", "nineteenth": "19th", "twentieth": "20th",
}  # fmt: skip
# "st" after "str" must not be one more step: German Hauptstr. and Hauptstraße meet in "hauptstr".
_GERMAN = re.compile(r"(?<=[a-zäöü]{3})(?:strasse|str)$")
_ACCENTS = re.compile("[\u0300-\u036f]")
_TOKEN = re.compile(r"[a-z0-9\u00c0-\u024f]+(?:['’`.][a-z0-9\u00c0-\u024f]+)*|&|@|/|#|[,;()\n]|-")


@lru_cache(maxsize=65536)
def word(token: str) -> str:
    """One Latin word in its canonical short form: `Street` -> `st`, `Second` -> `2nd`, `O'Brien` -> `obrien`."""
    plain = token.casefold()
    if not plain.isascii():
        plain = (
            _ACCENTS.sub("", unicodedata.normalize("NFKD", plain))
            .replace("ø", "o")
            .replace("ł", "l")
            .replace("æ", "ae")
        )
    plain = plain.replace("'", "").replace("’", "").replace("`", "").replace(".", "")
    known = _WORDS.get(plain)
    return known if known is not None else _GERMAN.sub("str", plain)


@lru_cache(maxsize=65536)
def latin_key(name: str) -> str:
    """The key of a Latin name: canonical words joined by spaces."""
    return " ".join(word(t) for t in _TOKEN.findall(name.lower()) if t[0].isalnum())


@lru_cache(maxsize=65536)
def written_key(name: str) -> str:
    """A Latin name's words as written, only the street type at the end shortened: what a typed word is compared with."""
    words = [
        t.replace("'", "").replace("’", "").replace(".", "")
        for t in _TOKEN.findall(name.lower())
        if t[0].isalnum()
    ]
    if len(words) > 1:
        words[-1] = TYPES.get(words[-1], words[-1])
    return " ".join(words)


def latin_tokens(text: str) -> list[tuple[str, int, int]]:
    """(word, start, end) of every Latin word and joining mark in a text; words are canonical."""
    lowered = text.lower() if len(text.lower()) == len(text) else text
    return [
        (word(m.group()) if m.group()[0].isalnum() else m.group(), m.start(), m.end())
        for m in _TOKEN.finditer(lowered)
    ]
