"""A decision of the router as the record keeps it: what was read, where that is, who answers, by which rule, on which ground.

Whoever asks years later why an incident went to this person finds it in the line itself, whatever has changed since.
"""

from __future__ import annotations

from typing import Any

from dispatch.catalogue import CategoryFacts, ConditionFacts
from dispatch.placement import Placement
from dispatch.routing import Routed
from grid.core.values import dataclass

BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came in: the words, the place in words, the point with its datum."""

    description: str
    address: str | None
    point: tuple[float, float, str] | None


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who got it, in which post; `standing` says by which rule (holder, substitute, by_hand …)."""

    post: str | None
    person_id: int | None
    name: str | None
    standing: str | None
    in_place_of: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """The ground and the rules that were asked."""

    ground: int
    rules: int


def answerer_of(routed: Routed) -> Answerer:
    """Whom the router named; nobody where it waits."""
    found = routed.answering
    if found is None:
        return Answerer(routed.post, None, None, routed.queue)
    person = found.person
    return Answerer(routed.post, person.id, person.name, found.standing, found.in_place_of)


def decision(
    heard: Heard,
    geocoding: dict[str, Any],
    placement: Placement,
    category: CategoryFacts | None,
    condition: ConditionFacts | None,
    answerer: Answerer,
    reasons: list[dict[str, Any]],
    versions: Versions,
) -> dict[str, Any]:
    """The values of a history line: text, reading, candidates, place, grid, rule, person, reason, ground_version, rules_version."""
    located = placement.located
    return {
        "text": {
            "description": heard.description,
            "address": heard.address,
            "point": list(heard.point) if heard.point else None,
        },
        "reading": geocoding.get("reading", {}),
        "candidates": geocoding.get("candidates", []),
        "place": None
        if located is None or placement.waits
        else {
            "lon": placement.lon,
            "lat": placement.lat,
            "segment": located.segment_id,
            "street": located.street,
            "side": located.side,
            "distance_m": round(located.distance_m, 2),
        },
        "grid": located.grid.code if located and located.grid and not placement.waits else None,
        "rule": {
            "category": category.code if category else None,
            "condition": condition.code if condition else None,
            "limit": [condition.limit.value, str(condition.limit.unit)] if condition else None,
            "post": answerer.post,
            "by": answerer.standing,
            "in_place_of": answerer.in_place_of,
        },
        "person": None
        if answerer.person_id is None and answerer.unit is None
        else {"id": answerer.person_id, "name": answerer.name, "unit": answerer.unit},
        "reason": reasons,
        "ground_version": versions.ground,
        "rules_version": versions.rules,
    }
