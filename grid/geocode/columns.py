"""From the caller's columns to the gazetteer's own: names with their variants, lines, plates, places."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from grid.geocode.door_plates import DoorPlates, by_plate, order_key
from grid.geocode.fold import TYPE_WORDS, fold, has_cjk, latin_key, written_key
from grid.geocode.lines import Point, StreetLines
from grid.geocode.model import GazetteerData, Ints
from grid.geocode.names import (
    COMMUNITY,
    PLACE,
    STREET,
    NameIndex,
    key_for,
    reference,
    scan_chinese,
)
from grid.geocode.numbers import (
    NUMERAL,
    HouseNumber,
    chinese_numeral,
    house_number,
    latin_house_number,
    number,
)
from grid.geocode.words import KIND_WORDS

_NUMBERED = re.compile(rf"({NUMERAL}+)(?=[路街巷弄段道里村号])")
_ADDRESS_NUMBER = re.compile(r"\d+[a-z]?(?:(?:号|弄|巷)-?\d+|[-之附]\d+)*(?:号|弄|巷|$)(?!线|楼)")
_ROADS = ("路", "街", "巷", "弄", "大道")
_COMMUNITY_TAIL = re.compile(r"(?:社区居委会|社区|居委会|村委会|街道办事处|街道)$")


LONGEST_KIND = max(map(len, KIND_WORDS))
ENTRANCE_M = 150.0
"""A door plate farther than this from a small place is not its door, whatever its address says."""


@dataclass(slots=True)
class Named:
    """Places or communities: columns by dense index."""

    name: list[str] = field(default_factory=list)
    x_m: list[float] = field(default_factory=list)
    y_m: list[float] = field(default_factory=list)
    spread_m: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    address: list[str] = field(default_factory=list)


def check_lengths(data: GazetteerData) -> None:
    groups = (
        ("street_id", "street_name"),
        ("segment_id", "segment_street"),
        ("plate_street", "plate_number", "plate_x_m", "plate_y_m"),
        ("place_name", "place_x_m", "place_y_m"),
        ("community_name", "community_x_m", "community_y_m"),
        ("km_post_street", "km_post_code", "km_post_x_m", "km_post_y_m"),
        ("facility_street", "facility_code", "facility_x_m", "facility_y_m"),
    )
    for group in groups:
        if len({len(getattr(data, column)) for column in group}) > 1:
            raise ValueError(f"columns of different length: {', '.join(group)}")
    if len(data.segment_offset) != len(data.segment_id) + 1:
        raise ValueError("segment_offset must have one entry more than segment_id")


def all_names(data: GazetteerData) -> Iterator[tuple[bool, str, int]]:
    """(is Chinese, key, reference) of every name of every street, place and community.

    A former or short name that another street bears today means that street.
    """
    own = {key_for(name) for name in data.street_name if name}
    for i, name in enumerate(data.street_name):
        others = data.street_other_names[i] if i < len(data.street_other_names) else ()
        for each in (name, *others):
            if each:
                chinese, key = key_for(each)
                if each is not name and (chinese, key) in own:
                    continue
                yield chinese, key, reference(STREET, i)
                if chinese:
                    for variant in _variants(key):
                        yield True, variant, reference(STREET, i)
    for i, name in enumerate(data.place_name):
        others = data.place_other_names[i] if i < len(data.place_other_names) else ()
        for each in (name, *others):
            if each:
                chinese, key = key_for(each)
                if chinese and key.endswith(_ROADS):
                    continue  # a stop or shop called after a street must not answer for the street
                yield chinese, key, reference(PLACE, i)
                if chinese and "(" in key:
                    bare = re.sub(r"\([^)]*\)", "", key)
                    if not bare.endswith(_ROADS):
                        yield True, bare, reference(PLACE, i)
    for i, name in enumerate(data.community_name):
        if name:
            chinese, key = key_for(name)
            yield chinese, key, reference(COMMUNITY, i)
            short = _COMMUNITY_TAIL.sub("", key)
            if chinese and short != key and len(short) >= 2:
                yield True, short + "社区", reference(COMMUNITY, i)


def _variants(key: str) -> Iterator[str]:
    """中山一路 -> 中山1路, 14巷 -> 十四巷: the numeral inside a name written the other way."""
    m = _NUMBERED.search(key)
    if m:
        value = number(m.group(1))
        if value is not None and 0 < value < 1000:
            other = chinese_numeral(value) if m.group(1).isdigit() else str(value)
            if other != m.group(1):
                yield key[: m.start()] + other + key[m.end() :]


def base_names(latin: NameIndex) -> Iterator[tuple[str, int]]:
    """Street names without their type (`broad` for `broad st`), for people who leave it out."""
    for key, refs in latin.refs.items():
        head, _, last = key.rpartition(" ")
        if head and last in TYPE_WORDS and head not in latin.refs:
            for ref in refs:
                if ref >> 40 == STREET:
                    yield head, ref


def said_in_full(data: GazetteerData, latin: NameIndex) -> dict[str, tuple[int, ...]]:
    """Latin names for the spelling index: the canonical keys, and the words as written (`massachusetts ave`)."""
    said = dict(latin.refs)
    for names, others in (
        (data.street_name, data.street_other_names),
        (data.place_name, data.place_other_names),
    ):
        for i, name in enumerate(names):
            for each in (name, *(others[i] if i < len(others) else ())):
                if each and not has_cjk(each):
                    said.setdefault(written_key(each), latin.refs.get(latin_key(each), ()))
    return said


def whole_numbers(column: Sequence[int] | Ints, size: int) -> list[int]:
    return [int(n) for n in column] if len(column) else [-1] * size


def street_lines(data: GazetteerData, dense: dict[int, int]) -> StreetLines:
    xy = np.asarray(data.segment_xy, dtype=np.float64).reshape(-1, 2)
    offset = np.asarray(data.segment_offset, dtype=np.int64)
    street = [dense.get(int(s), -1) for s in data.segment_street]
    start, end = (
        np.asarray(data.from_node, dtype=np.int64),
        np.asarray(data.to_node, dtype=np.int64),
    )
    if len(start) != len(street) or (len(start) and start.min() < 0):
        # Without node numbers, ends within a decimetre of each other are one node.
        ends = (
            np.round(np.concatenate([xy[offset[:-1]], xy[offset[1:] - 1]]), 1)
            if street
            else np.empty((0, 2))
        )
        _, ids = np.unique(ends, axis=0, return_inverse=True)
        start, end = ids.reshape(-1)[: len(street)], ids.reshape(-1)[len(street) :]
    of_street: list[list[int]] = [[] for _ in data.street_id]
    for s, owner in enumerate(street):
        if owner >= 0:
            of_street[owner].append(s)
    return StreetLines(xy, offset.tolist(), street, start.tolist(), end.tolist(), of_street)


def door_plates(data: GazetteerData, dense: dict[int, int], chinese: NameIndex) -> DoorPlates:
    """Door plates, and the addresses of places as plates where no plate carries that number."""
    rows: list[tuple[int, str, int, int, str]] = []
    for i, (owner, text) in enumerate(zip(data.plate_street, data.plate_number, strict=True)):
        street = dense.get(int(owner), -1)
        house = (
            house_number(fold(text))
            if has_cjk(text)
            else latin_house_number(text) or house_number(fold(text))
        )
        if street >= 0 and house is not None:
            rows.append((street, "".join(house.lanes), order_key(house), i, house.key))
    known = {(row[0], row[1], row[4]) for row in rows}
    count = len(data.plate_number)
    for i, address in enumerate(data.place_address):
        row = _address_row(address, count + i, chinese)
        if row is not None and (row[0], row[1], row[4]) not in known:
            rows.append(row)
    rows.sort()
    order = [row[3] for row in rows]
    x = np.concatenate(
        [np.asarray(data.plate_x_m, dtype=np.float64), np.asarray(data.place_x_m, dtype=np.float64)]
    )
    y = np.concatenate(
        [np.asarray(data.plate_y_m, dtype=np.float64), np.asarray(data.place_y_m, dtype=np.float64)]
    )
    by_id = {int(s): i for i, s in enumerate(data.segment_id)}
    has_segment, has_side = len(data.plate_segment) > 0, len(data.plate_side) > 0
    plates = DoorPlates(
        keys=[row[2] for row in rows],
        texts=[row[4] for row in rows],
        x_m=x[order].tolist(),
        y_m=y[order].tolist(),
        segment=[
            by_id.get(int(data.plate_segment[i]), -1) if has_segment and i < count else -1
            for i in order
        ],
        derived=[i >= count for i in order],
        side=[data.plate_side[i] if has_side and i < count else "" for i in order],
    )
    begin = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i][:2] != rows[begin][:2]:
            plates.groups[rows[begin][:2]] = (begin, i)
            begin = i
    return plates


def _address_row(address: str, i: int, chinese: NameIndex) -> tuple[int, str, int, int, str] | None:
    """A sorted row of `_plates` for a place's address (`大华路348号3楼`); None when street or number is not known."""
    read = read_address(address, chinese)
    if read is None:
        return None
    street, house = read
    return (street, "".join(house.lanes), order_key(house), i, house.key)


def read_address(address: str, chinese: NameIndex) -> tuple[int, HouseNumber] | None:
    """(dense street, number) of a Chinese address; None when street or number is not known."""
    if not address or not has_cjk(address):
        return None
    folded = fold(address)
    for hit in scan_chinese(chinese, folded):
        streets = hit.of(STREET)
        m = _ADDRESS_NUMBER.match(folded, hit.end) if streets else None
        house = house_number(m.group(0)) if m else None
        if house is not None:
            return streets[0], house
    return None


def entrances(
    data: GazetteerData, plates: DoorPlates, chinese: NameIndex
) -> dict[int, tuple[int, Point, int, str]]:
    """Place -> (street, point, segment, side) of the door plate that its address names, when it stands near the place.

    Who goes to a market goes to its door: that plate's street answers for it, not the street nearest to its middle.
    """
    found: dict[int, tuple[int, Point, int, str]] = {}
    for i, address in enumerate(data.place_address):
        read = read_address(address, chinese)
        located = by_plate(plates, *read) if read is not None else None
        if read is None or located is None or located.sureness < 1.0:
            continue
        reach = data.place_spread_m[i] * 2 if len(data.place_spread_m) else 80.0
        middle = (float(data.place_x_m[i]), float(data.place_y_m[i]))
        if math.dist(located.point, middle) <= max(ENTRANCE_M, float(reach)):
            found[i] = (read[0], located.point, located.segment, located.side)
    return found


def by_kind(names: Sequence[str]) -> dict[str, list[int]]:
    """The word for a kind of place (菜市场, 派出所) -> the places whose names end so."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(map(fold, names)):
        for size in range(2, min(LONGEST_KIND, len(name) - 1) + 1):
            if name[-size:] in KIND_WORDS:
                found.setdefault(name[-size:], []).append(i)
    return found


def named(
    names: Sequence[str],
    x_m: Iterable[float],
    y_m: Iterable[float],
    spread_m: Sequence[float] | np.ndarray,
    ids: Sequence[int] | Ints = (),
    kinds: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> Named:
    size = len(names)
    return Named(
        list(names),
        [float(x) for x in x_m],
        [float(y) for y in y_m],
        [float(s) for s in spread_m] if len(spread_m) else [40.0] * size,
        [int(i) for i in ids] if len(ids) else list(range(size)),
        list(kinds) if len(kinds) else [""] * size,
        list(addresses) if len(addresses) else [""] * size,
    )
