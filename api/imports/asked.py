"""What an import is asked for and what it gives back, whoever asks: a command or the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd
from sqlalchemy.orm import Session

from dispatch.desk import Desk
from dispatch.following import Followed
from dispatch.handover import HandOver
from dispatch.place_changes import PlaceChange
from dispatch.rules_log import beginning
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput
from grid.models import HAND_OVERS

Progress = Callable[..., None]
# Who stands in the record for what a command did.
COMMAND = "system"


@dataclass(frozen=True, slots=True)
class Reading:
    """A file to be taken in, in the session of whoever keeps it or rolls it back; `now` is the moment of both.

    mapping: our field → their column · from_: a day or moment as written · hand_over: one of HAND_OVERS ·
    official: the days of a calendar are as published · channel: of reports that do not name one ·
    complete: the file has all of the kinds or levels that it holds.
    """

    session: Session
    desk: Desk
    file: Path
    now: datetime
    mapping: dict[str, str] | None = None
    layer: str | None = None
    crs: str | None = None
    from_: str | None = None
    hand_over: str = "offered"
    name: str | None = None
    official: bool = False
    channel: str = "system"
    complete: bool = False
    dry_run: bool = False
    actor: str = COMMAND
    step: Progress = lambda *_words: None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was taken: counts by name, refused rows, and where a kind has them faults of areas and incidents that change owner.

    placed: open incidents that would be placed otherwise · more: what only one kind has (the report of streets).
    """

    counts: dict[str, Any]
    refused: list[Any]
    faults: gpd.GeoDataFrame | None = None
    incidents: list[HandOver] = field(default_factory=list)
    placed: list[PlaceChange] = field(default_factory=list)
    more: Any = None


def datum_change(lon: Any, lat: Any, datum: str) -> Any:
    """The change of datum that the readers call for tables with a `datum` column."""
    return to_wgs84(lon, lat, datum)


def mapping_of(given: list[str] | None) -> dict[str, str] | None:
    """`our=their` pairs, separated by spaces or commas; BadInput `import.map_unreadable`."""
    pairs: dict[str, str] = {}
    for text in given or []:
        for pair in text.replace(",", " ").split():
            ours, equals, theirs = pair.partition("=")
            if not equals or not ours:
                raise BadInput("import.map_unreadable", field="--map", text=pair)
            pairs[ours] = theirs
    return pairs or None


def moment_of(written: str | None, zone: ZoneInfo, now: datetime) -> datetime:
    """The moment that `--from` names, midnight in the town for a date; BadInput `grids.date_unreadable`, `grids.date_past`."""
    if written is None:
        return now
    moment = pd.to_datetime(written, errors="coerce")
    if pd.isna(moment):
        raise BadInput("grids.date_unreadable", field="from", text=written)
    aware: datetime = (moment if moment.tzinfo else moment.tz_localize(zone)).to_pydatetime()
    if aware < now:
        raise BadInput("grids.date_past", field="from", text=written)
    return aware


def day_of(written: str | None, zone: ZoneInfo, now: datetime) -> datetime:
    """The beginning of a rule as written; BadInput `calendar.day_unreadable`, `rules.from_past`."""
    if written is None:
        return now
    try:
        return beginning(date.fromisoformat(written), zone, now)
    except ValueError as error:
        raise BadInput("calendar.day_unreadable", field="--from", day=written) from error


def hand_over_of(written: str) -> str:
    """One of HAND_OVERS; BadInput `hand_over.unknown`."""
    if written not in HAND_OVERS:
        known = ", ".join(HAND_OVERS)
        raise BadInput("hand_over.unknown", field="hand_over", text=written, known=known)
    return written


def counts_of(followed: Followed) -> dict[str, int]:
    """How many incidents went to another grid or person, and how many had nobody and went on."""
    return {
        "incidents_handed_over": len(followed.moved),
        "incidents_gone_on": len(followed.gone_on),
    }
