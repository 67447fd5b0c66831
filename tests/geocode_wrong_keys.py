"""Wrong keys put into real names, from a seed: homophones, missing characters, Latin typing mistakes."""

from __future__ import annotations

import random
import string
from collections import defaultdict

from pypinyin import Style, lazy_pinyin

# Usual characters of names, so that a homophone is one that an input method would really offer.
USUAL = (
    "永胜盛幸福富付府复夫中众忠钟重终种安按案仁人任信新心欣辛爱艾义易意一依医二而儿三散四似五武舞午伍六流刘七其期八巴九久酒路陆鹿录街接阶结杰"
    "大达成城程诚正政郑振震暖明名铭民敏文闻和河合何华话花划东冬动北背南难男西希息光广关公工功宫国果过海害湖胡虎建健见江将金今进近景静"
    "乐勒利立丽历龙隆平坪萍培裴七奇水睡泰太台同通童外歪万望旺祥香向晓小兴行星修秀学雪阳洋扬义仪宜银英迎勇源原远园圆云运泽振镇之知志自"
)


def homophones(letters: str) -> dict[str, list[str]]:
    """Toneless pinyin -> characters, over the usual ones and those given."""
    table: dict[str, list[str]] = defaultdict(list)
    for char in sorted({*USUAL, *letters}):
        table[lazy_pinyin(char, style=Style.NORMAL)[0]].append(char)
    return table


def with_homophone(name: str, table: dict[str, list[str]], rng: random.Random) -> str | None:
    """One character but the last replaced by another of the same sound; None when there is none."""
    places = list(range(len(name) - 1))
    rng.shuffle(places)
    for i in places:
        others = [c for c in table[lazy_pinyin(name[i], style=Style.NORMAL)[0]] if c != name[i]]
        if others:
            return name[:i] + rng.choice(others) + name[i + 1 :]
    return None


def with_missing(name: str, rng: random.Random) -> str:
    """One character left out."""
    i = rng.randrange(len(name))
    return name[:i] + name[i + 1 :]


def with_typo(name: str, rng: random.Random) -> str:
    """One letter wrong, missing, too many, or two changed about."""
    while True:
        i, kind = rng.randrange(len(name)), rng.choice("wmtx")
        if not name[i].isalpha():
            continue
        letter = rng.choice(string.ascii_lowercase)
        if kind == "w" and letter != name[i].lower():
            return name[:i] + letter + name[i + 1 :]
        if kind == "m":
            return name[:i] + name[i + 1 :]
        if kind == "t":
            return name[:i] + letter + name[i:]
        if kind == "x" and i + 1 < len(name) and name[i + 1].isalpha() and name[i] != name[i + 1]:
            return name[:i] + name[i + 1] + name[i] + name[i + 2 :]
