"""Reports over HTTP: the busiest way in. Those that come at the same time go it together, in one thread and one
transaction, and their answers read nothing again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import (
    NotSignedIn,
    Now,
    credentials,
    get_account,
    get_language,
    in_one_transaction,
    require,
)
from api.i18n import Language
from api.limits import limits_of
from api.routes.incidents import PROBLEMS, Shape
from api.schemas import IncidentIn, IncidentOut, incident_json
from api.services import Services
from api.together import Together
from dispatch import reading
from dispatch.intake import take_in_together
from dispatch.placement import GivenPoint
from dispatch.reports import Arrival, Report, Taken
from grid.core.errors import Trouble

LOG = logging.getLogger("gridward")


LONGEST_KEY = 200
# Read by hand: the framework's way of reading this one header costs twice what it does with the body.
_KEY = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": LONGEST_KEY},
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One request with a report, as it came."""

    request: Request
    asked: IncidentIn
    key: str | None
    language: Language
    now: datetime


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose sender is known and may report."""

    account: Account | None
    arrival: Arrival


def add_to(app: FastAPI) -> None:
    """Adds the way in to the application itself: through an included router each report is matched twice."""
    app.add_api_route(
        "/api/v1/incidents",
        report,
        methods=["POST"],
        status_code=201,
        response_model=IncidentOut,
        responses=PROBLEMS,
        openapi_extra={"parameters": [_KEY]},
        tags=["incidents"],
    )


async def report(asked: IncidentIn, request: Request, now: Now) -> Response:
    """Takes a report in and answers with place, grid, post, person, limit and the reason.

    The same `Idempotency-Key`, or the same `(channel, external_id)`, gives the same incident with
    status 200. Without an account only the channels open to all are taken, and no `external_id`.
    """
    together: Together[Sent, Response] = request.app.state.reports_together
    return await together.ask(Sent(request, asked, _key_of(request), get_language(request), now))


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and len(key) > LONGEST_KEY:
        said = f"String should have at most {LONGEST_KEY} characters"
        raise RequestValidationError(
            [{"type": "string_too_long", "loc": ("header", "idempotency-key"), "msg": said}]
        )
    return key


def reports_together(services: Services) -> Together[Sent, Response]:
    """Where the reports of one process are handed in."""
    return Together(partial(_answered, services))


def _answered(services: Services, sent: Sequence[Sent]) -> list[Response | Exception]:
    """The answer to each: all in one transaction, and whoever cannot share one in their own."""
    answers: list[Response | Exception | None] = [None] * len(sent)
    if len(sent) > 1:
        try:
            answers = in_one_transaction(services, lambda session: _taken(services, session, sent))
        except Exception as error:
            if _unsure(error):
                return [error] * len(sent)
            # Nothing was written, and it is the fault of one of them or of nobody: alone each gets what is theirs.
            LOG.warning("%d reports are taken in one by one: %s", len(sent), error)
    return [
        _alone(services, one) if answer is None else answer
        for one, answer in zip(sent, answers, strict=True)
    ]


def _unsure(error: Exception) -> bool:
    """Whether the database was not there, or was gone before it said what became of the transaction.

    Then it is for the senders to ask again, with their keys: what was committed after all would be there twice.
    """
    cause = getattr(error, "orig", error)
    if isinstance(cause, psycopg.OperationalError):
        return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))
    return isinstance(error, NoConnectionFree)


def _alone(services: Services, sent: Sent) -> Response | Exception:
    def taken(session: Session) -> Response:
        answer = _taken(services, session, [sent])[0]
        if not isinstance(answer, Response):
            raise answer or RuntimeError("a report that came alone was kept waiting")
        return answer

    try:
        return in_one_transaction(services, taken)
    except Exception as error:
        return error


def _taken(
    services: Services, session: Session, sent: Sequence[Sent]
) -> list[Response | Exception | None]:
    """Each one's answer, not committed; None for one that must be taken in alone."""
    answers: list[Response | Exception | None] = [None] * len(sent)
    admitted: dict[int, Admitted] = {}
    senders: dict[tuple[str | None, ...], Account | None] = {}
    for place, one in enumerate(sent):
        try:
            admitted[place] = _admitted(services, session, one, senders)
        except (Trouble, NotSignedIn) as refused:
            answers[place] = refused
    arrivals = [each.arrival for each in admitted.values()]
    outcomes = take_in_together(session, services.desk, arrivals) if arrivals else []
    for (place, each), outcome in zip(admitted.items(), outcomes, strict=True):
        if isinstance(outcome, Taken):
            answers[place] = _shown(services, session, sent[place], each.account, outcome)
        else:
            answers[place] = outcome
    return answers


def _admitted(
    services: Services,
    session: Session,
    sent: Sent,
    senders: dict[tuple[str | None, ...], Account | None],
) -> Admitted:
    """Who sends what; raises NotSignedIn, and what `require` and the limits raise.

    `senders`: those of the same batch, by what they came with: a system that reports much is looked up once.
    """
    shown = credentials(sent.request)
    if shown not in senders:
        senders[shown] = get_account(sent.request, session, sent.now)
    account = senders[shown]
    _may_report(sent.request, services, session, account, sent.asked)
    told = _as_told(sent.asked, services, session, _own_key(account, sent.asked, sent.key))
    who = f"account:{account.username}" if account else "anonymous"
    return Admitted(account, Arrival(told, who, sent.now))


def _shown(
    services: Services, session: Session, sent: Sent, account: Account | None, taken: Taken
) -> Response:
    shape = Shape(services, session, account, sent.language, sent.now)
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
