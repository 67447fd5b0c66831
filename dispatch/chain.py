"""The record nobody can bend: every history line carries a hash of its content and of the line before.

A line's hash is sha256 over the hash before and the line's fields in one canonical form, so a changed,
missing or inserted line is found and named. Somebody who rewrites a line *and* every later one is found by the
daily seal, which is chained over all incidents and can be kept outside the database.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import orjson

from grid.core.errors import BadInput
from grid.core.values import dataclass

GENESIS = "0" * 64
_SAFE_INTEGER = 2**53


@dataclass(frozen=True, slots=True)
class Line:
    """One stored history line: `seq` counts from 1 within its incident; `previous`, `hash` are 64 hex digits."""

    seq: int
    previous: str
    hash: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain does not hold: kind is changed, missing, inserted or cut_off; `seq` names the line."""

    kind: str
    seq: int


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal of one day: how many lines were written that day over all incidents, and the chained hash."""

    day: date
    lines: int
    hash: str


def canonical(fields: Mapping[str, object]) -> bytes:
    """The one spelling of a line's fields: JSON in UTF-8, keys sorted, moments in UTC with microseconds.

    Whole floats are written as integers, so that a trip through jsonb changes nothing.
    Raises BadInput chain.value_unfit for a value without one spelling (naive time, NaN, other types).
    """
    return orjson.dumps(_plain(fields), option=orjson.OPT_SORT_KEYS)


def line_hash(previous: str, seq: int, fields: Mapping[str, object]) -> str:
    """Hash of a line after the line with hash `previous` (GENESIS for the first). Raises BadInput chain.value_unfit."""
    digest = hashlib.sha256(f"{previous}\n{seq}\n".encode())
    digest.update(canonical(fields))
    return digest.hexdigest()


def make_line(before: Line | None, fields: Mapping[str, object]) -> Line:
    """The line that follows `before`. Raises BadInput chain.value_unfit."""
    previous, seq = (before.hash, before.seq + 1) if before else (GENESIS, 1)
    return Line(seq, previous, line_hash(previous, seq, fields), fields)


def verify(lines: Iterable[Line], last: tuple[int, str] | None = None) -> list[Break]:
    """Every break in one incident's chain, in order; empty when it is whole.

    `last` is the (seq, hash) known from elsewhere, such as the incident's own row: without it a chain cut off at its
    end cannot be told from a shorter one. A line rewritten together with its own hash shows where the next one is
    chained to something else.
    """
    given = sorted(lines, key=lambda line: line.seq)
    kept, breaks = _without_inserted(given, last)
    previous, seq = GENESIS, 0
    for line in kept:
        missing = [Break("missing", gone) for gone in range(seq + 1, line.seq)]
        breaks.extend(missing)
        broken_link = line.previous != previous and not missing
        if broken_link and seq:
            breaks.append(Break("changed", seq))
        own = line_hash(line.previous, line.seq, line.fields)
        if own != line.hash or (broken_link and not seq):
            breaks.append(Break("changed", line.seq))
        previous, seq = line.hash, line.seq
    if last is not None and seq < last[0]:
        breaks.append(Break("cut_off", seq + 1))
    elif last is not None and (seq, previous) != last:
        breaks.append(Break("changed" if seq == last[0] else "inserted", seq))
    return sorted(set(breaks), key=lambda found: (found.seq, found.kind))


def seal(before: Seal | None, day: date, hashes: Iterable[str]) -> Seal:
    """Seal of a day over the hashes of all lines written on it, in order of incident and line."""
    digest = hashlib.sha256(f"{before.hash if before else GENESIS}\n{day.isoformat()}\n".encode())
    lines = 0
    for each in hashes:
        digest.update(each.encode("ascii"))
        lines += 1
    return Seal(day, lines, digest.hexdigest())


def verify_seals(seals: Sequence[Seal], hashes_of: Mapping[date, Sequence[str]]) -> list[date]:
    """Days whose seal does not fit the lines now stored or the seal before; given in order of days."""
    wrong: list[date] = []
    before: Seal | None = None
    for stored in seals:
        if seal(before, stored.day, hashes_of.get(stored.day, ())) != stored:
            wrong.append(stored.day)
        before = stored
    return wrong


def _without_inserted(
    given: Sequence[Line], last: tuple[int, str] | None
) -> tuple[list[Line], list[Break]]:
    # An inserted line is one the following line does not build on, although it builds on the line before it.
    known = {line.previous for line in given} | ({last[1]} if last else set())
    kept: list[Line] = []
    breaks: list[Break] = []
    for at, line in enumerate(given):
        previous = kept[-1].hash if kept else GENESIS
        follower = given[at + 1] if at + 1 < len(given) else None
        twin = any(
            other.seq == line.seq for other in given[max(0, at - 1) : at + 2] if other is not line
        )
        skipped = follower is not None and follower.previous == previous
        if (skipped or twin) and line.hash not in known:
            breaks.append(Break("inserted", line.seq))
        else:
            kept.append(line)
    return kept, breaks


def _plain(value: object) -> object:
    # In order of how often each comes: a report's decision holds hundreds of values.
    if isinstance(value, dict):
        return _plain_mapping(value)
    if isinstance(value, (float, int)):
        return value if isinstance(value, bool) else _number(value)
    if isinstance(value, (list, tuple)):
        return [inner if type(inner) is str else _plain(inner) for inner in value]
    if value is None or isinstance(value, str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadInput("chain.value_unfit", type="naive datetime")
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    return _plain_mapping(value) if isinstance(value, Mapping) else _number(value)


def _plain_mapping(value: Mapping[object, object]) -> dict[str, object]:
    plain: dict[str, object] = {}
    for key, inner in value.items():
        if not isinstance(key, str):
            raise BadInput("chain.value_unfit", type="key")
        # Most values need nothing done; a call for each would cost more than all the rest.
        kind = type(inner)
        unchanged = kind is str or inner is None or kind is bool
        plain[key] = inner if unchanged else _plain(inner)
    return plain


def _number(value: object) -> int | float:
    if isinstance(value, int) and abs(value) < _SAFE_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        if not value.is_integer():
            return value
        if abs(value) < _SAFE_INTEGER:
            return int(value)
    raise BadInput("chain.value_unfit", type=type(value).__name__)
