"""How alike two reports are: scored, explained, shown to a person, and never acted on by itself.

Four signs: how near, how close in category, how close in time, and how alike the words. The score is their weighted
mean over the signs that are known, times nearness and kinship: far apart or of another class they are not duplicates,
however alike the words. A machine channel (camera, sensor) repeats itself: within its window it attaches to the open incident.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from grid.core.errors import BadInput
from grid.core.values import dataclass


@dataclass(frozen=True, slots=True)
class LikenessRules:
    """The bureau's settings. Within `sure_m` two points count as one place, from `reach_m` on as two.

    Times in hours: the sign falls by half every `half_life_hours`, nothing is compared beyond `window_hours`.
    `shown_from`: the score from which a pair is shown; `flagged_from`: from which an incident carries a flag for it.
    """

    sure_m: float = 15.0
    reach_m: float = 80.0
    half_life_hours: float = 24.0
    window_hours: float = 168.0
    shown_from: float = 0.5
    flagged_from: float = 0.75
    machine_m: float = 20.0
    machine_minutes: float = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """What is compared: a point on the plane in metres, category code ("" where nobody has said it), when it was seen
    (photo before report), words.
    """

    x_m: float
    y_m: float
    category: str
    seen_at: datetime
    text: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A score from 0 to 1 and the signs behind it; `kinship` and `words` None when one of the two says nothing of it."""

    number: str
    score: float
    distance_m: float
    place: float
    kinship: float | None
    time: float
    words: float | None


def likeness(one: Report, other: Report, rules: LikenessRules | None = None) -> Likeness:
    """Compare two reports; the same either way round. Raises BadInput time.naive."""
    return rank(one, [other], rules, at_least=-1.0)[0]


def rank(
    new: Report,
    known: Sequence[Report],
    rules: LikenessRules | None = None,
    at_least: float | None = None,
) -> list[Likeness]:
    """Known reports alike enough to be shown beside a new one, best first, ties by number.

    `at_least` None means the rules' `shown_from`. Raises BadInput time.naive.
    """
    settings = rules or LikenessRules()
    floor = settings.shown_from if at_least is None else at_least
    if not known:
        return []
    for report in (new, *known):
        if report.seen_at.tzinfo is None:
            raise BadInput("time.naive", "seen_at", at=report.seen_at.isoformat())
    distance_m = np.hypot(
        np.array([each.x_m for each in known]) - new.x_m,
        np.array([each.y_m for each in known]) - new.y_m,
    )
    hours = np.array([abs((each.seen_at - new.seen_at).total_seconds()) / 3600 for each in known])
    place = nearness(distance_m, settings)
    lately = np.where(
        hours <= settings.window_hours, 0.5 ** (hours / settings.half_life_hours), 0.0
    )
    found = [
        _weigh(each, new, float(distance_m[at]), float(place[at]), float(lately[at]))
        for at, each in enumerate(known)
    ]
    shown = [each for each in found if each.score >= floor]
    return sorted(shown, key=lambda each: (-each.score, each.number))


def nearness(distance_m: NDArray[np.float64], rules: LikenessRules) -> NDArray[np.float64]:
    """1 up to `sure_m`, falling in a straight line to 0 at `reach_m`."""
    span = max(rules.reach_m - rules.sure_m, 1e-9)
    return np.clip((rules.reach_m - distance_m) / span, 0.0, 1.0)


def kinship(one: str, other: str) -> float:
    """1 for the same category, 0.6 for the same class, else 0.2.

    Categories guessed by residents differ for one problem, so another class lowers the score but does not end it.
    """
    if one == other:
        return 1.0
    return 0.6 if one[:2] == other[:2] else 0.2


def alike_words(one: str, other: str) -> float | None:
    """Share of words in common, order and repetition left out; None when either text is empty.

    Han text is compared by pairs of signs, other text by words.
    """
    first, second = _pieces(one), _pieces(other)
    if not first or not second:
        return None
    spelled = fuzz.token_set_ratio(" ".join(sorted(first)), " ".join(sorted(second))) / 100
    shared = len(first & second) / min(len(first), len(second))
    return round((shared + spelled) / 2, 4)


def attaches(machine: Report, open_incident: Report, rules: LikenessRules | None = None) -> bool:
    """True when a machine's report belongs to an incident still open: same category, place and window."""
    settings = rules or LikenessRules()
    near = np.hypot(machine.x_m - open_incident.x_m, machine.y_m - open_incident.y_m)
    minutes = abs((machine.seen_at - open_incident.seen_at).total_seconds()) / 60
    return bool(
        machine.category == open_incident.category
        and near <= settings.machine_m
        and minutes <= settings.machine_minutes
    )


def _weigh(known: Report, new: Report, distance_m: float, place: float, lately: float) -> Likeness:
    kin = kinship(known.category, new.category) if known.category and new.category else None
    words = alike_words(known.text, new.text)
    signs = [(0.35, place), (0.15, lately)]
    if kin is not None:
        signs.append((0.3, kin))
    if words is not None:
        signs.append((0.2, words))
    mean = sum(weight * value for weight, value in signs) / sum(weight for weight, _ in signs)
    # A category that nobody has said yet weighs like one of the same class.
    gate = (1.0 if place and lately else 0.0) * (0.5 + 0.5 * (0.6 if kin is None else kin))
    score = round(mean * gate, 4)
    return Likeness(known.number, score, distance_m, place, kin, lately, words)


def _pieces(text: str) -> frozenset[str]:
    lowered = text.lower()
    kept = "".join(sign if sign.isalnum() else " " for sign in lowered)
    pieces: set[str] = set()
    for token in kept.split():
        if token.isascii():
            pieces.add(token)
        else:
            pieces.update(token[at : at + 2] for at in range(max(len(token) - 1, 1)))
    return frozenset(pieces)
