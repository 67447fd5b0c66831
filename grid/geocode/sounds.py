"""How Chinese characters sound and look: toneless pinyin, sounds that are mixed up, characters that are mixed up."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import product

from pypinyin.constants import PINYIN_DICT

# Characters taken for each other at a glance; each group is mutual. Folded (simplified) forms.
_ALIKE = (
    "己已巳", "未末", "人入八", "士土", "太大犬", "天夭无", "千干于", "日曰目", "田由甲申", "王玉主", "牛午", "问间闻", "今令", "白自", "贝见",
    "辛幸", "兰三", "东车", "石右古", "免兔", "情清晴请睛", "园圆因困", "阳阴", "河何", "青责", "胜性", "永水", "建健", "设没", "滨宾", "湖潮",
    "侯候", "拨拔", "扬杨", "科料", "历厉", "治冶", "泊汩", "折拆", "壁璧", "梁粱", "徽微", "育盲", "宁宇", "字学", "荣劳", "常堂", "密蜜",
    "良艮", "仓仑", "北比", "西酉", "南商", "万方", "平半", "光先", "明朋", "和利", "安宴", "兴关", "复夏", "振震", "团困", "洁浩", "城域",
    "环坏", "华毕", "丰主", "泰秦", "秀季", "广厂", "顺须", "正止", "新亲", "迎仰", "桥娇", "林村", "柳抑", "松枞", "坪评", "港巷", "沿治",
    "龙尤", "凤风", "长卡", "民氏", "文交", "化北", "工土", "农衣", "朝潮", "学字", "府付", "前煎", "进近", "康庚", "仁仃", "义叉", "礼札",
)  # fmt: skip


@lru_cache(maxsize=1)
def _alike() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for group in _ALIKE:
        for c in group:
            table.setdefault(c, set()).update(group)
    return {c: frozenset(others) for c, others in table.items()}


def look_alike(a: str, b: str) -> bool:
    """True when two folded characters are easily taken for each other by eye."""
    return b in _alike().get(a, ())


@lru_cache(maxsize=30000)
def syllables(char: str) -> tuple[str, ...]:
    """Toneless readings of a character, most usual first; the character itself when it has none."""
    found = PINYIN_DICT.get(ord(char))
    if not found:
        return (char,)
    plain = (
        "".join(
            c
            for c in unicodedata.normalize("NFKD", s.replace("ü", "v"))
            if not unicodedata.combining(c)
        )
        for s in unicodedata.normalize("NFC", found).split(",")
    )
    return tuple(dict.fromkeys(plain))[:3]


@lru_cache(maxsize=4096)
def near(syllable: str) -> str:
    """A syllable with the usual mix-ups made equal: zh/z, ch/c, sh/s, n/l, ang/an, eng/en, ing/in, h/f before u, r/l."""
    s = syllable
    if s[:2] in ("zh", "ch", "sh"):
        s = s[0] + s[2:]
    elif s[:1] in ("n", "r") and len(s) > 1:
        s = "l" + s[1:]
    elif s[:2] == "hu" and len(s) > 2:
        s = "f" + s[2:]
    return s[:-1] if s.endswith(("ang", "eng", "ing")) else s


@lru_cache(maxsize=30000)
def near_syllables(char: str) -> tuple[str, ...]:
    """Readings of a character with mixed-up sounds made equal."""
    return tuple(dict.fromkeys(near(s) for s in syllables(char)))


def sound_keys(name: str, most: int = 6) -> list[str]:
    """Sound keys of a folded name, one for each combination of readings (at most `most`)."""
    keys: list[str] = []
    for readings in product(*(near_syllables(c) for c in name)):
        keys.append(" ".join(readings))
        if len(keys) >= most:
            break
    return keys


def same_sound(a: str, b: str) -> bool:
    """True when two characters share a toneless reading."""
    return bool(set(syllables(a)) & set(syllables(b)))


def near_sound(a: str, b: str) -> bool:
    """True when two characters share a reading once mixed-up sounds are equal."""
    return bool(set(near_syllables(a)) & set(near_syllables(b)))
