"""Addresses written in one column: the street and the house number taken apart."""

from __future__ import annotations

import re

_NUMBER = r"\d+(?:\s*[-–/~]\s*\d+)*[A-Za-z]?(?:\s+\d/\d)?"
# `150 SECOND ST`, `12-14 Main St`, `7½`-like halves written `7 1/2`.
_NUMBER_FIRST = re.compile(rf"^\s*(?P<number>{_NUMBER})\s*,?\s+(?P<street>[^\d\s].*?)\s*$")
# `Hauptstrasse 12`, `Rue de la Gare 4b`.
_NUMBER_LAST = re.compile(rf"^\s*(?P<street>[^\d\s].*?)\s*,?\s+(?P<number>{_NUMBER})\s*$")
# `永胜路12号`, `信義路三段100號`, `朝阳街15号附2号`: the number is what stands behind the street.
_CHINESE = re.compile(
    r"^\s*(?P<street>\S*?[路街道巷弄里段])\s*(?P<number>[0-9０-９][0-9０-９之附\-－号號弄]*)\s*$"
)


def split_address(written: str | None) -> tuple[str | None, str | None]:
    """Street and house number of one address; both None where it does not read as one.

    Number first (English), number last (European), or Chinese; a trailing 号 is left out.
    """
    if not written:
        return None, None
    for pattern in (_CHINESE, _NUMBER_FIRST, _NUMBER_LAST):
        found = pattern.match(written)
        if found:
            return found["street"], found["number"].rstrip("号號")
    return None, None
