"""Open311 (GeoReport v2): in and out in both formats, nothing private out, refusals in its own form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy import text

from api.services import Services
from tests.web import Office, office

OVERFLOW = "06042"


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def asked(desk: Office, path: str, language: str = "en", **more: Any) -> httpx.Response:
    desk.client.cookies.clear()
    headers = {"Accept-Language": language}
    return desk.client.get(f"/open311{path}", headers=headers, params=more)


def read(answer: httpx.Response) -> ElementTree.Element:
    return ElementTree.fromstring(answer.content)  # noqa: S314 (our own answer)


def sent(desk: Office, ending: str = "json", **form: Any) -> httpx.Response:
    desk.client.cookies.clear()
    return desk.client.post(
        f"/open311/v2/requests.{ending}", data=form, headers={"Accept-Language": "en"}
    )


def test_services_in_both_formats(desk: Office) -> None:
    listed = asked(desk, "/v2/services.json").json()
    one = next(each for each in listed if each["service_code"] == OVERFLOW)
    assert one["service_name"] == "Overflowing waste station or bin"
    assert (one["type"], one["metadata"]) == ("realtime", False)
    answer = asked(desk, "/v2/services.xml", "zh")
    assert answer.headers["content-type"].startswith("text/xml")
    tree = read(answer)
    assert tree.tag == "services"
    names = {each.findtext("service_code"): each.findtext("service_name") for each in tree}
    assert names[OVERFLOW] == "垃圾站（箱）满溢"
    assert len(names) == len(listed)
    assert tree.find("service/metadata").text == "false"  # type: ignore[union-attr]
    definition = asked(desk, f"/v2/services/{OVERFLOW}.json").json()
    assert definition == {"service_code": OVERFLOW, "attributes": []}


def test_discovery_tells_where(desk: Office) -> None:
    found = asked(desk, "/discovery.json").json()
    assert found["endpoints"][0]["url"].endswith("/open311/v2")
    tree = read(asked(desk, "/discovery.xml"))
    assert tree.findtext("endpoints/endpoint/specification", "").endswith("GeoReport_v2")


def test_a_report_comes_in_and_its_words_do_not_come_out(desk: Office) -> None:
    lon, lat = desk.ground_of("cleaner")
    answer = sent(
        desk,
        service_code=OVERFLOW,
        lat=lat,
        long=lon,
        description="王小明家门口的桶满了，电话13800000000",
        first_name="小明",
        last_name="王",
        phone="13800000000",
    )
    assert answer.status_code == 201, answer.text
    (given,) = answer.json()
    number = given["service_request_id"]
    assert f"/track/{number}?key=" in given["service_notice"]
    inside = desk.get("operator", f"/incidents/{number}").json()
    assert (inside["channel"], inside["category"]["code"]) == ("citizen", OVERFLOW)
    assert inside["description"].startswith("王小明")
    answer = asked(desk, f"/v2/requests/{number}.json")
    (shown,) = answer.json()
    assert (shown["status"], shown["service_code"]) == ("open", OVERFLOW)
    assert abs(shown["lat"] - lat) < 0.0001 > abs(shown["long"] - lon)
    assert "王" not in answer.text
    assert "13800000000" not in answer.text
    (token,) = asked(desk, f"/v2/tokens/{number}.json").json()
    assert token["service_request_id"] == number
    tree = read(asked(desk, f"/v2/requests/{number}.xml"))
    assert tree.tag == "service_requests"
    assert tree.findtext("request/service_request_id") == number


def test_the_same_in_xml_with_words_for_the_place(desk: Office) -> None:
    answer = sent(
        desk, "xml", service_code=OVERFLOW, address_string="永胜路与站前路交叉口东北角", description="满了"
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    number = read(answer).findtext("request/service_request_id")
    inside = desk.get("operator", f"/incidents/{number}").json()
    assert inside["location"]["match"] == "crossing"


def test_a_list_by_category_state_span_and_numbers(desk: Office) -> None:
    lon, lat = desk.ground_of("cleaner")
    numbers = [
        sent(desk, service_code=code, lat=lat, long=lon, description="x").json()[0][
            "service_request_id"
        ]
        for code in (OVERFLOW, "06013")
    ]
    listed = asked(desk, "/v2/requests.json", service_code=OVERFLOW, status="open").json()
    assert numbers[0] in {each["service_request_id"] for each in listed}
    assert {each["service_code"] for each in listed} == {OVERFLOW}
    assert {each["status"] for each in listed} == {"open"}
    both = asked(desk, "/v2/requests.json", service_request_id=",".join(numbers)).json()
    assert {each["service_request_id"] for each in both} == set(numbers)
    long_ago = {"start_date": "2001-01-01T00:00:00Z", "end_date": "2001-02-01T00:00:00+08:00"}
    assert asked(desk, "/v2/requests.json", **long_ago).json() == []
    assert len(asked(desk, "/v2/requests.json", page_size=1).json()) == 1


def test_what_the_bureau_found_itself_is_not_listed(desk: Office, town_services: Services) -> None:
    with town_services.sessions() as session:
        patrol = session.scalar(
            text(
                "select number from incident where channel_code = 'patrol' order by id desc limit 1"
            )
        )
    assert asked(desk, f"/v2/requests/{patrol}.json").status_code == 404
    assert asked(desk, "/v2/requests.json", service_request_id=patrol).json() == []


@pytest.mark.parametrize(
    ("path", "more", "status", "code"),
    [
        ("/v2/requests.json", {"start_date": "yesterday"}, 400, "open311.moment_unreadable"),
        ("/v2/requests.json", {"status": "done"}, 400, "open311.status_unknown"),
        ("/v2/requests.json", {"page_size": "many"}, 400, "request.invalid"),
        ("/v2/requests/20200101-000001.json", {}, 404, "incident.unknown"),
        ("/v2/services/nothing.json", {}, 404, "category.unknown"),
        ("/v2/services.yaml", {}, 404, "request.invalid"),
    ],
)
def test_a_refusal_has_its_form(
    desk: Office, path: str, more: dict[str, str], status: int, code: str
) -> None:
    answer = asked(desk, path, **more)
    assert answer.status_code == status
    (error,) = answer.json()
    assert (error["code"], error["reason"]) == (status, code)
    assert error["description"] not in ("", code)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"service_code": OVERFLOW, "description": "x"}, "open311.place_needed"),
        ({"lat": 33.6, "long": 114.6, "description": "x"}, "open311.service_needed"),
        ({"service_code": "nothing", "lat": 33.6, "long": 114.6}, "category.unknown"),
        ({"service_code": OVERFLOW, "lat": 133.6, "long": 114.6}, "request.invalid"),
        ({"service_code": OVERFLOW, "lat": 33.6, "long": 114.6, "api_key": "x"}, "open311.key_unknown"),
    ],
)  # fmt: skip
def test_a_report_that_cannot_be_taken(desk: Office, form: dict[str, Any], code: str) -> None:
    answer = sent(desk, "xml", **form)
    assert answer.status_code in (400, 403), answer.text
    error = read(answer).find("error")
    assert error is not None
    assert error.findtext("reason") == code


def test_floods_are_held_back_and_a_program_with_its_token_is_not(desk: Office) -> None:
    lon, lat = desk.ground_of("cleaner")
    form = {"service_code": OVERFLOW, "lat": lat, "long": lon, "description": "x"}
    key = desk.token("operator")
    most = desk.services.settings.web.open_reports_per_minute
    answers = [sent(desk, **{**form, "service_code": "nothing"}) for _ in range(most + 1)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert sent(desk, **form, api_key=key).status_code == 201
