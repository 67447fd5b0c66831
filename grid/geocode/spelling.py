"""Wrong keys: which of the town's names was meant by a word that is not one of them.

One wrong, missing or additional character is found by comparing deletions (Damerau distance 1: what is left
of two words when one character is taken from each); homophones in any number of characters by sound keys.
Names are kept as 64-bit hashes in sorted arrays, 12 bytes for each deletion.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from grid.core.values import dataclass
from grid.geocode.fold import has_cjk
from grid.geocode.sounds import look_alike, near_sound, same_sound, sound_keys

_TELLING = frozenset("东南西北中上下前后内外新老一二三四五六七八九十")
_SHORTEST, _LONGEST = 3, 40


@dataclass(frozen=True, slots=True)
class Meant:
    """A name of the town that may have been meant: likeness 0..1 and how the typed word differs from it."""

    key: str
    likeness: float
    how: str


@dataclass(slots=True)
class Spelling:
    """Deletion and sound hashes of all names; `names` is in the order of the name numbers."""

    names: list[str]
    hashes: NDArray[np.int64]
    owners: NDArray[np.int32]

    @classmethod
    def build(cls, keys: Iterable[str]) -> Spelling:
        """Index folded names of 3 to 40 characters."""
        names = [k for k in keys if _SHORTEST <= len(k) <= _LONGEST]
        hashes: list[int] = []
        counts: list[int] = []
        for name in names:
            mine = _marks(name)
            hashes.extend(mine)
            counts.append(len(mine))
        owners = np.repeat(np.arange(len(names), dtype=np.int32), counts)
        found = np.asarray(hashes, dtype=np.int64)
        order = np.argsort(found, kind="stable")
        return cls(names, found[order], owners[order])

    def meant(self, words: list[str]) -> list[list[Meant]]:
        """For each word the names within one wrong key or of the same sound, most like first (at most 12)."""
        marks = [_marks(w) if 2 <= len(w) <= _LONGEST else [] for w in words]
        flat = np.asarray([m for mine in marks for m in mine], dtype=np.int64)
        low = np.searchsorted(self.hashes, flat, "left")
        hit = np.zeros(len(flat), dtype=bool)
        inside = low < len(self.hashes)
        hit[inside] = self.hashes[low[inside]] == flat[inside]
        answers: list[list[Meant]] = []
        position = 0
        for word, mine in zip(words, marks, strict=True):
            owners: set[int] = set()
            if hit[position : position + len(mine)].any():
                for j in range(position, position + len(mine)):
                    if hit[j]:
                        begin = int(low[j])
                        end = int(np.searchsorted(self.hashes, flat[j], "right"))
                        owners.update(self.owners[begin : min(end, begin + 200)].tolist())
            position += len(mine)
            found = [m for o in owners if (m := compare(word, self.names[o])) is not None]
            found.sort(key=lambda m: (-m.likeness, m.key))
            answers.append(found[:12])
        return answers


def _marks(name: str) -> list[int]:
    marks = {hash(name)}
    for i in range(len(name)):
        marks.add(hash(name[:i] + name[i + 1 :]))
    if has_cjk(name) and len(name) <= 12:
        marks.update(hash(("sound", key)) for key in sound_keys(name))
    return list(marks)


def compare(typed: str, name: str) -> Meant | None:
    """How a typed word differs from a name, and how likely the name was meant; None when it is too far off."""
    if typed == name:
        return Meant(name, 1.0, "")
    return _compare_chinese(typed, name) if has_cjk(name) else _compare_latin(typed, name)


def _compare_chinese(typed: str, name: str) -> Meant | None:
    if len(typed) == len(name):
        wrong = [(a, b) for a, b in zip(typed, name, strict=True) if a != b]
        if len(wrong) > 2 and len(wrong) == len(name):
            return None
        if any(a.isdigit() or b.isdigit() for a, b in wrong):
            return None
        many = 0.05 * (len(wrong) - 1)
        if all(same_sound(a, b) for a, b in wrong):
            return Meant(name, 0.92 - many, "homophone")
        if len(wrong) == 1 and look_alike(*wrong[0]):
            return Meant(name, 0.86, "lookalike")
        if all(near_sound(a, b) for a, b in wrong):
            return Meant(name, 0.84 - many, "near_sound")
        if len(wrong) == 2 and wrong[0] == wrong[1][::-1]:
            return Meant(name, 0.7, "other")
        if len(wrong) == 1 and wrong[0][0] in _TELLING and wrong[0][1] in _TELLING:
            return None  # 中山西路 is not 中山北路 mistyped
        if len(wrong) == 1:
            return Meant(name, 0.62 if len(name) >= 4 else 0.4, "other")
        return None
    if len(typed) == len(name) - 1 and _one_less(typed, name):
        return Meant(name, 0.74 if len(name) >= 4 else 0.6, "missing")
    if len(typed) == len(name) + 1 and _one_less(name, typed):
        doubled = any(
            typed[i] == typed[i + 1] and typed[:i] + typed[i + 1 :] == name
            for i in range(len(typed) - 1)
        )
        return Meant(name, 0.9 if doubled else 0.66, "extra")
    return None


def _compare_latin(typed: str, name: str) -> Meant | None:
    base = max((len(w) for w in name.split()), default=0)
    good = 0.9 if base >= 6 else 0.8 if base >= 4 else 0.55
    changed: tuple[str, str]
    if len(typed) == len(name):
        wrong = [i for i, (a, b) in enumerate(zip(typed, name, strict=True)) if a != b]
        if (
            len(wrong) == 2
            and wrong[1] == wrong[0] + 1
            and typed[wrong[0]] == name[wrong[1]]
            and typed[wrong[1]] == name[wrong[0]]
        ):
            changed = ("", "")
        elif len(wrong) == 1:
            changed = (typed[wrong[0]], name[wrong[0]])
        else:
            return None
    elif len(typed) == len(name) - 1 and _one_less(typed, name):
        changed = ("", _surplus(typed, name))
    elif len(typed) == len(name) + 1 and _one_less(name, typed):
        changed = (_surplus(name, typed), "")
    else:
        return None
    if any(c.isdigit() for c in "".join(changed)):
        return None
    return Meant(name, good, "typo")


def _one_less(shorter: str, longer: str) -> bool:
    i = 0
    while i < len(shorter) and shorter[i] == longer[i]:
        i += 1
    return shorter[i:] == longer[i + 1 :]


def _surplus(shorter: str, longer: str) -> str:
    i = 0
    while i < len(shorter) and shorter[i] == longer[i]:
        i += 1
    return longer[i]
