"""A QGIS project (.qgz) of all layers: grouped, styled and named in a language, on the town's own service.

Written by hand in the form QGIS 3.22 reads and newer ones take over; the styles are those of exported files.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from maps.dictionary import columns_of
from maps.export_filters import Box
from maps.export_styles import qml
from maps.layers import Layer

Words = Literal["zh", "en"]
# Groups from top to bottom, and their layers; what comes first lies on top.
_GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("案件", "Incidents", ("incidents", "incidents_unplaced", "hotspots", "evaluation_by_grid")),
    ("人员", "People", ("crews",)),
    ("网格和街道", "Grids and streets", ("grids", "segments", "territories")),
    ("地点", "Places", ("places", "place_areas", "door_plates")),
    ("区划", "Administration", ("boundaries", "cells")),
)
_SHOWN = frozenset({"incidents", "segments", "territories"})
_KIND = {"Point": "Point", "LineString": "Line", "MultiLineString": "Line"}
_WGS84 = (
    "<spatialrefsys><proj4>+proj=longlat +datum=WGS84 +no_defs</proj4><srsid>3452</srsid><srid>4326</srid>"
    "<authid>EPSG:4326</authid><description>WGS 84</description><projectionacronym>longlat</projectionacronym>"
    "<ellipsoidacronym>EPSG:7030</ellipsoidacronym><geographicflag>true</geographicflag></spatialrefsys>"
)
_WEB_MERCATOR = (
    "<spatialrefsys><proj4>+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m"
    " +nadgrids=@null +wktext +no_defs</proj4><srsid>3857</srsid><srid>3857</srid><authid>EPSG:3857</authid>"
    "<description>WGS 84 / Pseudo-Mercator</description><projectionacronym>merc</projectionacronym>"
    "<ellipsoidacronym>EPSG:7030</ellipsoidacronym><geographicflag>false</geographicflag></spatialrefsys>"
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the project's layers are: the OGC service at `url`, or a connection of libpq's service file."""

    url: str | None = None
    service: str | None = None

    @property
    def provider(self) -> str:
        """What QGIS calls the way it reads."""
        return "OAPIF" if self.url else "postgres"

    def of(self, layer: Layer) -> str:
        """The data source of a layer, as QGIS writes it."""
        if self.url:
            return (
                "pagingEnabled='true' preferCoordinatesForWfsT11='false' restrictToRequestBBOX='1'"
                f" srsname='EPSG:4326' typename='{layer.name}' url='{self.url}' version='auto'"
            )
        place = f" srid=4326 type={layer.geometry}", " (geom)"
        kind, column = ("", "") if layer.table else place
        return (
            f"service='{self.service}' key='id' estimatedmetadata=true{kind}"
            f' checkPrimaryKeyUnicity=\'0\' table="gis"."{layer.name}"{column}'
        )


def project(
    layers: Sequence[Layer], source: Source, words: Words, box_m: Box, title: str, *, names: bool
) -> bytes:
    """A .qgz of the layers; `box_m` is what it shows first (EPSG:3857), `names` whether layers hold people's names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("gridward.qgs", _qgs(layers, source, words, box_m, title, names=names))
    return out.getvalue()


def _qgs(
    layers: Sequence[Layer], source: Source, words: Words, box_m: Box, title: str, *, names: bool
) -> str:
    by_name = {layer.name: layer for layer in layers}
    tree, order = [], []
    for zh, en, wanted in _GROUPS:
        there = [by_name[name] for name in wanted if name in by_name]
        order += there
        if there:
            leaves = "".join(_leaf(layer, source, words) for layer in there)
            said = quoteattr(zh if words == "zh" else en)
            tree.append(
                f'<layer-tree-group name={said} checked="Qt::Checked" expanded="1">{leaves}</layer-tree-group>'
            )
    west, south, east, north = box_m
    extent = f"<extent><xmin>{west}</xmin><ymin>{south}</ymin><xmax>{east}</xmax><ymax>{north}</ymax></extent>"
    maps = "".join(_map_layer(layer, source, words, names=names) for layer in order)
    ids = "".join(f'<layer id="{_id(layer)}"/>' for layer in order)
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        f'<qgis projectname={quoteattr(title)} version="3.22.0-Białowieża">\n'
        f"<title>{escape(title)}</title>\n<projectCrs>{_WEB_MERCATOR}</projectCrs>\n"
        f"<layer-tree-group>{''.join(tree)}</layer-tree-group>\n"
        f'<mapcanvas name="theMapCanvas" annotationsVisible="1"><units>meters</units>{extent}<rotation>0</rotation>'
        f"<destinationsrs>{_WEB_MERCATOR}</destinationsrs></mapcanvas>\n"
        f"<projectlayers>{maps}</projectlayers>\n<layerorder>{ids}</layerorder>\n"
        '<properties><SpatialRefSys><ProjectionsEnabled type="int">1</ProjectionsEnabled></SpatialRefSys>'
        "</properties>\n</qgis>\n"
    )


def _id(layer: Layer) -> str:
    return f"gridward_{layer.name}"


def _said(layer: Layer, words: Words) -> str:
    return layer.zh if words == "zh" else layer.en


def _leaf(layer: Layer, source: Source, words: Words) -> str:
    checked = "Qt::Checked" if layer.name in _SHOWN else "Qt::Unchecked"
    return (
        f'<layer-tree-layer id="{_id(layer)}" name={quoteattr(_said(layer, words))} checked="{checked}" expanded="0"'
        f' providerKey="{source.provider}" source={quoteattr(source.of(layer))}/>'
    )


def _map_layer(layer: Layer, source: Source, words: Words, *, names: bool) -> str:
    found = re.search("<renderer-v2.*</renderer-v2>", qml(layer), re.DOTALL)
    if found is None:
        raise RuntimeError(f"no style for {layer.name}")
    # A table has nothing to draw.
    drawn = "" if layer.table else found.group(0)
    kind = "No geometry" if layer.table else _KIND.get(layer.geometry, "Polygon")
    fields = [entry for entry in columns_of(layer, with_names=names) if entry.type != "geometry"]
    aliases = "".join(
        f'<alias index="{place}" field="{entry.column}" name={quoteattr(entry.zh if words == "zh" else entry.en)}/>'
        for place, entry in enumerate(fields)
    )
    about = layer.about_zh if words == "zh" else layer.about_en
    return (
        f'<maplayer type="vector" geometry="{kind}"'
        ' hasScaleBasedVisibilityFlag="0" autoRefreshEnabled="0" readOnly="1" refreshOnNotifyEnabled="0">'
        f"<id>{_id(layer)}</id><datasource>{escape(source.of(layer))}</datasource>"
        f"<layername>{escape(_said(layer, words))}</layername><abstract>{escape(about)}</abstract>"
        f'<srs>{_WGS84}</srs><provider encoding="UTF-8">{source.provider}</provider>'
        f"{drawn}<blendMode>0</blendMode><layerOpacity>1</layerOpacity>"
        f"<aliases>{aliases}</aliases></maplayer>"
    )
