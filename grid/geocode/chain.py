"""The chain: from a text to an answer. The most exact way that finds something wins; rivals are weighed and shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from grid.geocode.finders import (
    find_community,
    find_crossing,
    find_facility,
    find_km_post,
    find_number,
    find_street,
)
from grid.geocode.findings import Finding, correction_of
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.lines import Point
from grid.geocode.model import Answer, Candidate, Correction
from grid.geocode.parsed import Parsed
from grid.geocode.places import find_place
from grid.geocode.spans import find_span
from grid.geocode.text import read

Finder = Callable[[Parsed, Gazetteer], Iterator[Finding]]
MOST_CANDIDATES = 8
_HINT = 0.25
"""How sure the crossing with a street that stands nearby is of an address."""
COUNTED_M, _COUNTED = 300.0, 0.45
"""How far a place may lie that is told by counted crossings, and how sure it is at most."""
_SUREST = 0.99
"""Nothing is surer; a correction takes from that."""
SAME_PLACE_M = 60.0
"""Findings nearer to each other than this are one place and no rivals."""

_EXACT: tuple[tuple[str, Finder], ...] = (
    ("km_post", find_km_post),
    ("span", find_span),
    ("facility", find_facility),
    ("crossing", find_crossing),
    ("number", find_number),
    ("place", find_place),
)


def geocode(text: str, gazetteer: Gazetteer, near: Point | None = None) -> Answer:
    """Where a text lies, in plane metres; `near` (x_m, y_m) prefers the nearer of places of the same name.

    Reasons: street.unknown, place.unknown, place.not_on_street, km_post.unknown, number.not_found,
    number.interpolated, number.lane_only, crossing.nearest_approach, crossing.streets_do_not_meet,
    offset.straight, offset.no_direction, offset.counted, span.ends_not_found, several_places, corrected, learned, no_place.
    """
    parsed = read(text, gazetteer)
    findings: list[Finding] = []
    reasons: list[str] = []
    for name, find in _EXACT:
        found = list(find(parsed, gazetteer))
        if found and (findings == [] or _best(found) > _best(findings) + 0.3):
            findings = found
        elif not found and (missing := _missing(name, parsed)):
            reasons.append(missing)
        if findings and _best(findings) > 0.15:
            break
    if parsed.street is not None and not parsed.street.ids:
        reasons.append("street.unknown")
    if parsed.cross is not None and not parsed.cross.ids:
        reasons.append("street.unknown")
    if not findings or (parsed.house is not None and _best(findings) < _HINT):
        findings = _hinted(parsed, gazetteer) or findings
    if not findings:
        findings = _fallback(parsed, gazetteer)
    if parsed.counted:
        # Which crossings people count nobody knows: it lies somewhere on from there, and a person decides.
        reasons.append("offset.counted")
        findings = [replace(f, sureness=f.sureness * _COUNTED, spread_m=max(COUNTED_M, f.spread_m)) for f in findings]  # fmt: skip
    return _answer(parsed, gazetteer, _ranked(findings, parsed, gazetteer, near), reasons)


def _best(findings: list[Finding]) -> float:
    return max(f.sureness * f.likeness for f in findings)


def _missing(name: str, parsed: Parsed) -> str:
    """The reason when what the text says could not be found in this way."""
    if name == "number" and parsed.house is not None:
        return "number.not_found"
    if name == "span" and parsed.span is not None:
        return "span.ends_not_found"
    if name == "place" and parsed.landmark is not None:
        return "place.unknown"
    if name == "km_post" and parsed.km_m is not None:
        return "km_post.unknown"
    return ""


def _hinted(parsed: Parsed, gazetteer: Gazetteer) -> list[Finding]:
    """The crossing with a street named beside the address (近华山路), where the number itself is not known."""
    for hint in parsed.hints:
        found = [
            replace(f, sureness=f.sureness * _HINT, spread_m=max(150.0, f.spread_m))
            for f in find_crossing(Parsed(street=parsed.street, cross=hint), gazetteer)
            if "crossing.streets_do_not_meet" not in f.reasons
        ]
        if found:
            return found
    return []


def _fallback(parsed: Parsed, gazetteer: Gazetteer) -> list[Finding]:
    """What is left when the exact place was not found: the street, the other street, the community."""
    found = list(find_street(parsed, gazetteer))
    missed = (
        parsed.house is not None
        or parsed.landmark is not None
        or parsed.cross is not None
        or parsed.span is not None
        or parsed.km_m is not None
    )
    if found:
        return [replace(f, sureness=f.sureness * (0.6 if missed else 1.0)) for f in found]
    for other in (parsed.cross, *parsed.hints):
        if other is not None:
            found = list(find_street(Parsed(street=other), gazetteer))
            if found:
                return [replace(f, sureness=f.sureness * 0.4) for f in found]
    return list(find_community(parsed, gazetteer))


def _ranked(
    findings: list[Finding], parsed: Parsed, gazetteer: Gazetteer, near: Point | None
) -> list[tuple[float, Finding]]:
    """(weight, finding), best first: how well the names fit, after the community said and the caller's point."""
    named = gazetteer.communities
    weighed: list[tuple[float, Finding]] = []
    for f in findings:
        weight = f.likeness * (1.0 if f.confirmed else 0.6) * (0.5 + 0.5 * f.sureness)
        if parsed.communities and f.match != "community":
            outside = min(
                math.dist(f.point, (named.x_m[c], named.y_m[c])) - max(300.0, named.spread_m[c])
                for c in parsed.communities
            )
            if outside > 0:
                weight *= 0.5 if outside < 1000 else 0.25
        if near is not None:
            weight /= 1.0 + math.dist(f.point, near) / 3000.0
        weighed.append((weight, f))
    weighed.sort(key=lambda w: (-w[0], w[1].label, w[1].point))
    return weighed


def _shares(ranked: list[tuple[float, Finding]], parsed: Parsed) -> list[float]:
    """For each finding the chance that it was the one meant, among its rivals and what is not in the gazetteer.

    Rivals count by the square of their weight, so that two alike get half each and a weak one hardly matters.
    Findings within SAME_PLACE_M of the best are no rivals. What is not in the gazetteer weighs the more, the less
    a name looks like what was typed, and the less else bears it out.
    """
    best_weight, best = ranked[0]
    unknown = (1.0 - best.likeness) * (0.1 if best.confirmed else 0.8)
    if (
        parsed.communities
        and best.match != "community"
        and best_weight
        < 0.55 * best.likeness * (1.0 if best.confirmed else 0.6) * (0.5 + 0.5 * best.sureness)
    ):
        unknown += best_weight  # said to lie in a community where it is not
    rivals = sum(w * w for w, f in ranked[1:] if math.dist(f.point, best.point) > SAME_PLACE_M)
    total = best_weight * best_weight + rivals + unknown * best_weight
    return [w * w / total if total else 0.0 for w, _ in ranked]


def _answer(
    parsed: Parsed, gazetteer: Gazetteer, ranked: list[tuple[float, Finding]], reasons: list[str]
) -> Answer:
    reading = parsed.reading()
    if not ranked:
        return Answer(
            "none", 0.0, None, None, reading, reasons=tuple(dict.fromkeys([*reasons, "no_place"]))
        )
    best = ranked[0][1]
    shares = _shares(ranked, parsed)
    confidence = min(best.sureness, _SUREST) * shares[0]
    if any(
        w > 0.6 * ranked[0][0] and math.dist(f.point, best.point) > SAME_PLACE_M
        for w, f in ranked[1:]
    ):
        reasons.append("several_places")
    corrections = _corrections(parsed, best)
    if corrections:
        reasons.append("corrected")
    street = best.street
    reasons.extend(best.reasons)
    kept = _distinct(
        [
            (share * min(f.sureness, _SUREST), f)
            for share, (_, f) in zip(shares, ranked, strict=True)
        ]
    )
    return Answer(
        best.match,
        round(min(confidence, 0.99), 3),
        best.point[0],
        best.point[1],
        reading,
        line=best.line,
        spread_m=round(best.spread_m, 1),
        street_id=gazetteer.street_ids[street] if street >= 0 else None,
        street=gazetteer.street_names[street] if street >= 0 else "",
        cross_street=gazetteer.street_names[best.cross] if best.cross >= 0 else "",
        place_id=gazetteer.places.ids[best.place]
        if best.place >= 0 and not best.learned_id
        else None,
        learned_id=best.learned_id or None,
        owner_street_id=_owner(best, gazetteer),
        segment_id=gazetteer.segment_ids[best.segment] if best.segment >= 0 else None,
        segments=tuple((gazetteer.segment_ids[s], round(m, 1)) for s, m in best.segments),
        side=best.side,
        corrections=corrections,
        reasons=tuple(dict.fromkeys(reasons)),
        candidates=tuple(_candidate(f, gazetteer, confidence) for confidence, f in kept),
    )


def _owner(best: Finding, gazetteer: Gazetteer) -> int | None:
    """The street that the words give the place to; at a crossing both are named, so that the nearest decides."""
    street = best.street
    if best.match == "crossing":
        return None
    if best.match == "crossing_offset":
        street = gazetteer.lines.street[best.segment] if best.segment >= 0 else -1
    return gazetteer.street_ids[street] if street >= 0 else None


def _corrections(parsed: Parsed, best: Finding) -> tuple[Correction, ...]:
    """What was taken for another word on the way to the answer given."""
    ends = [(e.street, None) for e in parsed.span if e.street is not None] if parsed.span else []
    said = [
        (parsed.street, best.street),
        (parsed.cross, best.cross),
        *((h, best.cross) for h in parsed.hints),
    ]
    found = [correction_of(ref, street) for ref, street in said if street >= 0]
    found += [ref.correction for ref, _ in ends if ref is not None]
    if best.place_correction is not None:
        found.append(best.place_correction)
    return tuple(dict.fromkeys(c for c in found if c is not None))


def _distinct(ranked: list[tuple[float, Finding]]) -> list[tuple[float, Finding]]:
    kept: list[tuple[float, Finding]] = []
    for confidence, f in ranked:
        if all(math.dist(f.point, k.point) > SAME_PLACE_M or f.label != k.label for _, k in kept):
            kept.append((confidence, f))
        if len(kept) >= MOST_CANDIDATES:
            break
    return kept


def _candidate(f: Finding, gazetteer: Gazetteer, confidence: float) -> Candidate:
    return Candidate(
        f.label,
        f.point[0],
        f.point[1],
        f.match,
        round(min(confidence, 0.99), 3),
        round(f.spread_m, 1),
        gazetteer.street_ids[f.street] if f.street >= 0 else None,
        gazetteer.places.ids[f.place] if f.place >= 0 and not f.learned_id else None,
    )
