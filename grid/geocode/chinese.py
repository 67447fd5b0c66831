"""Chinese text to its parts: names first, then numbers, then the words between them, in the order people speak."""

from __future__ import annotations

import re
from dataclasses import replace

from grid.geocode import words as w
from grid.geocode.corrected import corrected_streets, unknown_streets
from grid.geocode.fold import fold
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.km_posts import km_code
from grid.geocode.names import COMMUNITY, PLACE, STREET, Hit, scan_chinese
from grid.geocode.numbers import HouseNumber, house_number, number
from grid.geocode.parsed import End, Parsed, PlaceRef, StreetRef
from grid.geocode.relations import relate


class _Text:
    """A text under work: `typed` as written, `marked` with what was found overwritten by markers."""

    def __init__(self, typed: str) -> None:
        self.typed = typed
        self.folded = fold(typed)
        self.marked = self.folded
        self.streets: list[StreetRef] = []
        self.places: list[PlaceRef] = []
        self.communities: list[int] = []
        self.numbers: list[HouseNumber] = []
        self.kms: list[int] = []
        self.inside: list[StreetRef] = []

    def mark(self, start: int, end: int, char: str) -> None:
        self.marked = self.marked[:start] + char * (end - start) + self.marked[end:]

    def add_street(self, start: int, end: int, ref: StreetRef) -> None:
        if len(self.streets) < 0x3FF:
            self.streets.append(ref)
            self.mark(start, end, chr(w.STREET0 + len(self.streets) - 1))

    def street(self, char: str) -> StreetRef:
        return self.streets[ord(char) - w.STREET0]


def parse_chinese(typed: str, gazetteer: Gazetteer) -> Parsed:
    """Take a Chinese text apart; names in `Parsed` carry their dense indices."""
    text = _Text(typed)
    if "(" in text.folded:
        for bracket in (w.FORMER_RE, w.TOWARD_BRACKET_RE):
            for m in bracket.finditer(text.marked):
                text.mark(m.start(), m.end(), w.GONE)
    _find_names(text, gazetteer)
    plain = _plain(text)
    if plain is not None:
        return plain
    _find_road_codes(text, gazetteer)
    unknown_streets(text)
    corrected_streets(text, gazetteer)
    _find_km_posts(text)
    parsed = Parsed(communities=tuple(text.communities), hints=list(text.inside))
    if w.FACILITY_WORD_RE.search(text.marked):
        _find_facility(text, parsed)
    _find_numbers(text)
    rest = _structure(text, parsed)
    relate(rest, parsed)
    return parsed


def _plain(text: _Text) -> Parsed | None:
    """The commonest text, nothing but an area, a street and a number, read without the rest of the grammar."""
    if len(text.streets) != 1 or text.places or text.inside:
        return None
    m = w.PLAIN_RE.fullmatch(text.marked)
    house = house_number(m.group(2)) if m else None
    if m is None or house is None:
        return None
    return Parsed(street=text.streets[0], house=house, communities=tuple(text.communities))


def _find_names(text: _Text, gazetteer: Gazetteer) -> None:
    for hit in scan_chinese(gazetteer.chinese, text.marked):
        before = text.folded[hit.start - 1] if hit.start else ""
        after = text.folded[hit.end :]
        streets = hit.of(STREET)
        if streets:
            if w.SUBDISTRICT_AFTER_STREET.match(after):
                text.mark(hit.start, hit.end + 2, w.GONE)  # 长寿路街道 is an office, not a street
                continue
            if _is_part_of_a_name(hit, before, after):
                text.inside.append(StreetRef(text.typed[hit.start : hit.end], streets))
                continue
            text.add_street(hit.start, hit.end, StreetRef(text.typed[hit.start : hit.end], streets))
            continue
        places = hit.of(PLACE)
        if places and len(text.places) < 0x3FF:
            text.places.append(PlaceRef(text.typed[hit.start : hit.end], places))
            text.mark(hit.start, hit.end, chr(w.PLACE0 + len(text.places) - 1))
            continue
        communities = hit.of(COMMUNITY)
        if communities and len(text.communities) < 0x3FF:
            text.communities.extend(communities)
            text.mark(hit.start, hit.end, chr(w.COMMUNITY0))


def _is_part_of_a_name(hit: Hit, before: str, after: str) -> bool:
    """True when a street's name stands inside a longer name: 建设路小学, or 新路 in 迎新路."""
    if w.SCHOOL_AFTER_STREET.match(after) or re.match(
        r"(?:支路|支弄|[东南西北]巷|新村)(?!口)", after
    ):
        return True
    return (
        len(hit.key) <= 2
        and bool(before)
        and "\u4e00" <= before <= "\u9fff"
        and before not in "与和到至从自由在近区县市镇乡村里路街、往向"
    )


def _find_road_codes(text: _Text, gazetteer: Gazetteer) -> None:
    if not w.ASCII_LETTER_RE.search(text.marked):
        return
    for m in w.ROAD_CODE_RE.finditer(text.marked):
        if m.start() > 0 and text.marked[m.start() - 1] == "第":
            continue
        follows = text.marked[m.end() : m.end() + 3]
        named = m.group(0) != m.group(1)
        if not named and not re.match(r"k|\d+公里|\s|$|与|和", follows):
            continue
        code = m.group(1)
        refs = next(
            (
                r
                for key in (m.group(0), code, code + "线")
                if (r := gazetteer.chinese.refs.get(key))
            ),
            (),
        ) or gazetteer.latin.refs.get(code, ())
        ids = Hit(0, 0, code, refs).of(STREET)
        text.add_street(m.start(), m.end(), StreetRef(code.upper(), ids))


def _find_km_posts(text: _Text) -> None:
    if not w.KM_WORD_RE.search(text.marked):
        return
    for pattern in (w.KM_RE, w.KM_WORDS_RE):
        for m in pattern.finditer(text.marked):
            whole, rest = number(m.group(1)), number(m.group(2)) if m.group(2) else 0
            if whole is None or rest is None or len(text.kms) >= 0x3FF:
                continue
            metres = whole * 1000 + (int(m.group(2).ljust(3, "0")) if pattern is w.KM_RE else rest)
            text.kms.append(metres)
            text.mark(m.start(), m.end(), chr(w.KM0 + len(text.kms) - 1))


def _find_facility(text: _Text, parsed: Parsed) -> None:
    m = w.FACILITY_RE.search(text.marked)
    group = 1
    if m is None:
        m = w.FACILITY_BARE_RE.search(text.marked)
    if m is None:
        return
    before = text.marked[: m.start()]
    if not text.streets and before and not re.search("编号|杆号|号码|编码", m.group(0)):
        return
    if before and re.search(r"[\u4e00-\u9fff]$", before) and "第" in m.group(0):
        return  # 立交桥第12号桥墩: the pier belongs to the bridge's name
    parsed.facility = text.typed[m.start(group) : m.end(group)]
    text.mark(m.start(), m.end(), w.GONE)


def _find_numbers(text: _Text) -> None:
    """House numbers: right behind a street, or joined to another number; never 3号楼, 2号门, 12号线."""
    position = 0
    while len(text.numbers) < 0x3FF:
        m = w.NUMBER_RE.search(text.marked, position)
        if m is None:
            return
        position = max(m.end(), position + 1)
        before = text.marked[: m.start()].rstrip(" " + w.GONE)
        written = m.group(0)
        after = text.marked[m.end() :]
        last = before[-1:] or ""
        behind_street = "\ue000" <= last <= "\ue3ff"
        joined = (
            bool(last)
            and last in "与和到至-~、及"
            and "\uec00" <= (before[:-1].rstrip()[-1:] or "") <= "\uefff"
        )
        if not (behind_street or joined):
            if not (
                written.endswith(("号", "弄"))
                and (last in ("", ")") or not "\u4e00" <= last <= "\u9fff")
            ):
                continue
            if not text.streets:
                continue
        said_so = behind_street and written.endswith(("号", "弄"))
        other = w.NOT_A_HOUSE_AFTER if said_so else w.NOT_A_NUMBER_AFTER
        if other.match(after) and not after.startswith(("路口", "人行")):
            # 12号线, 5号楼; but 106弄3号楼 keeps its lane
            shorter = re.match(r".*?(?:弄|号)(?=.+)", written)
            if shorter is None or after.startswith(("米", "公里")):
                continue
            written = shorter.group(0)
        if not written.endswith(("号", "弄", "巷")) and not (
            (behind_street or joined) and written[0].isdigit()
        ):
            continue
        house = house_number(written.rstrip("-"))
        if house is None:
            continue
        text.numbers.append(house)
        text.mark(m.start(), m.start() + len(written), chr(w.NUMBER0 + len(text.numbers) - 1))
        position = m.start() + len(written)


def _structure(text: _Text, parsed: Parsed) -> str:
    """Street, crossing, number, span or landmark; returns the marked text behind the anchor, where relations stand."""
    marked = text.marked
    spanned = _span(text, parsed)
    if spanned is not None:
        return spanned
    first = re.search("[\ue000-\ue3ff]", marked)
    crossing = None
    at = 0
    while (m := w.CROSSING_RE.search(marked, at)) is not None:
        if text.street(m.group(1)).text != text.street(m.group(3)).text:
            crossing = m
            break
        at = m.start(3)  # a street said twice: 镇宁路，镇宁路和愚园路
    house = re.search("([\uec00-\uefff])\\1*", marked)
    kms = re.search("([\uf000-\uf3ff])\\1*处?", marked)
    if first is not None:
        parsed.street = text.street(first.group(0))
    if (
        crossing is not None
        and not (house and house.start() < crossing.start() + 1)
        and kms is None
    ):
        before_number = (
            house is not None
            and house.start() >= crossing.end()
            and not (crossing.group(2) or crossing.group(4))
        )
        if not before_number:
            parsed.street, parsed.cross = (
                text.street(crossing.group(1)),
                text.street(crossing.group(3)),
            )
            return marked[crossing.end() :]
        parsed.hints.append(text.street(crossing.group(1)))
        parsed.street = text.street(crossing.group(3))
    for char in dict.fromkeys(re.findall("[\ue000-\ue3ff]", marked)):
        ref = text.street(char)
        if parsed.street is not None and ref.text != parsed.street.text:
            parsed.hints.append(ref)
    if kms is not None:
        parsed.km_m = text.kms[ord(kms.group(1)) - w.KM0]
        parsed.km_text = km_code(parsed.km_m)
        return marked[kms.end() :]
    if house is not None and parsed.street is not None:
        parsed.house = text.numbers[ord(house.group(1)) - w.NUMBER0]
        owner = re.search("([\ue000-\ue3ff])[^\ue000-\ue3ff]*$", marked[: house.start()])
        if owner:
            parsed.street = text.street(owner.group(1))
        rest = marked[house.end() :]
        building = w.BUILDING_RE.search(rest)
        if building:
            start = house.end() + building.start()
            parsed.landmark = PlaceRef(text.typed[start : start + len(building.group(0))])
            return rest[building.end() :]
        name = re.match(rf"({w.LANDMARK})", rest)
        place = w.PLACE_RE.match(rest)
        found = place or name
        if found:
            parsed.landmark = _place(text, house.end() + found.start(), house.end() + found.end())
            return rest[found.end() :]
        return rest
    start = _after_street(marked, first) if first is not None else 0
    if parsed.facility:
        return marked[start:]
    return _landmark(text, parsed, start)


def _after_street(marked: str, first: re.Match[str]) -> int:
    end = first.end()
    while end < len(marked) and marked[end] == first.group(0):
        end += 1
    return end


def _span(text: _Text, parsed: Parsed) -> str | None:
    marked = text.marked
    # Their patterns try every name at every letter: without its word none of them can fit.
    gates = w.GATES_RE.search(marked) if "门" in marked else None
    if gates:
        head = re.search(rf"({w.PLACE_WITH_PARTS}|{w.LANDMARK})$", marked[: gates.start()])
        first = re.search("[\ue000-\ue3ff]", marked[: gates.start()])
        parsed.span = (_end(text, *gates.span(1)), _end(text, *gates.span(2)))
        parsed.landmark = _place(text, *head.span()) if head else None
        parsed.street = text.street(first.group(0)) if first else None
        return marked[gates.end() :]
    for pattern, word in ((w.SPAN_RE, w.SPAN_WORD_RE), (w.BETWEEN_RE, w.BETWEEN_WORD_RE)):
        if word.search(marked) is None:
            continue
        for m in pattern.finditer(marked):
            one, two = (m.span(2), m.span(3)) if pattern is w.SPAN_RE else (m.span(1), m.span(2))
            before = marked[: m.start()]
            main = re.search("[\ue000-\ue3ff]", before)
            if main is None and (joined := re.match("([\ue000-\ue3ff])\\1*(?!\\1)(?=[\ue000-\ue3ff])", marked[slice(*one)])):  # fmt: skip
                main, one = joined, (one[0] + joined.end(), one[1])  # 安远路常德路至胶州路
            between = marked[one[1] : two[0]]
            if pattern is w.SPAN_RE and main is None:
                said = bool(m.group(1)) or m.group(0).endswith(("段", "之间", "止", "区间"))
                ends_are_streets = all("\ue000" <= marked[a] <= "\ue3ff" for a, _ in (one, two))
                if not said and (ends_are_streets or re.search("[-~]", between)):
                    continue
            ends = (_end(text, *one), _end(text, *two))
            parsed.span = ends
            behind = w.MAIN_BEHIND_RE.match(marked, m.end()) if main is None else None
            if main is not None:
                parsed.street = text.street(main.group(0)[0])
            elif behind is not None:
                parsed.street = text.street(behind.group(1))
                return marked[behind.end() :]
            else:
                head = re.search(rf"({w.LANDMARK})$", before)
                if head:
                    parsed.landmark = _place(text, head.start(), head.end())
            return marked[m.end() :]
    return None


def _end(text: _Text, start: int, end: int) -> End:
    char, said = text.marked[start], text.typed[start:end]
    if "\ue000" <= char <= "\ue3ff":
        ref = text.street(char)
        return End(ref.text, street=ref)
    if "\uec00" <= char <= "\uefff":
        return End(said, house=text.numbers[ord(char) - w.NUMBER0])
    if "\uf000" <= char <= "\uf3ff":
        metres = text.kms[ord(char) - w.KM0]
        return End(km_code(metres), km_m=metres)
    return End(said, place=_place(text, start, end))


def _place(text: _Text, start: int, end: int) -> PlaceRef:
    """The place read at [start:end], with the gazetteer's place inside it if there is one."""
    said = text.typed[start:end]
    for i in range(start, end):
        if "\ue400" <= text.marked[i] <= "\ue7ff":
            return replace(text.places[ord(text.marked[i]) - w.PLACE0], text=said)
    return PlaceRef(said)


def _landmark(text: _Text, parsed: Parsed, start: int) -> str:
    """The first landmark in the clauses behind the street (or in the whole text); returns what follows it."""
    marked = text.marked
    position = start
    for clause in re.split(rf"(?<=[,;.!?])|(?<=\s)|(?<={w.GONE})", marked[start:]):
        noise = w.NOISE_START.match(clause)
        skip = noise.end() if noise else 0
        body = clause[skip:]
        place = w.PLACE_RE.search(body)
        found = place if place is not None and place.start() <= 8 else re.match(w.LANDMARK, body)
        if found is None and place is not None:
            found = place
        if found is not None:
            low = position + skip + found.start()
            high = position + skip + found.end()
            parsed.landmark = _place(text, low, high)
            return marked[high:]
        position += len(clause)
    return marked[start:]
