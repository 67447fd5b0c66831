"""Division: segments into connected, balanced responsibility grids; figures, names, and change with few hand-overs."""

from grid.division.divide import FRESH_CEILING, KEEP_CEILING, Division, divide, metis_alone
from grid.division.figures import DivisionFigures, disconnected, figures_of
from grid.division.naming import GridName, name_grids, reading_order
from grid.division.network import SegmentNetwork

__all__ = [
    "FRESH_CEILING",
    "KEEP_CEILING",
    "Division",
    "DivisionFigures",
    "GridName",
    "SegmentNetwork",
    "disconnected",
    "divide",
    "figures_of",
    "metis_alone",
    "name_grids",
    "reading_order",
]
