"""Names found in running text: the town's own names, longest match first.

A name is looked up by its first two characters (Chinese) or its first word (Latin), which say how long the
names beginning so are; a text of 30 characters costs some 30 look-ups, however many names the town has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from itertools import pairwise

from grid.core.values import dataclass
from grid.geocode.fold import fold, has_cjk, latin_key

STREET, PLACE, COMMUNITY = 0, 1, 2
_SHIFT = 40


def reference(kind: int, index: int) -> int:
    """Kind and index of a named thing in one integer."""
    return kind << _SHIFT | index


def kind_of(ref: int) -> int:
    """STREET, PLACE or COMMUNITY."""
    return ref >> _SHIFT


def index_of(ref: int) -> int:
    """Index within its kind."""
    return ref & ((1 << _SHIFT) - 1)


@dataclass(slots=True)
class NameIndex:
    """Folded names to references, with the lengths that occur behind each beginning."""

    refs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    heads: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, key: str, ref: int) -> None:
        """File one key; the same name may stand for several things."""
        held = self.refs.get(key)
        if held is None:
            self.refs[key] = (ref,)
        elif ref not in held:
            self.refs[key] = (*held, ref)


def chinese_index(entries: Iterable[tuple[str, int]]) -> NameIndex:
    """Index of folded Chinese names (at least two characters) for `scan_chinese`."""
    index = NameIndex()
    for key, ref in entries:
        if len(key) >= 2:
            index.add(key, ref)
    lengths: dict[str, set[int]] = {}
    for key in index.refs:
        lengths.setdefault(key[:2], set()).add(len(key))
    index.heads = {head: tuple(sorted(found, reverse=True)) for head, found in lengths.items()}
    return index


def latin_index(entries: Iterable[tuple[str, int]]) -> NameIndex:
    """Index of Latin keys (words joined by blanks) for `scan_latin`; lengths count words."""
    index = NameIndex()
    for key, ref in entries:
        if key:
            index.add(key, ref)
    lengths: dict[str, set[int]] = {}
    for key in index.refs:
        first, _, rest = key.partition(" ")
        lengths.setdefault(first, set()).add(rest.count(" ") + 2 if rest else 1)
    index.heads = {head: tuple(sorted(found, reverse=True)) for head, found in lengths.items()}
    return index


@dataclass(frozen=True, slots=True)
class Hit:
    """A name found at text[start:end]; `key` is the folded name, `refs` all that are called so."""

    start: int
    end: int
    key: str
    refs: tuple[int, ...]

    def of(self, kind: int) -> tuple[int, ...]:
        """Indices of the things of one kind that carry this name."""
        return tuple(index_of(r) for r in self.refs if kind_of(r) == kind)


def scan_chinese(index: NameIndex, folded: str) -> list[Hit]:
    """Names in a folded text, left to right, longest first, not overlapping."""
    hits: list[Hit] = []
    heads, refs = index.heads, index.refs
    position, size = 0, len(folded)
    for i, pair in enumerate(pairwise(folded)):
        if i < position:
            continue
        lengths = heads.get(pair[0] + pair[1])
        if lengths is None:
            continue
        for length in lengths:
            if i + length <= size:
                key = folded[i : i + length]
                found = refs.get(key)
                if found is not None:
                    hits.append(Hit(i, i + length, key, found))
                    position = i + length
                    break
    return hits


def scan_latin(index: NameIndex, words: list[str]) -> list[Hit]:
    """Names in a list of canonical words; start and end count words."""
    hits: list[Hit] = []
    position, size = 0, len(words)
    for i, first in enumerate(words):
        if i < position:
            continue
        lengths = index.heads.get(first)
        if lengths is None:
            continue
        for length in lengths:
            if i + length <= size:
                key = first if length == 1 else " ".join(words[i : i + length])
                found = index.refs.get(key)
                if found is not None:
                    hits.append(Hit(i, i + length, key, found))
                    position = i + length
                    break
    return hits


def key_for(name: str) -> tuple[bool, str]:
    """(is Chinese, key) of a name as the indices hold it."""
    return (True, fold(name).replace(" ", "")) if has_cjk(name) else (False, latin_key(name))
