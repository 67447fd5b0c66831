"""What a street weighs in work: length x weight of its class x sides that somebody must serve.

The weights are this project's own starting values, said in metres of side of an ordinary residential street; no
standard fixes them. Every bureau has its own norms and gives them with `gridward divide --class-weight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from grid.core.errors import BadInput
from grid.division.network import Float64

CLASS_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "trunk": 1.5,  # swept by machine, few shops and bins, hard to reach
        "primary": 2.0,  # broad, watched, green strips, most shops
        "secondary": 1.6,
        "tertiary": 1.3,
        "residential": 1.0,  # the unit
        "service": 0.6,  # yards and drives
        "pedestrian": 1.5,  # shopping streets: swept by hand, many times a day
        "path": 0.4,
    }
)
"""Work on a metre of side, by class of street, against a residential street."""

TWO_SIDES, ONE_SIDE = 2.0, 1.0


def sides_served(form: str) -> float:
    """Sides of a line that somebody must serve: one of a dual carriageway's, else two.

    A dual carriageway is drawn as two lines and has two edges in all: each line is half of a road drawn once. The
    strip between them is counted with neither.
    """
    return ONE_SIDE if form == "dual" else TWO_SIDES


def class_weights(given: Mapping[str, float]) -> dict[str, float]:
    """The weights with some of them replaced.

    Raises BadInput `division.class_unknown`, `division.class_weight_invalid` for a weight that is negative or no number.
    """
    for class_, weight in given.items():
        if class_ not in CLASS_WEIGHTS:
            known = ", ".join(CLASS_WEIGHTS)
            raise BadInput(
                "division.class_unknown", field="class_weight", class_name=class_, known=known
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise BadInput(
                "division.class_weight_invalid",
                field="class_weight",
                class_name=class_,
                weight=weight,
            )
    return {**CLASS_WEIGHTS, **given}


def weighted_lengths(
    length_m: Float64, classes: list[str], forms: list[str], weights: Mapping[str, float]
) -> Float64:
    """Weight of each segment, weighted metres of side; a class without a weight counts as residential."""
    by_class = np.array([weights.get(c, weights["residential"]) for c in classes], dtype=np.float64)
    sides = np.array([sides_served(form) for form in forms], dtype=np.float64)
    return np.asarray(length_m * by_class * sides, dtype=np.float64)
