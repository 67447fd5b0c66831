"""A `Drawing` as a folium map: for a page of ours, or for a file that opens anywhere without a network."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import shapely
from branca.element import MacroElement
from folium.plugins import HeatMap, MarkerCluster
from folium.template import Template

from maps.assets import use_local_assets
from maps.drawing import STREET, Drawing, Words
from maps.page import MAX_ZOOM, BaseMap, GroundMap, base_layer
from maps.thematic_points import HEAT

SCRIPT = Path(__file__).with_name("scripts") / "thematic.js"
# Six places of a degree are a decimetre.
PLACES = 6
# Without a street there is nothing to look at.
ANYWHERE = (114.0, 30.0, 115.0, 31.0)


class Thematic(MacroElement):
    """The drawing's own layers on folium's map, by the functions of scripts/thematic.js."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            {{ this.library }}
            (function () {
                var drawn = window.gridwardThematic, data = {{ this.data }};
                var map = {{ this._parent.get_name() }}, group = {{ this.cluster or "null" }};
                // At once: a map that still moves when it is looked at, or photographed, is blurred.
                map.fitBounds(data.bounds, {animate: false});
                if (data.streets) drawn.streets(map, data.streets, data.street_colour);
                if (data.shapes) drawn.shapes(map, data.shapes);
                if (data.dots) {
                    var show = drawn.dots(map, group, data.dots);
                    if (data.steps) drawn.slider(map, show, data.steps, data.said);
                }
                window.gridwardMap = map;
            })();
        {% endmacro %}
        """
    )

    def __init__(self, drawing: Drawing, words: Words, cluster: str | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Thematic"
        self.cluster = cluster
        self.library = _library()
        self.data = script_json(_data(drawing, words))


def thematic_folium(drawing: Drawing, words: Words, base: BaseMap | None = None) -> GroundMap:
    """The drawing as a map that fits its bounds; `base` are tiles below it, none in a file for elsewhere."""
    use_local_assets()
    west, south, east, north = drawing.bounds or ANYWHERE
    ground = GroundMap(
        location=[(south + north) / 2, (west + east) / 2],
        maxZoom=MAX_ZOOM,
        zoomSnap=0.25,
        tiles=None,
        prefer_canvas=True,
        control_scale=True,
        zoom_control="topright",
        attributionControl=base is not None,
    )
    if base is not None:
        base_layer(base).add_to(ground)
    if drawing.heat is not None and len(drawing.heat):
        _heat(drawing.heat).add_to(ground)
    cluster = None
    if drawing.timeline is not None:
        cluster = MarkerCluster(  # type: ignore[no-untyped-call]
            control=False,
            options={"maxClusterRadius": 48, "showCoverageOnHover": False, "chunkedLoading": True},
            icon_create_function="function(c){return window.gridwardThematic.cluster_icon(c)}",
        ).add_to(ground)
    name = cluster.get_name() if cluster is not None else None
    Thematic(drawing, words, name).add_to(ground)
    return ground


def script_json(value: Any) -> str:
    """JSON that cannot end the script it stands in."""
    written = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def inlined(html: str, static: Path) -> str:
    """A page without a single address: scripts, styles and what these show are put inside.

    `static` is the folder that /static stands for. Raises FileNotFoundError for what is not there.
    """

    def script(found: re.Match[str]) -> str:
        text = _file(static, found[1]).read_text(encoding="utf-8")
        return "<script>" + text.replace("</script", "<\\/script") + "</script>"

    def style(found: re.Match[str]) -> str:
        return "<style>" + _style(_file(static, found[1])) + "</style>"

    html = re.sub(r'<script[^>]*\ssrc="(/static/[^"]+)"[^>]*>\s*</script>', script, html)
    return re.sub(r'<link[^>]*\shref="(/static/[^"]+\.css)"[^>]*/?>', style, html)


def _file(static: Path, url: str) -> Path:
    return static / url.removeprefix("/static/")


def _style(sheet: Path) -> str:
    def address(found: re.Match[str]) -> str:
        named = found[1].strip("'\" ")
        if named.startswith(("data:", "#")):
            return found[0]
        file = sheet.parent / named.split("?")[0].split("#")[0]
        kind = guess_type(file.name)[0] or "application/octet-stream"
        return f"url(data:{kind};base64,{b64encode(file.read_bytes()).decode()})"

    return re.sub(r"url\(([^)]*)\)", address, sheet.read_text(encoding="utf-8"))


@cache
def _library() -> str:
    return SCRIPT.read_text(encoding="utf-8")


def _heat(points: np.ndarray[Any, Any]) -> HeatMap:
    most = float(np.quantile(points[:, 2], 0.98))
    weights = np.minimum(points[:, 2] / max(most, 1.0), 1.0)
    rows = np.column_stack([points[:, 1], points[:, 0], weights])
    stops = np.linspace(0.2, 1.0, len(HEAT)).round(2)
    gradient = {str(stop): colour for stop, colour in zip(stops, HEAT, strict=True)}
    return HeatMap(  # type: ignore[no-untyped-call]
        rows.tolist(), radius=18, blur=16, min_opacity=0.25, max_zoom=16, gradient=gradient
    )


def _data(drawing: Drawing, words: Words) -> dict[str, Any]:
    west, south, east, north = drawing.bounds or ANYWHERE
    data: dict[str, Any] = {"street_colour": STREET, "bounds": [[south, west], [north, east]]}
    if drawing.streets is not None and len(drawing.streets):
        whole = shapely.multilinestrings(np.asarray(drawing.streets))
        data["streets"] = _geometry(whole)
    if drawing.shapes is not None and len(drawing.shapes):
        data["shapes"] = {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "geometry": _geometry(row.geometry),
                    "properties": {
                        "fill": row.fill, "line": row.line, "width": float(row.width_px),
                        "label": row.label, "title": row.title, "rows": list(row.rows),
                    },
                }
                for row in drawing.shapes.itertuples(index=False)
            ],
        }  # fmt: skip
    if drawing.dots is not None and len(drawing.dots):
        data["dots"] = {"count_label": words("maps.incidents_n"), **_dots(drawing.dots)}
        if drawing.timeline is not None:
            data["steps"] = list(drawing.timeline.steps)
            data["said"] = {
                "play": words("maps.play"), "slider": words("maps.slider"),
                "all": words("maps.whole_period"), "count": words("maps.slider_count"),
            }  # fmt: skip
    return data


def _dots(dots: pd.DataFrame) -> dict[str, Any]:
    """Rows with their words told apart once: lon, lat, n, colour, step, title, values by label."""
    colours = {colour: k for k, colour in enumerate(dict.fromkeys(dots["colour"]))}
    values: dict[str, int] = {}
    first = next((rows for rows in dots["rows"] if rows), ())
    written = [
        [
            round(float(lon), PLACES), round(float(lat), PLACES), int(n), colours[colour], int(step), title,
            [values.setdefault(value, len(values)) for _, value in rows],
        ]
        for lon, lat, n, colour, step, title, rows in zip(
            dots["lon"], dots["lat"], dots["n"], dots["colour"], dots["step"], dots["title"],
            dots["rows"], strict=True,
        )
    ]  # fmt: skip
    return {
        "labels": [label for label, _ in first], "colours": list(colours), "values": list(values),
        "rows": written,
    }  # fmt: skip


def _geometry(shape: shapely.Geometry) -> orjson.Fragment:
    return orjson.Fragment(shapely.to_geojson(shapely.set_precision(shape, 1e-6)).encode())
