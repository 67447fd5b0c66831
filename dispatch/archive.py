"""Reports from a file: each goes through the story of intake; the file as a whole is doubted first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue
from dispatch.desk import Desk
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.placing import find_place
from dispatch.reports import Report
from grid.book import Ground
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput, Conflict, Trouble
from grid.core.values import dataclass
from grid.geocode.doubt import DefaultPoint, default_points
from grid.learning import add_default_points

ALIASES = {
    "lon": ("longitude", "lng", "x"),
    "lat": ("latitude", "y"),
    "address": ("location",),
}
TELL_EVERY = 500


@dataclass(frozen=True, slots=True)
class RefusedReport:
    """One row that was not taken: its line in the file (the header is line 1), code and values."""

    row: int
    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class ArchiveReport:
    """What an import of reports took, found in doubt and refused."""

    rows: int = 0
    taken: int = 0
    known_before: int = 0
    placed: int = 0
    waiting: int = 0
    default_points: list[DefaultPoint] = field(default_factory=list)
    default_point_rows: int = 0
    default_point_rows_elsewhere: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    refused: list[RefusedReport] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As printed."""
        return {
            "rows": self.rows,
            "taken": self.taken,
            "known_before": self.known_before,
            "placed": self.placed,
            "waiting": self.waiting,
            "default_points": [
                {"lon": p.lon, "lat": p.lat, "rows": p.rows, "texts": p.texts}
                for p in self.default_points
            ],
            "default_point_rows": self.default_point_rows,
            "default_point_rows_with_address": self.default_point_rows_elsewhere,
            "flags": dict(self.flags),
        }


def import_incidents(
    session: Session,
    desk: Desk,
    table: pd.DataFrame,
    channel: str,
    now: datetime,
    *,
    dry_run: bool,
    progress: Callable[..., None] | None = None,
) -> ArchiveReport:
    """Takes the rows of a table in; a dry run places them and writes nothing.

    Columns: channel, category, description, address, lon, lat, datum, external_id, occurred_at,
    reporter_name, reporter_phone; all may be absent. A point that many rows with different words
    share is a default, not a place: those rows are placed by their words alone. A row with a time
    in the past is taken in at that moment. Raises BadInput `import.no_report_columns`.
    """
    tell = progress or (lambda *_words: None)
    frame = _with_aliases(table)
    if not {"description", "address", "lon"} & set(frame.columns):
        known = ", ".join(map(str, table.columns))
        raise BadInput("import.no_report_columns", field="description", known=known)
    report = ArchiveReport(rows=len(frame))
    lon, lat = _numbers(frame, "lon"), _numbers(frame, "lat")
    # Addresses tell a default point; only a file without any is judged by what was said.
    words = _words(frame, "address" if "address" in frame else "description")
    ground, catalogue = desk.read(session)
    standing = _wgs84(frame, catalogue.channel(channel).datum, lon, lat)
    report.default_points = default_points(*standing, words.tolist())
    default = _is_default(report.default_points, *standing)
    if report.default_points and not dry_run:
        # What one archive has shown holds for every later report, single ones too.
        points = [(p.lon, p.lat) for p in report.default_points]
        add_default_points(session, points, "archive", now)
    report.default_point_rows = int(default.sum())
    report.default_point_rows_elsewhere = int((default & (words != "").to_numpy()).sum())
    for position, record in enumerate(frame.to_dict("records")):
        if position % TELL_EVERY == 0:
            tell(f"{position} / {len(frame)}")
        try:
            given = _report(record, channel, lon[position], lat[position], desk, now)
            if default[position]:
                report.flags["default_point"] += 1
                given = _without_point(given)
            moment = min(given.occurred_at or now, now)
            if dry_run:
                _place_only(session, desk, ground, catalogue, given, moment, report)
            else:
                _take(session, desk, given, moment, report)
        except Trouble as trouble:
            report.refused.append(RefusedReport(position + 2, trouble.code, trouble.values))
    return report


def _take(
    session: Session, desk: Desk, given: Report, moment: datetime, report: ArchiveReport
) -> None:
    with session.begin_nested():
        taken = take_in(session, desk, given, "import", moment)
    report.taken += taken.created
    report.known_before += not taken.created


def _place_only(
    session: Session,
    desk: Desk,
    ground: Ground | None,
    catalogue: Catalogue,
    given: Report,
    moment: datetime,
    report: ArchiveReport,
) -> None:
    """Where a row would lie, on the ground as it was read when the dry run began."""
    catalogue.channel(given.channel)
    catalogue.category(given.category)
    if ground is None:
        report.waiting += 1
        return
    texts = tuple(t for t in (given.address, given.description) if t)
    placed = find_place(session, ground, desk.settings, moment, given.point, texts)
    report.waiting += placed.waits
    report.placed += not placed.waits
    report.flags.update(placed.flags)


def _report(
    record: dict[Hashable, Any], channel: str, lon: float, lat: float, desk: Desk, now: datetime
) -> Report:
    text = {
        str(key): str(value).strip()
        for key, value in record.items()
        if not pd.isna(value) and str(value).strip()
    }
    point = None
    if not (np.isnan(lon) or np.isnan(lat)):
        point = GivenPoint(float(lon), float(lat), text.get("datum", "wgs84"))
    elif text.get("lon") or text.get("lat"):
        raise BadInput("import.point_unreadable", lon=text.get("lon"), lat=text.get("lat"))
    return Report(
        channel=text.get("channel", channel),
        description=text.get("description", ""),
        category=text.get("category"),
        address=text.get("address"),
        point=point,
        reporter_name=text.get("reporter_name"),
        reporter_phone=text.get("reporter_phone"),
        external_id=text.get("external_id"),
        occurred_at=_moment(text.get("occurred_at"), desk),
    )


def _without_point(given: Report) -> Report:
    if not (given.address or given.description):
        raise BadInput("import.default_point_only")
    return replace(given, point=None)


def _moment(written: str | None, desk: Desk) -> datetime | None:
    if not written:
        return None
    moment = pd.to_datetime(written, errors="coerce")
    if pd.isna(moment):
        raise BadInput("import.time_unreadable", field="occurred_at", text=written)
    aware = moment if moment.tzinfo else moment.tz_localize(desk.zone)
    result: datetime = aware.to_pydatetime()
    return result


def _with_aliases(table: pd.DataFrame) -> pd.DataFrame:
    renamed = {
        alias: ours
        for ours, aliases in ALIASES.items()
        if ours not in table
        for alias in aliases
        if alias in table
    }
    return table.rename(columns=renamed)


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)


def _words(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        return pd.Series([""] * len(frame), index=frame.index, dtype=object)
    return frame[name].fillna("").astype(str).str.strip()


def _wgs84(
    frame: pd.DataFrame,
    default_datum: str,
    lon: np.ndarray[Any, np.dtype[np.float64]],
    lat: np.ndarray[Any, np.dtype[np.float64]],
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Points in one datum, for the search of default points only; unknown datums stay as they are."""
    if "datum" not in frame:
        return lon, lat
    x, y = lon.copy(), lat.copy()
    for datum, rows in frame.groupby(frame["datum"].fillna(default_datum)).indices.items():
        try:
            x[rows], y[rows] = to_wgs84(lon[rows], lat[rows], str(datum))
        except (BadInput, Conflict):
            continue
    return x, y


def _is_default(
    points: list[DefaultPoint],
    lon: np.ndarray[Any, np.dtype[np.float64]],
    lat: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    found = np.zeros(len(lon), dtype=np.bool_)
    for point in points:
        found |= (np.abs(lon - point.lon) < 1e-6) & (np.abs(lat - point.lat) < 1e-6)
    return found
