"""What a parser hands to the chain: the reading, and what its words stand for in this town."""

from __future__ import annotations

from dataclasses import field

from grid.core.values import dataclass
from grid.geocode.model import Correction, Reading
from grid.geocode.numbers import HouseNumber


@dataclass(frozen=True, slots=True)
class StreetRef:
    """A street as said. ids: dense street indices, empty when the town has no such street; likeness: of each id to what was typed."""

    text: str
    ids: tuple[int, ...] = ()
    likeness: float = 1.0
    correction: Correction | None = None
    rivals: tuple[StreetRef, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaceRef:
    """A place as said: what was read, the name it was found under, dense place indices."""

    text: str
    ids: tuple[int, ...] = ()
    likeness: float = 1.0
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class End:
    """One end of a stretch: a street, a house number, a kilometre post (metres) or a place."""

    text: str
    street: StreetRef | None = None
    house: HouseNumber | None = None
    km_m: int | None = None
    place: PlaceRef | None = None


@dataclass(slots=True)
class Parsed:
    """A text taken apart; `reading()` shows it as fields."""

    street: StreetRef | None = None
    cross: StreetRef | None = None
    house: HouseNumber | None = None
    landmark: PlaceRef | None = None
    facility: str = ""
    side: str = ""
    direction: str = ""
    offset_m: float | None = None
    span: tuple[End, End] | None = None
    km_m: int | None = None
    km_text: str = ""
    part: str = ""
    counted: bool = False  # 往南第二个路口: so many crossings on from what is named
    communities: tuple[int, ...] = ()
    hints: list[StreetRef] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def reading(self) -> Reading:
        """The fields of the table of address patterns."""
        return Reading(
            street=self.street.text if self.street else "",
            cross_street=self.cross.text if self.cross else "",
            house_number=self.house.text if self.house else "",
            landmark=self.landmark.text if self.landmark else self.facility,
            side=self.side,
            direction=self.direction or (self.part if self.part not in ("middle", "whole") else ""),
            offset_m=self.offset_m,
            span_from=self.span[0].text if self.span else "",
            span_to=self.span[1].text if self.span else "",
            km_post=self.km_text,
        )
