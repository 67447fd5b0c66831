"""folium maps for our pages: local assets, no framework, in three pieces that a template puts in place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import folium
from branca.element import MacroElement
from folium.plugins import MarkerCluster
from folium.template import Template

from maps import styles
from maps.assets import VENDOR_URL, use_local_assets
from maps.popups import popup_html

MAX_ZOOM = 20
# What folium says about the whole page (html, body, #map, viewport): the page says that itself.
PAGE_WIDE = re.compile(r"<meta[^>]*?>|<style>\s*(?:html, body|#map)\s*\{[^<]*</style>")


@dataclass(frozen=True, slots=True)
class BaseMap:
    """Tiles below our own lines. `url` is Leaflet's pattern with {x} {y} {z}; `attribution` and `name` plain text.

    max_zoom: beyond it the tiles are drawn larger; subdomains: what {s} stands for.
    """

    url: str
    attribution: str = ""
    name: str = ""
    datum: str = "wgs84"
    max_zoom: int = MAX_ZOOM
    subdomains: tuple[str, ...] = ("a", "b", "c")

    def for_scripts(self) -> dict[str, Any]:
        """As `basemap.js` lays it; the attribution as the HTML that Leaflet takes."""
        return {
            "name": self.name,
            "url": self.url,
            "attribution": popup_text(self.attribution),
            "datum": self.datum,
            "max_zoom": min(self.max_zoom, MAX_ZOOM),
            "subdomains": list(self.subdomains),
        }


@dataclass(frozen=True, slots=True)
class MapPieces:
    """A rendered map: `header` for <head>, `html` for a sized box, `script` for the end of <body>."""

    header: str
    html: str
    script: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One marked place (EPSG:4326) with the plain text of its bubble."""

    lon: float
    lat: float
    title: str
    rows: tuple[tuple[str, str], ...] = ()
    lamp: str = "green"


class GroundMap(folium.Map):
    """folium's map with nothing but Leaflet: our pages bring their own look."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.default_js = [("leaflet_js", f"{VENDOR_URL}/leaflet/leaflet.js")]
        self.default_css = [("leaflet_css", f"{VENDOR_URL}/leaflet/leaflet.css")]


class Bubble(MacroElement):
    """A pop-up as plain Leaflet takes it: folium's own needs jQuery and inline style attributes."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            {{ this._parent.get_name() }}.bindPopup({{ this.html|tojson }}, {maxWidth: 280});
        {% endmacro %}
        """
    )

    def __init__(self, html: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Bubble"
        self.html = html


class HandOver(MacroElement):
    """Gives the map, its clusters and the shared styles to the page's own modules as `window.gridward`."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            window.gridward = {
                map: {{ this._parent.get_name() }},
                clusters: {{ this.clusters or "null" }},
                styles: {{ this.styles }}
            };
        {% endmacro %}
        """
    )

    def __init__(self, clusters: str | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "HandOver"
        self.clusters = clusters
        self.styles = json.dumps(styles.for_scripts())


def town_map(
    *,
    base: BaseMap | None = None,
    clustered: bool = False,
    mark: Mark | None = None,
    centre: tuple[float, float] = (115.0, 30.0),
    zoom: int = 14,
) -> GroundMap:
    """A map ready for the page's modules; without `base` it has a plain ground for our own streets.

    `centre` is (lon, lat), only the view before the streets have arrived. `clustered` adds a marker
    cluster for incidents, `mark` one fixed place with its bubble.
    """
    use_local_assets()
    lon, lat = (mark.lon, mark.lat) if mark else centre
    ground = GroundMap(
        location=[lat, lon],  # folium is the one place where latitude comes first
        zoom_start=17 if mark else zoom,
        maxZoom=MAX_ZOOM,
        tiles=None,
        prefer_canvas=True,
        control_scale=True,
        markerZoomAnimation=not clustered,
        zoom_control="bottomright",
        attributionControl=base is not None,
    )
    if base is not None:
        base_layer(base).add_to(ground)
    cluster = None
    if clustered:
        cluster = MarkerCluster(  # type: ignore[no-untyped-call]
            control=False,
            options={
                "maxClusterRadius": 44,
                "disableClusteringAtZoom": 17,
                "showCoverageOnHover": False,
                "spiderfyOnMaxZoom": True,
                # Each moving mark would be a layer of its own for the browser: hundreds of them stutter.
                "animate": False,
            },
            icon_create_function="function(c){return window.gridward.cluster_icon(c)}",
        ).add_to(ground)
    if mark is not None:
        _add_mark(ground, mark)
    HandOver(cluster.get_name() if cluster else None).add_to(ground)
    return ground


def base_layer(base: BaseMap) -> folium.TileLayer:
    """The tiles of a base map as folium lays them."""
    return folium.TileLayer(
        tiles=base.url,
        # folium wants one, whatever it is.
        attr=popup_text(base.attribution) or " ",
        max_zoom=MAX_ZOOM,
        max_native_zoom=min(base.max_zoom, MAX_ZOOM),
        # Leaflet takes words as well as signs.
        subdomains=list(base.subdomains),  # type: ignore[arg-type]
        control=False,
    )


def _add_mark(ground: GroundMap, mark: Mark) -> None:
    colour = styles.LAMP_COLOURS.get(mark.lamp, styles.ENDED_COLOUR)
    circle = folium.CircleMarker(
        location=[mark.lat, mark.lon],
        radius=11,
        color="#ffffff",
        weight=3,
        fill=True,
        fill_color=colour,
        fill_opacity=1.0,
    ).add_to(ground)
    Bubble(popup_html(mark.title, mark.rows)).add_to(circle)


def popup_text(plain: str) -> str:
    """Plain text for the few places where Leaflet takes HTML, such as an attribution."""
    return popup_html(plain).removeprefix('<div class="bubble"><h3>').removesuffix("</h3></div>")


def render(ground: folium.Map, nonce: str) -> MapPieces:
    """The map in three pieces, each inline script and style carrying the page's CSP `nonce`."""
    figure: Any = ground.get_root()
    figure.render()
    header = PAGE_WIDE.sub("", figure.header.render())
    header = re.sub(r"<(style|script)>", rf'<\1 nonce="{nonce}">', header)
    return MapPieces(
        header=header,
        html=figure.html.render(),
        script=f'<script nonce="{nonce}">{figure.script.render()}</script>',
    )
