"""folium's scripts and styles, served from our own /static instead of from other hosts.

folium keeps the addresses in class-level lists (`default_js`, `default_css`). They are rewritten once, by file
name, so that two plugins that ask for one file under two names load it once. A file that is not vendored is pointed
at a local address that does not exist: a page then fails to load it here, and never asks a foreign host.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import folium.plugins  # noqa: F401  (its classes must exist before they are walked)
from folium.elements import JSCSSMixin

VENDOR_URL = "/static/vendor"

# File name as folium asks for it (lower case, version in the path or not) → file under api/static/vendor.
VENDORED: dict[str, str] = {
    "all.min.css": "fontawesome-free/all.min.css",
    "control.fullscreen.css": "leaflet.fullscreen/Control.FullScreen.css",
    "control.fullscreen.min.js": "leaflet.fullscreen/Control.FullScreen.js",
    "d3.min.js": "d3/d3.min.js",
    "iso8601.min.js": "iso8601-js-period/iso8601.js",
    "jquery-3.7.1.min.js": "jquery/jquery.min.js",
    "jquery.min.js": "jquery/jquery.min.js",
    "l.control.locate.min.css": "leaflet.locatecontrol/L.Control.Locate.min.css",
    "l.control.locate.min.js": "leaflet.locatecontrol/L.Control.Locate.min.js",
    "l.control.mouseposition.min.css": "leaflet-mouse-position/L.Control.MousePosition.css",
    "l.control.mouseposition.min.js": "leaflet-mouse-position/L.Control.MousePosition.js",
    "leaflet-measure.min.css": "leaflet-measure/leaflet-measure.css",
    "leaflet-measure.min.js": "leaflet-measure/leaflet-measure.js",
    "leaflet-realtime.js": "leaflet-realtime/leaflet-realtime.min.js",
    "leaflet-search.min.css": "leaflet-search/leaflet-search.min.css",
    "leaflet-search.min.js": "leaflet-search/leaflet-search.min.js",
    "leaflet.awesome-markers.css": "leaflet.awesome-markers/leaflet.awesome-markers.css",
    "leaflet.awesome-markers.js": "leaflet.awesome-markers/leaflet.awesome-markers.min.js",
    "leaflet.css": "leaflet/leaflet.css",
    "leaflet.draw.css": "leaflet-draw/leaflet.draw.css",
    "leaflet.draw.js": "leaflet-draw/leaflet.draw.js",
    "leaflet.groupedlayercontrol.min.css": (
        "leaflet-groupedlayercontrol/leaflet.groupedlayercontrol.min.css"
    ),
    "leaflet.groupedlayercontrol.min.js": (
        "leaflet-groupedlayercontrol/leaflet.groupedlayercontrol.min.js"
    ),
    "leaflet.js": "leaflet/leaflet.js",
    "leaflet.markercluster.js": "leaflet.markercluster/leaflet.markercluster.js",
    "leaflet.timedimension.control.css": (
        "leaflet-timedimension/leaflet.timedimension.control.css"
    ),
    "leaflet.timedimension.min.js": "leaflet-timedimension/leaflet.timedimension.min.js",
    "leaflet.vectorgrid.bundled.js": "leaflet.vectorgrid/Leaflet.VectorGrid.bundled.min.js",
    "leaflet_heat.min.js": "folium/leaflet_heat.min.js",
    "markercluster.css": "leaflet.markercluster/MarkerCluster.css",
    "markercluster.default.css": "leaflet.markercluster/MarkerCluster.Default.css",
    "pa7_hm.min.js": "folium/pa7_hm.min.js",
    "pa7_leaflet_hm.min.js": "folium/pa7_leaflet_hm.min.js",
}

# Bootstrap restyles the whole page and nothing of folium's maps needs it; the other two are icon sets we do not use.
DROPPED = {
    "bootstrap-glyphicons.css",
    "bootstrap.bundle.min.js",
    "bootstrap.min.css",
    "leaflet.awesome.rotate.min.css",
}


@cache
def use_local_assets() -> None:
    """Rewrite every folium class, base map and plugins alike, to local files. Calling it again does nothing."""
    for owner in _classes_with_assets(JSCSSMixin):
        for kind in ("default_js", "default_css"):
            if kind in vars(owner):
                setattr(owner, kind, _localised(getattr(owner, kind)))


def local_url(foreign_url: str) -> str | None:
    """The local address for one of folium's, None if that file is dropped on purpose."""
    name = PurePosixPath(urlsplit(foreign_url).path).name.lower()
    if name in DROPPED:
        return None
    return f"{VENDOR_URL}/{VENDORED.get(name, f'not-vendored/{name}')}"


def _localised(links: list[tuple[str, str]]) -> list[tuple[str, str]]:
    urls = (local_url(url) for _, url in links)
    # folium loads each name once per page: the address itself is the name.
    return [(url, url) for url in urls if url is not None]


def _classes_with_assets(root: type[Any]) -> Iterator[type[Any]]:
    for owner in root.__subclasses__():
        yield owner
        yield from _classes_with_assets(owner)
