"""When a notice may be sent: quiet hours, and the growing pauses between tries. Pure arithmetic."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from grid.core.errors import BadInput

Span = tuple[time, time]
WHOLE_DAY_STEPS = 3


@lru_cache(maxsize=256)
def parse_quiet_hours(written: str) -> tuple[Span, ...]:
    """`22:00-07:00,12:30-14:00` as spans of local time; a span may cross midnight; empty text is none.

    Raises BadInput `notice.quiet_hours_unreadable`.
    """
    spans: list[Span] = []
    for part in filter(None, (piece.strip() for piece in written.split(","))):
        try:
            start, end = (time.fromisoformat(moment.strip()) for moment in part.split("-"))
        except ValueError as error:
            raise BadInput(
                "notice.quiet_hours_unreadable", field="quiet_hours", written=written
            ) from error
        if start == end or start.tzinfo or end.tzinfo:
            raise BadInput("notice.quiet_hours_unreadable", field="quiet_hours", written=written)
        spans.append((start, end))
    return tuple(spans)


def quiet_until(spans: tuple[Span, ...], now: datetime, zone: ZoneInfo) -> datetime | None:
    """The end of the quiet time that `now` lies in; None when it may be loud.

    A span begins at its start and ends before its end; where one span ends in another, the later end
    counts.
    """
    moment, found = now, False
    for _ in range(WHOLE_DAY_STEPS * max(1, len(spans))):
        end = _end_of_span(spans, moment.astimezone(zone))
        if end is None:
            break
        moment, found = end, True
    return moment if found else None


def pause_after(attempts: int, pauses_s: tuple[float, ...]) -> timedelta | None:
    """How long to wait after so many failed tries; None: given up."""
    if attempts > len(pauses_s):
        return None
    return timedelta(seconds=pauses_s[attempts - 1])


def _end_of_span(spans: tuple[Span, ...], local: datetime) -> datetime | None:
    clock = local.time()
    for start, end in spans:
        inside = start <= clock < end if start < end else clock >= start or clock < end
        if inside:
            day = local.date() + timedelta(days=1 if start > end and clock >= start else 0)
            return datetime.combine(day, end, tzinfo=local.tzinfo)
    return None
