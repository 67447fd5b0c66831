"""A report as it comes in, what becomes of it, and the columns of an incident that it fills by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dispatch.catalogue import CategoryFacts, ChannelFacts
from dispatch.desk import Known
from dispatch.placement import GivenPoint
from dispatch.standing import Standing
from grid.core.errors import BadInput
from grid.core.values import dataclass

LONGEST_TEXT = 10_000
# A report's clock may run a little ahead of ours, never more.
CLOCK_AHEAD = timedelta(minutes=10)
# Before it only a mistake of typing: no clock of a bureau reaches back so far.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Report:
    """What came in; `description` is what was said, `address` the place in words if it stands apart."""

    channel: str
    description: str
    category: str | None = None
    address: str | None = None
    point: GivenPoint | None = None
    reporter_name: str | None = None
    reporter_phone: str | None = None
    # How the reporter wants to hear of it: by sms or mail, in zh or en; none: not told.
    reporter_mail: str | None = None
    tell_by: str | None = None
    language: str | None = None
    external_id: str | None = None
    idempotency_key: str | None = None
    occurred_at: datetime | None = None
    # Found and fixed on the spot by this person (staff:ID): it waits as reported for the photographs and the move.
    fixed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report with who brought it and the moment it arrived."""

    report: Report
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JustTaken:
    """What is known of an incident that was taken in a moment ago, so that its answer reads nothing again.

    `known` is what it was decided by.
    """

    row: dict[str, Any]
    standing: Standing
    known: Known


@dataclass(frozen=True, slots=True)
class Taken:
    """The incident a report became; `created` False when the same report had come before, or a machine's was attached."""

    incident_id: int
    number: str
    created: bool
    # Where it is new: as `dispatch.reading` would give it, how it stands, and the rules it was taken in by.
    new: JustTaken | None = None


def check_report(report: Report, now: datetime) -> None:
    """Raises BadInput `report.…` for what cannot be a report: empty, too long, unreadable, of another time."""
    if not report.description.strip() and not (report.address or "").strip() and not report.point:
        raise BadInput("report.empty", field="description")
    addresses = {"sms": report.reporter_phone, "mail": report.reporter_mail}
    if report.tell_by is not None and not addresses.get(report.tell_by):
        raise BadInput("report.no_way_to_tell", field="reporter.tell_by", tell_by=report.tell_by)
    for name in ("description", "address", "external_id", "reporter_name", "reporter_phone"):
        written = getattr(report, name) or ""
        if len(written) > LONGEST_TEXT:
            raise BadInput("report.too_long", field=name, length=len(written), most=LONGEST_TEXT)
        if "\x00" in written:
            raise BadInput("report.unreadable", field=name)
    if report.occurred_at is not None and report.occurred_at > now + CLOCK_AHEAD:
        raise BadInput("report.in_future", field="occurred_at", at=report.occurred_at.isoformat())
    if report.occurred_at is not None and report.occurred_at < EARLIEST:
        raise BadInput("report.long_ago", field="occurred_at", at=report.occurred_at.isoformat())


def report_values(
    report: Report, channel: ChannelFacts, category: CategoryFacts | None, now: datetime
) -> dict[str, Any]:
    """An incident's columns of what came in."""
    return {
        "channel_code": channel.code,
        "external_id": report.external_id,
        "idempotency_key": report.idempotency_key,
        "category_code": category.code if category else None,
        "description": report.description,
        "address": report.address,
        "occurred_at": report.occurred_at or now,
        "reported_at": now,
        "given_lon": report.point.lon if report.point else None,
        "given_lat": report.point.lat if report.point else None,
        "given_datum": report.point.datum if report.point else None,
    }


def given_point(report: Report) -> tuple[float, float, str] | None:
    """The point as it came in, with its datum."""
    point = report.point
    return (point.lon, point.lat, point.datum) if point else None


def reporter_values(report: Report) -> dict[str, Any] | None:
    """The columns of whoever reported; None for an anonymous report."""
    if not (report.reporter_name or report.reporter_phone or report.reporter_mail):
        return None
    return {
        "name": report.reporter_name,
        "phone": report.reporter_phone,
        "mail": report.reporter_mail,
        "tell_by": report.tell_by,
        "language": report.language,
    }
