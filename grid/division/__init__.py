"""Division: segments into connected, balanced responsibility grids; figures, names, and change with few hand-overs."""

from grid.division.divide import FRESH_CEILING, KEEP_CEILING, Division, divide, metis_alone
from grid.division.figures import DivisionFigures, disconnected, figures_of
from grid.division.naming import GridName, name_grids, reading_order
from grid.division.network import SegmentNetwork
from grid.division.weights import CLASS_WEIGHTS, class_weights, sides_served, weighted_lengths

__all__ = [
    "CLASS_WEIGHTS",
    "FRESH_CEILING",
    "KEEP_CEILING",
    "Division",
    "DivisionFigures",
    "GridName",
    "SegmentNetwork",
    "class_weights",
    "disconnected",
    "divide",
    "figures_of",
    "metis_alone",
    "name_grids",
    "reading_order",
    "sides_served",
    "weighted_lengths",
]
