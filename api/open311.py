"""`/open311/v2`: GeoReport v2 (wiki.open311.org/GeoReport_v2), in XML and JSON, for cities' apps and portals.

Whoever asks needs no account; an access token as `api_key` spares a program the limit of reports without one. What
residents reported through the channels open to all is listed without their words, names or photographs, its place to
about ten metres. Errors have the form of GeoReport, with our stable code beside the sentence.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from api.auth import account_of
from api.deps import DbSession, Lang, Now, ServicesDep, require
from api.i18n import Language, translate
from api.limits import limits_of
from api.open311_form import Ending, GeoReportRoute, answer
from api.pages.public import ANYBODY
from api.resident_links import page_of
from dispatch.catalogue import Catalogue, CategoryFacts
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.published import PublishedFilter, published
from dispatch.reports import Report
from grid.core.errors import BadInput, NotAllowed, NotFound

CHANNEL = "citizen"
# GeoReport v2: without a span of time the last 90 days, at most 1,000 requests in an answer.
SPAN = timedelta(days=90)
MOST = 1000
MOST_NUMBERS = 200
_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


def _open(services: ServicesDep) -> None:
    if not services.settings.web.open311:
        raise NotFound("open311.closed")


router = APIRouter(
    prefix="/open311",
    include_in_schema=False,
    route_class=GeoReportRoute,
    dependencies=[Depends(_open)],
)


@router.get("/discovery.{ending}")
def discovery(ending: Ending, request: Request, services: ServicesDep, language: Lang) -> Response:
    """Where the service is, in which versions and formats."""
    base = services.settings.notices.public_url or str(request.base_url)
    endpoint = {
        "specification": "http://wiki.open311.org/GeoReport_v2",
        "url": f"{base.rstrip('/')}/open311/v2",
        "type": "production",
        "formats": ["application/json", "text/xml"],
    }
    found = {
        "changeset": "2026-11-23T00:00:00Z",
        "contact": translate(language, "app.name"),
        "key_service": f"{base.rstrip('/')}/account",
        "endpoints": [endpoint],
    }
    return answer(ending, found, "discovery")


@router.get("/v2/services.{ending}")
def service_list(
    ending: Ending, session: DbSession, services: ServicesDep, language: Lang, now: Now
) -> Response:
    """The categories that a report may have."""
    rules = services.desk.catalogue(session)
    return answer(
        ending, [_service(each, language) for each in rules.open_categories(now)], "services"
    )


@router.get("/v2/services/{code}.{ending}")
def service_definition(
    code: str, ending: Ending, session: DbSession, services: ServicesDep, now: Now
) -> Response:
    """One category; none asks for more than the words, the place and a photograph."""
    known = {each.code for each in services.desk.catalogue(session).open_categories(now)}
    if code not in known:
        raise NotFound("category.unknown", field="service_code", category=code)
    return answer(ending, {"service_code": code, "attributes": []}, "service_definition")


@router.post("/v2/requests.{ending}")
def report(
    ending: Ending,
    request: Request,
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    service_code: Annotated[str, Form(max_length=40)] = "",
    lat: Annotated[float | None, Form(ge=-90, le=90)] = None,
    long: Annotated[float | None, Form(ge=-180, le=180)] = None,
    address_string: Annotated[str, Form(max_length=1000)] = "",
    description: Annotated[str, Form(max_length=4000)] = "",
    first_name: Annotated[str, Form(max_length=100)] = "",
    last_name: Annotated[str, Form(max_length=100)] = "",
    phone: Annotated[str, Form(max_length=40)] = "",
    email: Annotated[str, Form(max_length=200)] = "",
    media_url: Annotated[str, Form(max_length=1000)] = "",
    api_key: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Takes a report in as a resident's; answers with its number and where it can be followed."""
    who = _sender(request, session, api_key, now)
    if not service_code.strip():
        raise BadInput("open311.service_needed", field="service_code")
    if (lat is None) != (long is None) or (lat is None and not address_string.strip()):
        raise BadInput("open311.place_needed", field="lat")
    # A photograph elsewhere is not fetched: its address stays with the words, for whoever looks into it.
    words = "\n".join(part for part in (description.strip(), media_url.strip()) if part)
    taken = take_in(
        session,
        services.desk,
        Report(
            channel=CHANNEL,
            description=words,
            category=service_code.strip(),
            address=address_string.strip() or None,
            point=None if lat is None or long is None else GivenPoint(long, lat, "wgs84"),
            reporter_name=" ".join(p.strip() for p in (first_name, last_name) if p.strip()) or None,
            reporter_phone=phone.strip() or None,
            reporter_mail=email.strip() or None,
            tell_by="mail" if email.strip() else "sms" if phone.strip() else None,
            language=language,
        ),
        who,
        now,
    )
    followed = page_of(services.settings.database.home_folder, taken.number)
    base = services.settings.notices.public_url or str(request.base_url)
    found = {
        "service_request_id": taken.number,
        "service_notice": translate(
            language, "open311.notice", address=f"{base.rstrip('/')}{followed}"
        ),
        "account_id": None,
    }
    return answer(ending, [found], "requests", status=201)


@router.get("/v2/requests.{ending}")
def request_list(
    ending: Ending,
    session: DbSession,
    services: ServicesDep,
    language: Lang,
    now: Now,
    service_request_id: Annotated[str, Query(max_length=10_000)] = "",
    service_code: Annotated[str, Query(max_length=4000)] = "",
    start_date: Annotated[str, Query(max_length=40)] = "",
    end_date: Annotated[str, Query(max_length=40)] = "",
    status: Annotated[str, Query(max_length=40)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=MOST)] = MOST,
) -> Response:
    """What residents reported, the newest first; by numbers, or by category, state and a span of time."""
    numbers = _parts(service_request_id)
    if len(numbers) > MOST_NUMBERS:
        raise BadInput("open311.too_many_numbers", field="service_request_id", most=MOST_NUMBERS)
    states = frozenset(_parts(status))
    if not states <= {"open", "closed"}:
        raise BadInput("open311.status_unknown", field="status", status=status)
    until = _moment(end_date, "end_date") or now
    since = _moment(start_date, "start_date") or until - SPAN
    asked = (
        PublishedFilter(numbers=numbers)
        if numbers
        else PublishedFilter((), _parts(service_code), states, since, until)
    )
    rules = services.desk.catalogue(session)
    rows = published(session, asked, _channels(rules), page_size, (page - 1) * page_size)
    return answer(ending, [_request(row, language) for row in rows], "requests")


@router.get("/v2/requests/{number}.{ending}")
def one_request(
    number: str, ending: Ending, session: DbSession, services: ServicesDep, language: Lang
) -> Response:
    """One report by its number."""
    rules = services.desk.catalogue(session)
    asked = PublishedFilter(numbers=(number.replace("\x00", ""),))
    rows = published(session, asked, _channels(rules), 1)
    if not rows:
        raise NotFound("incident.unknown", field="service_request_id", number=number)
    return answer(ending, [_request(row, language) for row in rows], "requests")


@router.get("/v2/tokens/{token}.{ending}")
def request_id(token: str, ending: Ending, session: DbSession, services: ServicesDep) -> Response:
    """The number of a report by its token. Every report has its number at once, so the token is the number."""
    rules = services.desk.catalogue(session)
    asked = PublishedFilter(numbers=(token.replace("\x00", ""),))
    if not published(session, asked, _channels(rules), 1):
        raise NotFound("incident.unknown", field="token", number=token)
    return answer(ending, [{"service_request_id": token, "token": token}], "requests")


def _sender(request: Request, session: Session, api_key: str, now: datetime) -> str:
    if not api_key:
        limits_of(request).open_report(request)
        return ANYBODY
    account = account_of(session, api_key, "token", now)
    if account is None:
        raise NotAllowed("open311.key_unknown", field="api_key")
    require(account, "report")
    return f"account:{account.username}"


def _channels(rules: Catalogue) -> list[str]:
    return [each.code for each in rules.channels.values() if each.open_to_all]


def _parts(written: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in written.replace("\x00", "").split(",") if part.strip())


def _moment(written: str, field: str) -> datetime | None:
    """A moment as w3.org/TR/NOTE-datetime writes it, with its zone."""
    if not written:
        return None
    try:
        # In an address, + is a space.
        return _MOMENT.validate_python(written.strip().replace(" ", "+"))
    except ValidationError as error:
        raise BadInput("open311.moment_unreadable", field=field, moment=written) from error


def _service(category: CategoryFacts, language: Language) -> dict[str, Any]:
    name, group = (
        (category.name_zh, category.class_zh)
        if language == "zh"
        else (category.name_en, category.class_en)
    )
    return {
        "service_code": category.code,
        "service_name": name,
        "description": name,
        "metadata": False,
        "type": "realtime",
        "keywords": "",
        "group": group,
    }


def _request(row: dict[str, Any], language: Language) -> dict[str, Any]:
    category = row["category_zh" if language == "zh" else "category_en"]
    notes = translate(language, f"status.{row['status']}")
    if row["merged_into"]:
        notes = translate(language, "open311.merged", number=row["merged_into"])
    return {
        "service_request_id": row["number"],
        "status": "closed" if row["ended_at"] is not None else "open",
        "status_notes": notes,
        "service_name": category,
        "service_code": row["category_code"],
        # The reporter's own words stay with the bureau.
        "description": category,
        "agency_responsible": None,
        "service_notice": None,
        "requested_datetime": _written(row["reported_at"]),
        "updated_datetime": _written(row["updated_at"]),
        "expected_datetime": _written(row["due_at"]),
        "address": row["street"],
        "address_id": None,
        "zipcode": None,
        "lat": row["lat"],
        "long": row["lon"],
        "media_url": None,
    }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
