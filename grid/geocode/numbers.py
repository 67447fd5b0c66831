"""Numbers as people write them: Chinese numerals, full-width digits, house numbers with 号, 弄, 附, 之, halves."""

from __future__ import annotations

import re
from functools import lru_cache

from grid.core.values import dataclass

_DIGITS = {**{c: i for i, c in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2, "○": 0}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10000}
NUMERAL = "[0-9零〇一二三四五六七八九十百千万两]"
_ZH = "零一二三四五六七八九"


@lru_cache(maxsize=65536)
def number(text: str) -> int | None:
    """The whole number in digits or Chinese numerals (`106`, `一百零六`, `一百五`, `二三` = 23); None if it is none.

    `text` is folded already. `一百五` is 150, as spoken.
    """
    if text.isascii():
        return int(text) if text.isdigit() else None
    if any(c in "0123456789" for c in text):
        return None
    if not any(c in _UNITS for c in text):
        if not text or any(c not in _DIGITS for c in text):
            return None
        return int("".join(str(_DIGITS[c]) for c in text))
    total, digit, last_unit = 0, None, 10
    for c in text:
        if c in _DIGITS:
            if digit not in (None, 0):
                return None
            digit = _DIGITS[c]
            if digit == 0:
                last_unit = 10
        elif c in _UNITS:
            unit = _UNITS[c]
            total += (1 if digit is None else digit) * unit
            digit, last_unit = None, unit
        else:
            return None
    if digit:
        total += digit * (last_unit // 10 if last_unit > 10 and text[-2] in _UNITS else 1)
    return total


def chinese_numeral(value: int) -> str:
    """1..999 as written in names: 12 -> 十二, 106 -> 一百零六."""
    if value < 10:
        return _ZH[value]
    if value < 20:
        return "十" + (_ZH[value % 10] if value % 10 else "")
    if value < 100:
        return _ZH[value // 10] + "十" + (_ZH[value % 10] if value % 10 else "")
    rest = value % 100
    tail = (
        ""
        if not rest
        else (
            "零" + _ZH[rest]
            if rest < 10
            else _ZH[rest // 10] + "十" + (_ZH[rest % 10] if rest % 10 else "")
        )
    )
    return _ZH[value // 100] + "百" + tail


@dataclass(frozen=True, slots=True)
class HouseNumber:
    """A house number taken apart: lanes in front of it (`14巷`), the main number, a part after it.

    text: as the reading shows it (`76-3`, `15附2`, `2347弄26`). main/part order numbers along a street;
    part 0 = none. letter: `12A`. last: upper end of a range (`145-151`), else main.
    """

    text: str
    main: int
    part: int = 0
    letter: str = ""
    lanes: tuple[str, ...] = ()
    last: int = 0

    @property
    def key(self) -> str:
        """What door plates are looked up by; 之, 附 and - are the same."""
        core = f"{self.main}-{self.part}" if self.part else f"{self.main}"
        return "".join(self.lanes) + core + self.letter


_LANE = rf"({NUMERAL}+)(?:号)?(弄|巷|衖|支弄|胡同)"
_CORE = re.compile(
    rf"临?(?:第)?({NUMERAL}+)号?([a-z]?)(?:\s*(?:号之|号附|号-|附|之|-)\s*(?:第)?({NUMERAL}+|[甲乙丙丁]))?([a-z]?)(?:号|院)?"
)
_LANES = re.compile(_LANE)
_STEMS = {"甲": 1, "乙": 2, "丙": 3, "丁": 4}


@lru_cache(maxsize=8192)
def house_number(written: str, separator: str = "") -> HouseNumber | None:
    """A folded house number as written on a plate or in a text; None when it holds no number.

    `32之1号` -> main 32 part 1, `15号附2号` -> 15附2, `14巷7之4号` -> lane 14 then 7-4, `49 1/2` -> 49 part 1.
    """
    text = written.strip().rstrip("室").strip()
    lanes: list[str] = []
    position = 0
    while m := _LANES.match(text, position):
        value = number(m.group(1))
        if value is None:
            break
        lanes.append(f"{value}{m.group(2)}")
        position = m.end()
        if text[position : position + 1] == "-":
            position += 1
    m2 = _CORE.match(text, position)
    if m2 is None:
        if not lanes:
            return None
        value = int(re.match(r"\d+", lanes[-1]).group())  # type: ignore[union-attr]
        return HouseNumber(
            "".join(lanes),
            value,
            lanes=tuple(lanes[:-1]),
            letter=lanes[-1][len(str(value)) :],
            last=value,
        )
    main = number(m2.group(1))
    if main is None:
        return None
    letter = m2.group(2) or m2.group(4) or ""
    part_text = m2.group(3)
    part = 0
    if part_text:
        part = _STEMS.get(part_text) or number(part_text) or 0
    joined = m2.group(0)
    mark = "附" if "附" in joined else "之" if "之" in joined else "-"
    shown = "".join(lanes) + f"{main}" + (f"{mark}{part}" if part else "") + letter.upper()
    return HouseNumber(shown, main, part, letter, tuple(lanes), main)


_LATIN = re.compile(
    r"(\d+)\s*([a-z]{0,2})(?:\s+(1/2))?(?:\s*-\s*(\d+)\s*([a-z]?)(?:\s+1/2)?)?$", re.I
)


@lru_cache(maxsize=8192)
def latin_house_number(written: str) -> HouseNumber | None:
    """`12`, `12A`, `145-151` (a range: the first counts), `49 1/2`; None when it is none."""
    m = _LATIN.match(written.strip())
    if m is None:
        return None
    main = int(m.group(1))
    letter = (m.group(2) or "").lower()
    last = int(m.group(4)) if m.group(4) else main
    if last < main and m.group(4):  # 145-51 is 145-151 written short
        last = (
            int(str(main)[: -len(m.group(4))] + m.group(4))
            if len(m.group(4)) < len(str(main))
            else main
        )
    return HouseNumber(written.strip(), main, 1 if m.group(3) else 0, letter, (), max(last, main))
