"""The form of GeoReport v2: one answer as JSON or XML, and refusals as a list of code and description."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Literal
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from api.deps import get_language
from api.errors import STATUS
from api.i18n import translate
from grid.core.errors import Trouble

Ending = Literal["json", "xml"]
# A list's element in XML, and that of each of its parts.
NAMES = {
    "services": ("services", "service"),
    "requests": ("service_requests", "request"),
    "errors": ("errors", "error"),
    "formats": ("formats", "format"),
    "endpoints": ("endpoints", "endpoint"),
}


class GeoReportRoute(APIRoute):
    """A route whose refusals have the form of GeoReport: a list of code and description, in the format asked for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Trouble as error:
                status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
                # GeoReport knows 400 for what is wrong in a request.
                status = 400 if status == HTTPStatus.UNPROCESSABLE_ENTITY else status
                sentence = translate(get_language(request), error.code, **error.values)
                wait = error.values.get("seconds")
                headers = {"Retry-After": str(wait)} if status == 429 and wait else {}
                return _refused(request, status, error.code, sentence, headers)
            except RequestValidationError as error:
                first = error.errors()[0]
                field = str(first["loc"][-1])
                sentence = translate(
                    get_language(request), "request.invalid", field=field, problem=first["msg"]
                )
                status = 404 if field == "ending" else 400
                return _refused(request, status, "request.invalid", sentence, {})

        return answered


def answer(
    ending: str,
    found: dict[str, Any] | Sequence[dict[str, Any]],
    kind: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """What was found, as `ending` asks; `kind` names the root element of one thing, or the list of NAMES.

    Open to every page: nothing in it depends on who asks.
    """
    headers = {"Access-Control-Allow-Origin": "*", **(headers or {})}
    if ending == "json":
        body = orjson.dumps(found)
        return Response(body, status, headers=headers, media_type="application/json")
    body = tostring(_tree(kind, found), encoding="utf-8", xml_declaration=True)
    return Response(body, status, headers=headers, media_type="text/xml; charset=utf-8")


def _tree(kind: str, found: Any) -> Element:
    root = Element(NAMES[kind][0] if isinstance(found, Sequence) else kind)
    if isinstance(found, Sequence):
        for each in found:
            _fill(SubElement(root, NAMES[kind][1]), each)
    else:
        _fill(root, found)
    return root


def _fill(place: Element, values: Any) -> None:
    if not isinstance(values, dict):
        place.text = _plain(values)
        return
    for name, value in values.items():
        inner = SubElement(place, name)
        if isinstance(value, list):
            for each in value:
                _fill(SubElement(inner, NAMES.get(name, (name, "attribute"))[1]), each)
        elif value is not None:
            inner.text = _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # What XML 1.0 cannot hold is left out.
    return "".join(sign for sign in str(value) if sign >= " " or sign in "\t\n")


def _refused(
    request: Request, status: int, code: str, sentence: str, headers: dict[str, str]
) -> Response:
    ending = "xml" if request.url.path.endswith(".xml") else "json"
    found = [{"code": status, "description": sentence, "reason": code}]
    return answer(ending, found, "errors", status=status, headers=headers)
