"""Points to their nearest segments by one stated rule, singly and in bulk."""

from grid.nearest.index import Nearest, SegmentIndex
from grid.nearest.rule import (
    EQUAL_M,
    LEFT,
    RIGHT,
    Choice,
    Measured,
    choose,
    locate_on,
    measure,
    nearest_of,
    side_of,
)

__all__ = [
    "EQUAL_M",
    "LEFT",
    "RIGHT",
    "Choice",
    "Measured",
    "Nearest",
    "SegmentIndex",
    "choose",
    "locate_on",
    "measure",
    "nearest_of",
    "side_of",
]
