"""Words that people tied to a point by hand: taken into the gazetteer, and which words may be learned at all.

A correction stands behind everything that was imported: it never answers for a name or a number that is known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from grid.core.values import dataclass
from grid.geocode import words as w
from grid.geocode.chain import geocode
from grid.geocode.door_plates import by_plate
from grid.geocode.fold import TYPE_WORDS, fold, has_cjk
from grid.geocode.gazetteer import Gazetteer, LearnedPlate
from grid.geocode.latin_names import NOISE
from grid.geocode.lines import Point
from grid.geocode.names import PLACE, NameIndex, key_for, reference
from grid.geocode.numbers import NUMERAL, HouseNumber, house_number, latin_house_number
from grid.geocode.parsed import Parsed
from grid.geocode.places import LEARNED_SURE
from grid.geocode.text import read

ONE_PLACE_M = 100.0
"""Corrections of the same words nearer to each other than this bear each other out; farther apart they contradict."""
LONGEST_WORDS = 40
_EXACT = frozenset(("door_plate", "crossing", "km_post", "crossing_offset", "span"))
_EXACT_FROM = 0.8
_GENERIC = re.compile(
    rf"(?:{w.KINDS}|{w.SUB}|门口|门前|门外|楼下|楼上|院内|路边|街上|马路|旁边|附近|对面|隔壁|后面|前面|里面|外面|中间"
    rf"|这里|那里|这边|那边|那个|这个|一个|十字路口|红绿灯|交叉口|转角|拐角|巷子?|{NUMERAL}+|[东南西北上下左右前后内外大小新旁边侧处的我你他家们号楼门口路街]+)+"
)
_GENERIC_LATIN = frozenset(
    ["school", "park", "gate", "entrance", "exit", "market", "shop", "store", "house", "home", "library", "church", "bank", "station", "building", "bridge", "front", "behind", "back", "my", "our", "old", "new", "big", "small", "bus", "stop", "north", "south", "east", "west", "left", "right", "next", "door", "here", "there", "this", "that", "square", "garden", "hospital", "street"]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Learned:
    """One correction: words, or a street and a house number, and the point (plane metres) a person gave them."""

    id: int
    words: str
    x_m: float
    y_m: float
    street_id: int | None = None
    house_number: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a text can teach when a person places it: its words, with street and number when it is a door plate."""

    words: str
    street_id: int | None = None
    street: str = ""
    house_number: str = ""


def taught(base: Gazetteer, learned: Sequence[Learned]) -> Gazetteer:
    """A gazetteer with corrections, sharing all else with `base`; `base` itself when there are none.

    Their places have the negative of the newest correction's id as id.
    """
    if not learned:
        return base
    dense = {s: i for i, s in enumerate(base.street_ids)}
    names: dict[tuple[bool, str], list[Learned]] = {}
    plates: dict[tuple[int, str, str], list[Learned]] = {}
    for each in sorted(learned, key=lambda one: one.id):
        street = dense.get(each.street_id, -1) if each.street_id is not None else -1
        if each.house_number and street >= 0:
            house = _house(each.house_number)
            if house is not None:
                plates.setdefault((street, "".join(house.lanes), house.key), []).append(each)
        elif not each.house_number:
            names.setdefault(key_for(each.words), []).append(each)
    places = base.places
    known = replace(
        places,
        name=[*places.name],
        x_m=[*places.x_m],
        y_m=[*places.y_m],
        spread_m=[*places.spread_m],
        ids=[*places.ids],
        kind=[*places.kind],
        address=[*places.address],
    )
    times: dict[int, int] = {}
    added: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
    for (chinese, key), same in names.items():
        for group in _groups(same):
            index = len(known.name)
            x, y = _middle(group)
            known.name.append(group[-1].words)
            known.x_m.append(x)
            known.y_m.append(y)
            known.spread_m.append(40.0)
            known.ids.append(-group[-1].id)
            known.kind.append("learned")
            known.address.append("")
            times[index] = len(group)
            added[chinese].append((key, reference(PLACE, index)))
    return replace(
        base,
        places=known,
        chinese=_with(base.chinese, added[True], chinese=True),
        latin=_with(base.latin, added[False], chinese=False),
        learned_times=times,
        learned_plates={key: _plate(same) for key, same in plates.items()},
    )


def sureness(times: int) -> float:
    """How sure a place is that so many corrections agree on."""
    return LEARNED_SURE[min(times, len(LEARNED_SURE)) - 1]


def lesson(text: str, gazetteer: Gazetteer) -> Lesson | None:
    """What a text teaches when a person gives it a point; None when its words are exact already, moved or not specific.

    A number on a known street teaches a door plate; a landmark or a number on an unknown street teaches its words.
    """
    parsed = read(text, gazetteer)
    answer = geocode(text, gazetteer)
    if answer.match in _EXACT and answer.confidence >= _EXACT_FROM and not answer.learned_id:
        return None
    if (
        parsed.counted
        or parsed.offset_m
        or parsed.direction
        or parsed.side == "opposite"
        or parsed.span is not None
    ):
        return None
    if parsed.house is not None and parsed.street is not None and parsed.cross is None:
        return _number_lesson(parsed, text, gazetteer)
    if parsed.landmark is None or parsed.cross is not None:
        return None
    if any(place not in gazetteer.learned_times for place in parsed.landmark.ids):
        return None
    said = parsed.landmark.text.strip()
    return Lesson(said) if specific(said) and not known_name(said, gazetteer) else None


def _number_lesson(parsed: Parsed, text: str, gazetteer: Gazetteer) -> Lesson | None:
    if parsed.street is None or parsed.house is None:
        return None
    ids = parsed.street.ids
    if parsed.street.correction is not None or parsed.street.rivals or len(ids) > 1:
        return None  # which street was meant is itself a guess
    if len(ids) == 1:
        if by_plate(gazetteer.plates, ids[0], parsed.house) is not None:
            return None
        name = gazetteer.street_names[ids[0]]
        return Lesson(
            f"{name}{parsed.house.text}", gazetteer.street_ids[ids[0]], name, parsed.house.text
        )
    folded, start = fold(text), fold(text).find(fold(parsed.street.text))
    tail = re.match(rf"{NUMERAL}+[号弄]", folded[start + len(parsed.street.text) :])
    if start < 0 or tail is None:
        return None
    said = text[start : start + len(parsed.street.text) + tail.end()]
    return Lesson(said) if not known_name(said, gazetteer) else None


def specific(words: str) -> bool:
    """Whether words can stand for one place of a town: not 门口, not 小区, not "the park"."""
    said = words.strip()
    if not 2 <= len(said) <= LONGEST_WORDS:
        return False
    if has_cjk(said):
        return _GENERIC.fullmatch(fold(said).replace(" ", "")) is None
    plain = [
        each
        for each in re.findall(r"[^\W\d_]+", said.lower())
        if each not in NOISE and each not in TYPE_WORDS and each not in _GENERIC_LATIN
    ]
    return any(len(each) >= 3 for each in plain)


def known_name(words: str, gazetteer: Gazetteer) -> bool:
    """Whether the town itself calls something so, apart from what was learned."""
    chinese, key = key_for(words)
    refs = (gazetteer.chinese if chinese else gazetteer.latin).refs.get(key, ())
    learned = {reference(PLACE, index) for index in gazetteer.learned_times}
    return any(ref not in learned for ref in refs)


def _house(text: str) -> HouseNumber | None:
    return (
        house_number(fold(text))
        if has_cjk(text)
        else latin_house_number(text) or house_number(fold(text))
    )


def _groups(same: list[Learned]) -> list[list[Learned]]:
    """Corrections of the same words, together as far as they bear each other out."""
    groups: list[list[Learned]] = []
    for each in same:
        near = next(
            (g for g in groups if math.dist(_middle(g), (each.x_m, each.y_m)) <= ONE_PLACE_M), None
        )
        if near is None:
            groups.append([each])
        else:
            near.append(each)
    return groups


def _middle(group: Sequence[Learned]) -> Point:
    return (sum(e.x_m for e in group) / len(group), sum(e.y_m for e in group) / len(group))


def _plate(same: list[Learned]) -> LearnedPlate:
    """A learned door plate; corrections that contradict each other make it unsure."""
    groups = _groups(same)
    best = max(groups, key=lambda group: (len(group), group[-1].id))
    apart = max(math.dist(_middle(a), _middle(b)) for a in groups for b in groups)
    sure = sureness(len(best)) if len(groups) == 1 else 0.3
    return LearnedPlate(best[-1].id, _middle(best), sure, max(25.0, apart))


def _with(index: NameIndex, entries: Iterable[tuple[str, int]], *, chinese: bool) -> NameIndex:
    """An index with more names; the one given is not changed."""
    more = NameIndex(dict(index.refs), dict(index.heads))
    for key, ref in entries:
        if len(key) < 2:
            continue
        more.add(key, ref)
        first, _, rest = key.partition(" ")
        head = key[:2] if chinese else first
        size = len(key) if chinese else (rest.count(" ") + 2 if rest else 1)
        more.heads[head] = tuple(sorted({*more.heads.get(head, ()), size}, reverse=True))
    return more
