"""The base maps of the pages: those that the administrator keeps, or the one of the settings while there are none.

Every process reads them anew when what it knows is older than BELIEVED_S: a change is seen everywhere within seconds,
and at once where it was made.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from api.models import BaseMapRow
from grid.core.errors import BadInput, NotFound
from grid.core.settings import WebSettings
from maps.page import MAX_ZOOM, BaseMap

BELIEVED_S = 2.0
FIELDS = (
    *("name_zh", "name_en", "url", "subdomains", "map_key", "datum"),
    *("attribution", "max_zoom", "shown"),
)
DATUMS = ("wgs84", "gcj02", "bd09")
LONGEST = {
    "name_zh": 60,
    "name_en": 60,
    "url": 600,
    "subdomains": 60,
    "map_key": 200,
    "attribution": 300,
}
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")
# What a Content-Security-Policy and an address may hold; no quote, semicolon, comma or blank.
URL_SIGNS = re.compile(r"[A-Za-z0-9:/?#&=._~%{}@!$*+()\[\]|-]+")


@dataclass(frozen=True, slots=True)
class KnownMap:
    """A base map as it is kept; `id` None for the one of the settings."""

    id: int | None
    name_zh: str
    name_en: str
    url: str
    subdomains: str
    map_key: str
    datum: str
    attribution: str
    max_zoom: int
    shown: bool

    def tiles(self, language: str) -> BaseMap:
        """As a page lays it, named in the reader's language."""
        return BaseMap(
            url=self.url.replace("{key}", self.map_key),
            attribution=self.attribution,
            name=self.name_en if language == "en" else self.name_zh,
            datum=self.datum,
            max_zoom=self.max_zoom,
            subdomains=tuple(subdomains_of(self.subdomains)),
        )

    def plain(self) -> dict[str, Any]:
        """As the administrator reads it."""
        return {"id": self.id, **{name: getattr(self, name) for name in FIELDS}}


class BaseMaps:
    """Of one server process."""

    def __init__(self, sessions: sessionmaker[Session], settings: WebSettings) -> None:
        self._sessions, self._settings = sessions, settings
        self._lock = threading.Lock()
        self._known: tuple[KnownMap, ...] = ()
        self._until = 0.0

    def all(self) -> tuple[KnownMap, ...]:
        """Every base map in order, hidden ones too."""
        with self._lock:
            if time.monotonic() >= self._until:
                with self._sessions() as session:
                    self._known = kept_maps(session, self._settings)
                self._until = time.monotonic() + BELIEVED_S
            return self._known

    def shown(self) -> tuple[KnownMap, ...]:
        """Those that pages offer, the first of which they show."""
        return tuple(one for one in self.all() if one.shown)

    def forget(self) -> None:
        """What is known is asked anew the next time."""
        with self._lock:
            self._until = 0.0


def kept_maps(session: Session, settings: WebSettings) -> tuple[KnownMap, ...]:
    """The base maps of the table in their order; the one of the settings where the table is empty."""
    rows = session.scalars(select(BaseMapRow).order_by(BaseMapRow.place, BaseMapRow.id)).all()
    if rows:
        return tuple(
            KnownMap(row.id, **{name: getattr(row, name) for name in FIELDS}) for row in rows
        )
    if not settings.base_map_url:
        return ()
    name = settings.base_map_attribution or urlsplit(settings.base_map_url).netloc
    return (
        KnownMap(
            None, name, name, settings.base_map_url, "", "", settings.base_map_datum,
            settings.base_map_attribution, MAX_ZOOM, True,
        ),
    )  # fmt: skip


def add_map(session: Session, settings: WebSettings, values: Mapping[str, Any]) -> BaseMapRow:
    """A new base map, the last of them; before the first, the one of the settings is taken over.

    Raises what `check_map` raises.
    """
    taken_over(session, settings)
    row = BaseMapRow(**check_map(values), place=_next_place(session))
    session.add(row)
    session.flush()
    return row


def change_map(session: Session, map_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Changes a base map; what it was before. Raises NotFound `base_map.unknown`, and as `check_map`."""
    row = find_map(session, map_id)
    before = facts_of(row)
    for name, value in check_map({**before, **values}, before["url"]).items():
        setattr(row, name, value)
    session.flush()
    return before


def order_maps(session: Session, ids: Iterable[int]) -> None:
    """Puts base maps in an order; those not named come after. NotFound `base_map.unknown`."""
    rows = {row.id: row for row in session.scalars(select(BaseMapRow).order_by(BaseMapRow.place))}
    first = list(dict.fromkeys(ids))
    if unknown := [one for one in first if one not in rows]:
        raise NotFound("base_map.unknown", field="ids", map_id=unknown[0])
    for place, map_id in enumerate([*first, *(one for one in rows if one not in first)]):
        rows[map_id].place = place
    session.flush()


def drop_map(session: Session, map_id: int) -> dict[str, Any]:
    """Takes a base map away; what it was. NotFound `base_map.unknown`."""
    row = find_map(session, map_id)
    before = facts_of(row)
    session.delete(row)
    session.flush()
    return before


def find_map(session: Session, map_id: int) -> BaseMapRow:
    """A base map by its id; NotFound `base_map.unknown`."""
    row = session.get(BaseMapRow, map_id, with_for_update=True)
    if row is None:
        raise NotFound("base_map.unknown", field="id", map_id=map_id)
    return row


def taken_over(session: Session, settings: WebSettings) -> None:
    """Writes the base map of the settings into an empty table, so that a first own one stands beside it."""
    if session.scalar(select(func.count()).select_from(BaseMapRow)):
        return
    for known in kept_maps(session, settings):
        session.add(BaseMapRow(**{name: getattr(known, name) for name in FIELDS}, place=0))
    session.flush()


def facts_of(row: BaseMapRow) -> dict[str, Any]:
    """FIELDS of a row."""
    return {name: getattr(row, name) for name in FIELDS}


def logged(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Facts as the record has them: a key is told by its last signs alone."""
    if facts is None:
        return None
    key = str(facts.get("map_key") or "")
    return {**facts, "map_key": f"…{key[-4:]}" if len(key) > 8 else ("…" if key else "")}


def check_map(values: Mapping[str, Any], present_url: str | None = None) -> dict[str, Any]:
    """FIELDS as they are kept.

    Raises BadInput `base_map.name_missing`, `base_map.too_long`, `base_map.url_bad` (no https, no {z} {x} {y}, a
    host that is none, signs that no address has), `base_map.key_missing`, `base_map.subdomains_bad`,
    `base_map.datum_unknown`, `base_map.zoom_bad`.
    """
    told: dict[str, Any] = {name: values.get(name) for name in FIELDS}
    for name, most in LONGEST.items():
        told[name] = str(told[name] or "").strip()
        if len(told[name]) > most:
            raise BadInput("base_map.too_long", field=name, most=most)
    for name in ("name_zh", "name_en"):
        if not told[name]:
            raise BadInput("base_map.name_missing", field=name)
    parts = subdomains_of(told["subdomains"])
    if any(not re.fullmatch(r"[a-z0-9-]{1,20}", part) for part in parts) or len(parts) > 20:
        raise BadInput("base_map.subdomains_bad", field="subdomains")
    if told["url"] != present_url:
        check_url(told["url"], parts)
    if "{key}" in told["url"] and not told["map_key"]:
        raise BadInput("base_map.key_missing", field="map_key")
    if told["map_key"] and not re.fullmatch(r"[A-Za-z0-9._~-]+", told["map_key"]):
        raise BadInput("base_map.url_bad", field="map_key")
    told["datum"] = told["datum"] or DATUMS[0]
    if told["datum"] not in DATUMS:
        raise BadInput("base_map.datum_unknown", field="datum", datums=", ".join(DATUMS))
    zoom = told["max_zoom"]
    told["max_zoom"] = 18 if zoom is None else int(zoom)
    if not 1 <= told["max_zoom"] <= 24:
        raise BadInput("base_map.zoom_bad", field="max_zoom")
    told["shown"] = told["shown"] is not False
    return told


def check_url(url: str, subdomains: Iterable[str] = ()) -> None:
    """BadInput `base_map.url_bad` for a pattern of tiles that no page could use, or that would open more than tiles."""
    bad = BadInput("base_map.url_bad", field="url")
    if not URL_SIGNS.fullmatch(url) or not all(place in url for place in ("{z}", "{x}", "{y}")):
        raise bad
    if set(re.findall(r"\{([^}]*)\}", url)) - {"z", "x", "y", "s", "key"}:
        raise bad
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad from None
    if parts.scheme != "https" or "@" in parts.netloc or port == 0:
        raise bad
    for host in hosts(parts.netloc, subdomains):
        if not HOST.fullmatch(host.lower()) or ".." in host:
            raise bad


def subdomains_of(written: str) -> list[str]:
    """What {s} stands for: words with commas, or single signs; a, b, c where nothing is written."""
    plain = written.strip()
    if not plain:
        return ["a", "b", "c"]
    return [part.strip() for part in plain.split(",")] if "," in plain else list(plain)


def hosts(netloc: str, subdomains: Iterable[str]) -> list[str]:
    """The hosts that a pattern's host stands for."""
    return [netloc.replace("{s}", part) for part in subdomains] if "{s}" in netloc else [netloc]


def origins(maps: Iterable[KnownMap]) -> list[str]:
    """The only foreign addresses that a page with these base maps may ask for images."""
    found: dict[str, None] = {}
    for one in maps:
        parts = urlsplit(one.url)
        for host in hosts(parts.netloc, subdomains_of(one.subdomains)):
            if host and HOST.fullmatch(host.lower()):
                found[f"{parts.scheme}://{host}"] = None
    return list(found)


def _next_place(session: Session) -> int:
    return (session.scalar(select(func.max(BaseMapRow.place))) or 0) + 1
