"""The plain values of geocoding: what goes in (a town's columns), what is read, what is answered.

All coordinates are plane metres (x east, y north) in the town's one metric CRS; ids are the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields

import numpy as np
from numpy.typing import NDArray

from grid.core.values import dataclass

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _no_floats() -> Floats:
    return np.empty(0, dtype=np.float64)


def _no_ints() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class GazetteerData:
    """A town's names and places as columns; lists or numpy arrays, equally long within a group.

    Segment lines are flattened: the points of segment i are
    `segment_xy[segment_offset[i]:segment_offset[i + 1]]`. -1 means none in every integer column.
    `plate_number` is the text as written (`76-3`, `32之1號`). `km_post_code` reads `K4+350`.
    """

    street_id: Sequence[int] | Ints = ()
    street_name: Sequence[str] = ()
    street_other_names: Sequence[Sequence[str]] = ()

    segment_id: Sequence[int] | Ints = ()
    segment_street: Sequence[int] | Ints = ()
    segment_xy: Floats = field(default_factory=lambda: np.empty((0, 2), dtype=np.float64))
    segment_offset: Sequence[int] | Ints = (0,)
    from_node: Sequence[int] | Ints = ()
    to_node: Sequence[int] | Ints = ()
    left_from: Sequence[int] | Ints = ()
    left_to: Sequence[int] | Ints = ()
    right_from: Sequence[int] | Ints = ()
    right_to: Sequence[int] | Ints = ()

    plate_street: Sequence[int] | Ints = ()
    plate_number: Sequence[str] = ()
    plate_x_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    plate_y_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    plate_segment: Sequence[int] | Ints = ()
    plate_side: Sequence[str] = ()

    place_id: Sequence[int] | Ints = ()
    place_name: Sequence[str] = ()
    place_other_names: Sequence[Sequence[str]] = ()
    place_kind: Sequence[str] = ()
    place_address: Sequence[str] = ()
    place_x_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    place_y_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    place_spread_m: Sequence[float] | Floats = field(default_factory=_no_floats)

    community_name: Sequence[str] = ()
    community_x_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    community_y_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    community_spread_m: Sequence[float] | Floats = field(default_factory=_no_floats)

    km_post_street: Sequence[int] | Ints = ()
    km_post_code: Sequence[str] = ()
    km_post_x_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    km_post_y_m: Sequence[float] | Floats = field(default_factory=_no_floats)

    facility_street: Sequence[int] | Ints = ()
    facility_code: Sequence[str] = ()
    facility_x_m: Sequence[float] | Floats = field(default_factory=_no_floats)
    facility_y_m: Sequence[float] | Floats = field(default_factory=_no_floats)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, field by field, as in the table of address patterns; empty text or None = not said."""

    street: str = ""
    cross_street: str = ""
    house_number: str = ""
    landmark: str = ""
    side: str = ""
    direction: str = ""
    offset_m: float | None = None
    span_from: str = ""
    span_to: str = ""
    km_post: str = ""

    def empty(self) -> bool:
        """True when the text holds no place at all."""
        return not any(getattr(self, f.name) for f in fields(self))


@dataclass(frozen=True, slots=True)
class Correction:
    """A word taken for another: `how` is homophone, near_sound, lookalike, missing, extra, other or typo."""

    typed: str
    taken: str
    how: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible place; a ranked tuple of them goes to a person who must choose."""

    label: str
    x_m: float
    y_m: float
    match: str
    confidence: float
    spread_m: float = 0.0
    street_id: int | None = None
    place_id: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a text lies.

    match: door_plate, interpolated, crossing, crossing_offset, place, span, km_post, street, community, none.
    confidence: 0..1, the share of such answers that are right. x_m, y_m: None when none. line: parts (N, 2) of
    spans and whole streets, else None. spread_m: radius in which the truth lies. segments: of a span, (segment id, metres of it), most first; segment_id is
    then the first of them. side: "left" or "right" of the
    segment as digitised, or "". owner_street_id: the street that answers for the place
    though another may run nearer: none at a crossing, beyond it the street walked along. reasons: stable codes. learned_id: the newest correction that knows this
    place, when people taught it. candidates: ranked, the answer itself first.
    """

    match: str
    confidence: float
    x_m: float | None
    y_m: float | None
    reading: Reading
    line: tuple[Floats, ...] | None = None
    spread_m: float = 0.0
    street_id: int | None = None
    street: str = ""
    cross_street: str = ""
    place_id: int | None = None
    segment_id: int | None = None
    segments: tuple[tuple[int, float], ...] = ()
    side: str = ""
    corrections: tuple[Correction, ...] = ()
    reasons: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    learned_id: int | None = None
    owner_street_id: int | None = None

    @property
    def needs_person(self) -> bool:
        """True when a person must decide: nothing was found, or the confidence is below PLACE_NEEDED_BELOW."""
        return self.x_m is None or self.confidence < PLACE_NEEDED_BELOW


PLACE_NEEDED_BELOW = 0.5
"""Answers less sure than this wait in the place-needed queue."""
