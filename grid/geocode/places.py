"""Named places: by name, narrowed by the street and the community that the text also names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from grid.geocode.findings import Finding, moved, options
from grid.geocode.fold import fold, has_cjk, latin_key
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.lines import COMPASS, Point
from grid.geocode.model import Correction
from grid.geocode.names import PLACE, Hit
from grid.geocode.parsed import Parsed, PlaceRef

ON_STREET_M = 150.0
"""A place further than this from a street is not "on" it."""
BY_KIND = 0.6
"""How well the bare word for a kind (菜市场) fits a place of that kind."""
MOST_OF_A_KIND = 60
LEARNED_SURE = (0.75, 0.85, 0.9)
"""How sure a place is that one, two or more corrections name."""
_GATE = re.compile(r"(东南|东北|西南|西北|[东南西北])(?:门|出口|入口|桥头)")
_BEARING = {
    "东": "east",
    "南": "south",
    "西": "west",
    "北": "north",
    "东南": "southeast",
    "东北": "northeast",
    "西南": "southwest",
    "西北": "northwest",
}


def place_ids(ref: PlaceRef, gazetteer: Gazetteer) -> list[tuple[int, float, Correction | None]]:
    """(dense place, likeness, correction) for a place as read: its own ids, else the name within one wrong key."""
    if ref.ids:
        return [(i, ref.likeness, ref.correction) for i in ref.ids]
    chinese = has_cjk(ref.text)
    key = fold(ref.text) if chinese else latin_key(ref.text)
    refs = gazetteer.chinese.refs if chinese else gazetteer.latin.refs
    for word in (key, *(_shorter(key) if chinese else ())):
        ids = Hit(0, 0, word, refs.get(word, ())).of(PLACE)
        if ids:
            return [(i, 0.95, None) for i in ids]
    kin = gazetteer.by_kind.get(key, ())
    if kin:
        # Said by its kind alone: of one in the town it may be meant, of several a person chooses.
        return [(i, BY_KIND, None) for i in kin[:MOST_OF_A_KIND]]
    spelling = gazetteer.chinese_spelling if chinese else gazetteer.latin_spelling
    found: list[tuple[int, float, Correction | None]] = [
        (i, meant.likeness, Correction(ref.text, gazetteer.places.name[i], meant.how))
        for meant in (spelling.meant([key])[0] if len(key) >= 3 else ())
        for i in Hit(0, 0, meant.key, refs[meant.key]).of(PLACE)
    ]
    return found[:8]


def _shorter(key: str) -> Iterator[str]:
    """The name without a gate, building or county word around it."""
    bare = re.sub(r"(?:[东南西北正后前侧大]门|\d+号门|\d+(?:栋|号楼).*|路口|站台|院内)$", "", key)
    if bare != key and len(bare) >= 2:
        yield bare
    if key[0] in "县市区" and len(key) > 3:
        yield key[1:]


def find_place(parsed: Parsed, gazetteer: Gazetteer) -> Iterator[Finding]:
    """Places called so; with a street in the text only those near it count as sure."""
    ref = parsed.landmark
    if ref is None:
        return
    named = gazetteer.places
    streets = list(options(parsed.street))
    found = place_ids(ref, gazetteer)
    for place, likeness, correction in found[:60]:
        point = (named.x_m[place], named.y_m[place])
        told = gazetteer.learned_times.get(place, 0)
        sure, street = (LEARNED_SURE[min(told, len(LEARNED_SURE)) - 1] if told else 0.9), -1
        reasons: tuple[str, ...] = ("learned",) if told else ()
        if parsed.street is not None and not streets:
            sure = 0.35  # it is said to lie on a street that this town does not have
        if streets:
            away, street = min((_distance(gazetteer, s, point), s) for s, _ in streets)
            if away > max(ON_STREET_M, named.spread_m[place] * 1.5):
                sure, street, reasons = sure * 0.5, -1, (*reasons, "place.not_on_street")
        gate = at_gate(_beside_name(ref.text, named.name[place]), point, named.spread_m[place])
        door = gazetteer.entrances.get(place) if gate == point else None
        segment, hand, at_door = -1, "", False
        if door is not None and street in (-1, door[0]):
            at_door = street == -1
            street, gate, segment, hand = door
        finding = Finding(
            "place",
            gate,
            sure,
            max(40.0, named.spread_m[place]),
            named.name[place],
            street=street,
            place=place,
            reasons=reasons,
            likeness=likeness,
            segment=segment,
            side=hand,
            confirmed=street >= 0 and not at_door,
            place_correction=correction,
            learned_id=-named.ids[place] if told else 0,
        )
        yield moved(finding, parsed, gazetteer)


def _beside_name(said: str, name: str) -> str:
    """What is said around a place's own name: the gate in 老东门 is not its east gate."""
    return fold(said).replace(fold(name), "", 1)


def at_gate(said: str, point: Point, spread_m: float) -> Point:
    """Toward the gate that is named (南门), as far as the place reaches."""
    m = _GATE.search(fold(said))
    if m is None:
        return point
    toward = COMPASS[_BEARING[m.group(1)]]
    step = min(spread_m * 0.7, 150.0)
    return (point[0] + toward[0] * step, point[1] + toward[1] * step)


def _distance(gazetteer: Gazetteer, street: int, point: Point) -> float:
    near = gazetteer.lines.nearest(point, street) if gazetteer.lines.of_street[street] else None
    if near is not None:
        return near[2]
    anchor = gazetteer.street_anchor(street)
    return math.inf if anchor is None else max(0.0, math.dist(anchor, point) - 400.0)
