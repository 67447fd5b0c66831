"""What the intake of one database needs at hand: ground, catalogue, settings and the workflow's rules."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue, CatalogueBook, last_change
from dispatch.facts import Rules
from grid.book import Ground, GroundBook
from grid.change_counts import Marks
from grid.core.errors import BadInput, Conflict
from grid.core.settings import TownSettings
from grid.core.values import dataclass
from grid.town import town_and_marks, town_facts

STATIONS = frozenset({"operator", "watch_chief", "dispatcher", "unit_head", "collector"})


@dataclass(frozen=True, slots=True)
class Known:
    """What reports are decided by: the ground (None before any street), the rules, the counters they were read at."""

    ground: Ground | None
    catalogue: Catalogue
    marks: Marks | None


class Desk:
    """What the intake of one database needs at hand: ground, catalogue, settings and workflow rules."""

    def __init__(self, settings: TownSettings) -> None:
        self.settings = settings
        self.zone = ZoneInfo(settings.time_zone)
        self._ground = GroundBook()
        self._catalogue = CatalogueBook(settings)
        self._rules: tuple[Catalogue, Rules] | None = None

    def read(self, session: Session) -> tuple[Ground | None, Catalogue]:
        """The ground (None in a town without streets) and the catalogue as they stand."""
        try:
            ground = self._ground.read(session)
        except Conflict:
            return None, self._catalogue.read(session, (0, last_change(session)))
        town = ground.town
        return ground, self._catalogue.read(session, (town.ground_version, town.rules_version))

    def read_for_report(self, session: Session) -> Known:
        """`read`, and in the same statement the counters by which places are found in memory."""
        try:
            town, marks = town_and_marks(session)
        except Conflict:
            return Known(None, self._catalogue.read(session, (0, last_change(session))), None)
        ground = self._ground.read(session, town)
        rules = self._catalogue.read(session, (town.ground_version, town.rules_version))
        return Known(ground, rules, marks)

    def catalogue(self, session: Session) -> Catalogue:
        """The catalogue alone, for work that reads no words: the gazetteer is not built."""
        town = town_facts(session)
        return self._catalogue.read(session, (town.ground_version, town.rules_version))

    def rules(self, catalogue: Catalogue) -> Rules:
        """The workflow's rules by the bureau's settings: reports of untrusted channels wait for a person.

        Raises BadInput `settings.merged_stations`.
        """
        if self._rules is None or self._rules[0] is not catalogue:
            self._rules = catalogue, self._made_rules(catalogue)
        return self._rules[1]

    def _made_rules(self, catalogue: Catalogue) -> Rules:
        chosen = self.settings
        return Rules(
            also=dict(Rules().also) | merged_stations(chosen.merged_stations),
            verify_first=frozenset(c.code for c in catalogue.channels.values() if not c.trusted),
            unit_station=chosen.unit_station,
            check_needed=chosen.check_needed,
            separate_units=chosen.separate_units,
            photo_needed=chosen.photo_needed,
            rework=chosen.rework,
        )


def merged_stations(written: str) -> dict[str, frozenset[str]]:
    """Stations of one desk as `operator=watch_chief,dispatcher;dispatcher=unit_head`: the first also holds the others.

    Raises BadInput `settings.merged_stations`.
    """
    found: dict[str, frozenset[str]] = {}
    for part in filter(None, (p.strip() for p in written.split(";"))):
        holder, _, others = part.partition("=")
        names = frozenset(name.strip() for name in others.split(",") if name.strip())
        if holder.strip() not in STATIONS or not names or not names <= STATIONS:
            known = ", ".join(sorted(STATIONS))
            raise BadInput(
                "settings.merged_stations",
                field="GRIDWARD_MERGED_STATIONS",
                text=written,
                known=known,
            )
        found[holder.strip()] = names
    return found
