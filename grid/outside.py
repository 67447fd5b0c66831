"""Geocoders outside the town: one shape for five services, each with a deadline and a circuit breaker.

Nominatim and Baidu are asked through geopy; Tianditu, AMap and Tencent, which geopy does not have, by their documented
web services. Every answer is brought to WGS 84. What does not answer well is left alone for a while.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlineError
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
from geopy.geocoders import BaiduV3, Nominatim  # type: ignore[import-untyped]

from grid.core.datums import to_wgs84
from grid.core.errors import BadInput
from grid.core.settings import OutsideSettings

LOG = logging.getLogger("gridward.outside")
MOST_FOUND = 3
FAILURES_TO_OPEN = 3
FIRST_REST_S, LONGEST_REST_S = 60.0, 3600.0
LARGEST_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A place that a service offers, in WGS 84."""

    label: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Source:
    """A service: its name, the datum of its answers, and how it is asked: words -> (label, lon, lat) rows."""

    name: str
    datum: str
    ask: Callable[[str], list[tuple[str, float, float]]]


@dataclass(slots=True)
class Breaker:
    """Leaves a failing service alone: after three failures for a minute, twice as long each time, an hour at most."""

    failures: int = 0
    rest_s: float = FIRST_REST_S
    closed_from: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def may_ask(self, moment_s: float) -> bool:
        """Whether the service may be asked at a moment of a steady clock."""
        return moment_s >= self.closed_from

    def note(self, well: bool, moment_s: float) -> None:
        """Counts an answer; after a rest one more failure opens it again at once."""
        with self.lock:
            if well:
                self.failures, self.rest_s = 0, FIRST_REST_S
                return
            self.failures += 1
            if self.failures >= FAILURES_TO_OPEN:
                self.closed_from = moment_s + self.rest_s
                self.rest_s = min(2 * self.rest_s, LONGEST_REST_S)


class Outside:
    """The services that are switched on; safe from any thread."""

    def __init__(
        self, settings: OutsideSettings, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises BadInput `outside.source_unknown`, `outside.key_missing`."""
        self.settings = settings
        self.sources = sources_of(settings)
        self._clock_s = clock_s
        self._breakers = {source.name: Breaker() for source in self.sources}
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="outside")

    def ask(self, words: str, skip: frozenset[str] = frozenset()) -> dict[str, list[Found]]:
        """What each service offers, all asked at once; a service that failed, rests or is late is not in the answer.

        Returns after `timeout_s` at the latest, whatever the services do.
        """
        begun = self._clock_s()
        until = time.monotonic() + self.settings.timeout_s
        asked = {
            source: self._pool.submit(source.ask, words)
            for source in self.sources
            if source.name not in skip and self._breakers[source.name].may_ask(begun)
        }
        found: dict[str, list[Found]] = {}
        for source, future in asked.items():
            try:
                rows = future.result(timeout=max(0.0, until - time.monotonic()))
                found[source.name] = _usable(rows, source.datum)
            except DeadlineError:
                future.cancel()
                LOG.warning("%s is late", source.name)
            except Exception as error:  # whatever a stranger's service does must end here
                LOG.warning("%s: %s", source.name, type(error).__name__)
            self._breakers[source.name].note(source.name in found, self._clock_s())
        return found


def sources_of(settings: OutsideSettings) -> list[Source]:
    """The services named in the settings, in their order."""
    makers = {
        "nominatim": _nominatim,
        "tianditu": _tianditu,
        "amap": _amap,
        "baidu": _baidu,
        "tencent": _tencent,
    }
    found = []
    for name in filter(None, (part.strip().lower() for part in settings.sources.split(","))):
        if name not in makers:
            raise BadInput("outside.source_unknown", source=name, known=", ".join(makers))
        if name != "nominatim" and not getattr(settings, f"{name}_key"):
            raise BadInput("outside.key_missing", source=name, setting=f"GRIDWARD_OUTSIDE_{name.upper()}_KEY")  # fmt: skip
        found.append(makers[name](settings))
    return found


def _usable(rows: list[tuple[str, float, float]], datum: str) -> list[Found]:
    found = []
    for label, x, y in rows[:MOST_FOUND]:
        lon, lat = (float(v) for v in to_wgs84(float(x), float(y), datum))
        if math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90:
            found.append(Found(str(label)[:200], lon, lat))
    return found


def _nominatim(settings: OutsideSettings) -> Source:
    parts = urlsplit(settings.nominatim_url)
    geocoder = Nominatim(
        domain=f"{parts.netloc}{parts.path}".rstrip("/"),
        scheme=parts.scheme,
        user_agent="gridward",
        timeout=settings.timeout_s,
    )

    def ask(words: str) -> list[tuple[str, float, float]]:
        asked = f"{words}, {settings.city}" if settings.city else words
        places = geocoder.geocode(asked, exactly_one=False, limit=MOST_FOUND) or []
        return [(place.address, place.longitude, place.latitude) for place in places]

    return Source("nominatim", "wgs84", ask)


def _baidu(settings: OutsideSettings) -> Source:
    parts = urlsplit(settings.baidu_url)
    geocoder = BaiduV3(settings.baidu_key, scheme=parts.scheme, timeout=settings.timeout_s)
    geocoder.api = f"{settings.baidu_url.rstrip('/')}{BaiduV3.api_path}"

    def ask(words: str) -> list[tuple[str, float, float]]:
        place = geocoder.geocode(f"{settings.city}{words}")
        return [] if place is None else [(words, place.longitude, place.latitude)]

    return Source("baidu", "bd09", ask)


def _tianditu(settings: OutsideSettings) -> Source:
    def ask(words: str) -> list[tuple[str, float, float]]:
        query = json.dumps({"keyWord": f"{settings.city}{words}"}, ensure_ascii=False)
        said = _got(settings, settings.tianditu_url, "/geocoder", {"ds": query, "tk": settings.tianditu_key})  # fmt: skip
        place = said.get("location")
        if str(said.get("status")) not in ("0", "101") or (place and not isinstance(place, dict)):
            raise ValueError("status")
        return [(place.get("keyWord") or words, place["lon"], place["lat"])] if place else []

    return Source("tianditu", "cgcs2000", ask)


def _amap(settings: OutsideSettings) -> Source:
    def ask(words: str) -> list[tuple[str, float, float]]:
        asked = {"address": words, "city": settings.city, "key": settings.amap_key}
        said = _got(settings, settings.amap_url, "/v3/geocode/geo", asked)
        if str(said.get("status")) != "1":
            raise ValueError("status")
        rows = []
        for place in said["geocodes"]:
            lon, lat = place["location"].split(",")
            rows.append((place["formatted_address"], lon, lat))
        return rows

    return Source("amap", "gcj02", ask)


def _tencent(settings: OutsideSettings) -> Source:
    def ask(words: str) -> list[tuple[str, float, float]]:
        asked = {"address": f"{settings.city}{words}", "key": settings.tencent_key}
        said = _got(settings, settings.tencent_url, "/ws/geocoder/v1/", asked)
        if said.get("status") == 347:  # nothing found
            return []
        if said.get("status") != 0:
            raise ValueError("status")
        place = said["result"]
        return [(place.get("title") or words, place["location"]["lng"], place["location"]["lat"])]

    return Source("tencent", "gcj02", ask)


def _got(settings: OutsideSettings, base: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a GET; anything else raises."""
    params = {name: str(value) for name, value in asked.items() if value}
    url = f"{base.rstrip('/')}{path}"
    with httpx2.stream("GET", url, params=params, timeout=settings.timeout_s) as answer:
        answer.raise_for_status()
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise ValueError("too large")
    said = json.loads(body)
    if not isinstance(said, dict):
        raise TypeError("no object")
    return said
