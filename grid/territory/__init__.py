"""The ground each segment, side or grid owns: a gapless coverage of the town without overlaps."""

from grid.territory.checks import BadPart, bad_parts
from grid.territory.cover import Reserved, Territory, territory, territory_after
from grid.territory.trace import ground_of

__all__ = [
    "BadPart",
    "Reserved",
    "Territory",
    "bad_parts",
    "ground_of",
    "territory",
    "territory_after",
]
