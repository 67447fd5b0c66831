"""House numbers as written on plates, and number ranges along a segment's two sides."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate, pairwise

_DIGITS = re.compile(r"\d+")
LARGEST_NUMBER = 99_999
"""A longer number is no house number (a postcode, a telephone)."""


def leading_number(text: str | None) -> int | None:
    """The first whole number in a house number as written, or None.

    Full-width digits count: "１２" -> 12, "12A" -> 12, "12-14" -> 12, "15附2" -> 15, "32之1號" -> 32.
    """
    if not text:
        return None
    found = _DIGITS.search(unicodedata.normalize("NFKC", text))
    number = int(found.group()) if found else None
    return number if number is not None and 0 < number <= LARGEST_NUMBER else None


def divide_range(first: int, last: int, lengths_m: list[float]) -> list[tuple[int, int] | None]:
    """Share out the numbers first..last over consecutive pieces in proportion to their lengths.

    Steps of two where both ends have one parity, else of one; a piece too short for a number gets
    None. Every number falls into exactly one piece, and the order of the range is kept.
    """
    step = 2 if (last - first) % 2 == 0 else 1
    step = step if last >= first else -step
    numbers = range(first, last + (1 if step > 0 else -1), step)
    total = sum(lengths_m) or 1.0
    cuts = [0, *(round(len(numbers) * part / total) for part in accumulate(lengths_m))]
    cuts[-1] = len(numbers)
    return [
        (numbers[begin], numbers[end - 1]) if end > begin else None for begin, end in pairwise(cuts)
    ]
