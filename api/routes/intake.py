"""Reports over HTTP: the busiest way in, so the whole of it runs in one thread, and its answer reads nothing again."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import (
    NotSignedIn,
    Now,
    get_account,
    get_language,
    get_services,
    in_one_thread,
    require,
)
from api.limits import limits_of
from api.routes.incidents import PROBLEMS, Shape
from api.schemas import IncidentIn, IncidentOut, incident_json
from api.services import Services
from dispatch import reading
from dispatch.intake import Report, take_in
from dispatch.placing import GivenPoint

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


@router.post("", status_code=201, response_model=IncidentOut, responses=PROBLEMS)
async def report(
    asked: IncidentIn,
    request: Request,
    now: Now,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Takes a report in and answers with place, grid, post, person, limit and the reason.

    The same `Idempotency-Key`, or the same `(channel, external_id)`, gives the same incident with
    status 200. Without an account only the channels open to all are taken, and no `external_id`.
    """

    services, language = get_services(request), get_language(request)

    def taken_in(session: Session) -> Response:
        account = get_account(request, session, now)
        _may_report(request, services, session, account, asked)
        who = f"account:{account.username}" if account else "anonymous"
        told = _as_told(asked, services, session, _own_key(account, asked, idempotency_key))
        taken = take_in(session, services.desk, told, who, now)
        shape = Shape(services, session, account, language, now)
        if taken.new is not None:
            shown = shape.new(taken.new)
        else:
            shown = shape.whole(reading.one_incident(session, taken.number))
        return Response(
            incident_json(shown),
            status_code=201 if taken.created else 200,
            headers={"Location": f"/api/v1/incidents/{taken.number}"},
            media_type="application/json",
        )

    return await in_one_thread(request, taken_in)


def _as_told(asked: IncidentIn, services: Services, session: Session, key: str | None) -> Report:
    """A report as intake takes it; a point without a datum is in its channel's."""
    point = None
    if asked.location:
        datum = asked.location.datum
        if not datum:
            _, rules = services.desk.read(session)
            datum = rules.channel(asked.channel).datum
        point = GivenPoint(asked.location.lon, asked.location.lat, datum or "wgs84")
    reporter = asked.reporter
    return Report(
        channel=asked.channel,
        description=asked.description,
        category=asked.category,
        address=asked.address,
        point=point,
        reporter_name=reporter.name if reporter else None,
        reporter_phone=reporter.phone if reporter else None,
        reporter_mail=reporter.mail if reporter else None,
        tell_by=reporter.tell_by if reporter else None,
        language=reporter.language if reporter else None,
        external_id=asked.external_id,
        idempotency_key=key,
        occurred_at=asked.occurred_at,
    )


def _own_key(account: Account | None, asked: IncidentIn, key: str | None) -> str | None:
    """A key belongs to its sender: nobody reads another's incident, or is kept out by it, for having the same key.

    Senders without an account cannot be told apart, so theirs belongs to what they report.
    """
    if not key:
        return None
    if account is not None:
        return f"account:{account.id}|{key}"
    said = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
    return f"anonymous:{said}|{key}"


def _may_report(
    request: Request,
    services: Services,
    session: Session,
    account: Account | None,
    asked: IncidentIn,
) -> None:
    if account is not None:
        require(account, "report")
        return
    _, rules = services.desk.read(session)
    # An external id counts for everybody: who could give one could read, or keep out, what a system reports by it.
    if not rules.channel(asked.channel).open_to_all or asked.external_id is not None:
        raise NotSignedIn
    limits_of(request).open_report(request)
