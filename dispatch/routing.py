"""Place + category + crew → post, person and queue, with the reason; pure.

The stated order (DECISIONS.md): the grid that holds the segment's side owns the incident; the
category names the post; the post's holder answers, else the substitute, else the head of the
holder's unit, else the grid's leader, else the nearest leader above; why the holder does not is said. Without a category, a grid or anybody at all the incident
waits in a queue of the dispatcher, never nowhere.
"""

from __future__ import annotations

from dispatch.catalogue import CategoryFacts
from dispatch.placement import Placement
from dispatch.reasons import Reason, reason
from grid.core.values import dataclass
from grid.crews import Answering, Crew


@dataclass(frozen=True, slots=True)
class Routed:
    """Who answers, or the queue an incident waits in; the reasons in order."""

    post: str | None
    answering: Answering | None
    queue: str | None
    reasons: tuple[Reason, ...]


def route(placement: Placement, category: CategoryFacts | None, crew: Crew | None) -> Routed:
    """Names the post and the person for a placed report."""
    post = category.post if category else None
    located = placement.located
    if placement.waits or located is None:
        return Routed(post, None, "place_needed", ())
    reasons = [
        reason(
            "segment.nearest",
            street=located.street or "",
            segment=located.segment_id,
            side=located.side,
            distance_m=round(located.distance_m, 1),
        )
    ]
    if located.equal_ids:
        reasons.append(
            reason(
                f"segment.equal_{located.decided_by}",
                count=len(located.equal_ids),
                streets=list(located.equal_streets),
                segments=list(located.equal_ids),
            )
        )
    if located.grid is None:
        return Routed(post, None, "no_grid", (*reasons, reason("grid.none")))
    reasons.append(reason("grid.holds", grid=located.grid.code, name=located.grid.name))
    if not located.held_then:
        reasons.append(reason("grid.of_today"))
    if located.neighbour is not None:
        reasons.append(
            reason(
                "grid.border",
                grid=located.neighbour.code,
                farther_m=round((located.neighbour_distance_m or 0.0) - located.distance_m, 1),
            )
        )
    if category is None:
        return Routed(None, None, "category_needed", (*reasons, reason("category.none")))
    reasons.append(
        reason(
            "post.by_category",
            post=category.post,
            category=category.code,
            name_zh=category.name_zh,
            name_en=category.name_en,
        )
    )
    answering = crew.answering(category.post) if crew else None
    if answering is None:
        why = reason("person.none", post=category.post, grid=located.grid.code)
        return Routed(category.post, None, "no_person", (*reasons, why))
    if answering.because is not None:
        missed = answering.in_place_of or answering.person.name
        reasons.append(reason(f"person.{answering.because}", person=missed, post=category.post))
    reasons.append(
        reason(
            f"person.{answering.standing}",
            person=answering.person.name,
            in_place_of=answering.in_place_of or "",
            post=category.post,
        )
    )
    return Routed(category.post, answering, None, tuple(reasons))
