"""Geocoders outside on real sockets: right, slow, failing, babbling and hung; and what reaches the waiting incident."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.intake import take_in
from dispatch.outside_candidates import ask_outside
from dispatch.reports import Report
from grid.core.datums import from_wgs84
from grid.core.errors import BadInput
from grid.core.settings import OutsideSettings
from grid.outside import Breaker, Outside

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
Answer = Callable[[str, dict[str, list[str]]], tuple[int, bytes]]
SERVICES = ("nominatim", "tianditu", "amap", "baidu", "tencent")


@contextmanager
def service(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that answers so; yields its address and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked.append(parts.path)
            status, body = answer(parts.path, parse_qs(parts.query))
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return

        def log_message(self, *_words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()


def told(lon: float, lat: float) -> Answer:
    """The five services as they document their answers, each in its own datum, for one WGS 84 point."""

    def answer(path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        def place(datum: str) -> tuple[float, float]:
            x, y = from_wgs84(lon, lat, datum)
            return float(x), float(y)

        if path.endswith("/search"):
            said: Any = [{"lat": str(lat), "lon": str(lon), "display_name": "鸿运来文创园"}]
        elif path == "/geocoder":
            assert json.loads(query["ds"][0])["keyWord"].endswith("鸿运来文创园")
            assert query["tk"] == ["key"]
            said = {"status": "0", "msg": "ok", "location": {"lon": lon, "lat": lat, "keyWord": "鸿运来文创园"}}  # fmt: skip
        elif path == "/v3/geocode/geo":
            x, y = place("gcj02")
            said = {"status": "1", "geocodes": [{"formatted_address": "鸿运来文创园", "location": f"{x:.8f},{y:.8f}"}]}  # fmt: skip
        elif path == "/geocoding/v3/":
            x, y = place("bd09")
            said = {"status": 0, "result": {"level": "道路", "location": {"lng": x, "lat": y}}}
        else:
            assert path == "/ws/geocoder/v1/"
            x, y = place("gcj02")
            said = {
                "status": 0,
                "result": {"title": "鸿运来文创园", "location": {"lng": x, "lat": y}},
            }
        return 200, json.dumps(said).encode()

    return answer


def settings(url: str, *names: str, timeout_s: float = 5.0) -> OutsideSettings:
    return OutsideSettings(
        sources=",".join(names),
        timeout_s=timeout_s,
        **{f"{name}_url": url for name in SERVICES},
        **{f"{name}_key": "key" for name in SERVICES if name != "nominatim"},
    )


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_answers_in_its_own_datum(name: str) -> None:
    with service(told(114.6, 33.6)) as (url, asked):
        found = Outside(settings(url, name)).ask("鸿运来文创园")
    assert len(asked) == 1
    (place,) = found[name]
    assert (place.lon, place.lat) == pytest.approx((114.6, 33.6), abs=1e-6)


def hung(_path: str, _query: dict[str, list[str]]) -> tuple[int, bytes]:
    time.sleep(20)
    return 200, b"{}"


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"status":"1","geocodes":[{"location":"a,b"}]}', b'{"status":0,"result":{"location":{"lat":1e999,"lng":"x"}}}', b"\xff\xfe\x00", b"9" * 2_000_000]
)  # fmt: skip
def test_garbage_is_no_place_and_no_crash(name: str, body: bytes) -> None:
    with service(lambda *_: (200, body)) as (url, _):
        found = Outside(settings(url, name)).ask("鸿运来文创园")
    assert not found.get(name)


@pytest.mark.parametrize("name", SERVICES)
def test_an_error_or_nobody_there_is_no_answer(name: str) -> None:
    with service(lambda *_: (500, b"broken")) as (url, _):
        assert Outside(settings(url, name)).ask("鸿运来文创园") == {}
    assert Outside(settings("http://127.0.0.1:9", name)).ask("鸿运来文创园") == {}


def test_a_hung_service_costs_the_deadline_and_no_more_and_the_others_answer() -> None:
    def mixed(path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        return hung(path, query) if path == "/v3/geocode/geo" else told(114.6, 33.6)(path, query)

    with service(mixed) as (url, _):
        begun = time.monotonic()
        found = Outside(settings(url, "amap", "tianditu", timeout_s=0.8)).ask("鸿运来文创园")
        assert time.monotonic() - begun < 3.0
    assert "amap" not in found
    assert len(found["tianditu"]) == 1


def test_a_failing_service_is_left_alone_for_a_while() -> None:
    clock = [0.0]
    with service(lambda *_: (500, b"")) as (url, asked):
        outside = Outside(settings(url, "amap"), clock_s=lambda: clock[0])
        for _ in range(6):
            outside.ask("鸿运来文创园")
        assert len(asked) == 3
        clock[0] = 61.0
        outside.ask("鸿运来文创园")
        outside.ask("鸿运来文创园")
        assert len(asked) == 4, "one trial after the rest"


def test_the_rest_doubles_up_to_an_hour_and_an_answer_ends_it() -> None:
    breaker = Breaker()
    rests = []
    moment = 0.0
    for _ in range(12):
        breaker.note(False, moment)
        rests.append(max(0.0, breaker.closed_from - moment))
        moment = max(moment, breaker.closed_from)
    assert rests[:6] == [0, 0, 60, 120, 240, 480]
    assert rests[-1] == 3600
    breaker.note(True, moment)
    breaker.note(False, moment)
    assert breaker.may_ask(moment)


def test_settings_without_sense_are_told() -> None:
    with pytest.raises(BadInput, match=r"outside\.source_unknown"):
        Outside(OutsideSettings(sources="mapquest"))
    with pytest.raises(BadInput, match=r"outside\.key_missing"):
        Outside(OutsideSettings(sources="amap", amap_key=""))
    assert Outside(OutsideSettings(sources="")).ask("鸿运来文创园") == {}


def waiting(session: Session, services: Services, words: str) -> int:
    report = Report("hotline_12345", words, category="06042")
    taken = take_in(session, services.desk, report, "account:operator", NOW)
    queue = session.scalar(
        text("select queue from incident where id = :id"), {"id": taken.incident_id}
    )
    assert queue == "place_needed"
    return taken.incident_id


def test_a_waiting_incident_gets_a_candidate_once_and_keeps_waiting(
    session: Session, town_services: Services
) -> None:
    incident_id = waiting(session, town_services, "鸿运来文创园")
    lon, lat = session.execute(
        text("select st_x(p), st_y(p) from (select st_lineinterpolatepoint(line, 0.5) p from segment limit 1) s")
    ).one()  # fmt: skip
    with service(told(lon, lat)) as (url, asked):
        outside = Outside(settings(url, "amap", "baidu"))
        assert ask_outside(session, town_services.desk, outside, incident_id, NOW) == 1
        assert len(asked) == 2
        row = session.execute(
            text("select queue, point, geocoding, reason from incident where id = :id"),
            {"id": incident_id},
        ).one()
        assert (row.queue, row.point) == ("place_needed", None)
        (candidate,) = row.geocoding["candidates"]
        assert (candidate["match"], candidate["source"]) == ("outside", "amap")
        assert (candidate["lon"], candidate["lat"]) == pytest.approx((lon, lat), abs=1e-5)
        assert row.reason[-1]["code"] == "place.outside_source"
        assert ask_outside(session, town_services.desk, outside, incident_id, NOW) == 0
        again = waiting(session, town_services, "鸿运来文创园")
        assert ask_outside(session, town_services.desk, outside, again, NOW) == 1
        assert len(asked) == 2, "what was said is kept"
        later = NOW + timedelta(days=31)
        ask_outside(session, town_services.desk, outside, again, later)
        assert len(asked) == 4, "for thirty days"


def test_a_place_outside_the_town_is_no_candidate(
    session: Session, town_services: Services
) -> None:
    incident_id = waiting(session, town_services, "鸿运来文创园")
    with service(told(116.4, 39.9)) as (url, _):
        outside = Outside(settings(url, *SERVICES))
        assert ask_outside(session, town_services.desk, outside, incident_id, NOW) == 0


def test_intake_asks_nobody(session: Session, town_services: Services) -> None:
    """Taking a report in has no way to the services: it knows no `Outside`, and is quick without a network."""
    begun = time.monotonic()
    waiting(session, town_services, "鸿运来文创园旁边")
    assert time.monotonic() - begun < 3.0
