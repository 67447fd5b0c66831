"""The catalogue of layers: what each shows, what may be asked of it, in which column a filter looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grid.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of schema `gis`.

    `geometry`: Point, LineString, MultiLineString, Polygon or MultiPolygon. `grid`, `status`, `category`,
    `time`: the columns (several: any of them) those filters look in; empty where the filter makes no sense.
    `function`: a function of (since, until, category) that gives the layer for a period; `people`: columns with
    the id of a person, `x_id`, for which an export may add the name as `x`; `numbered`: those of them for which it
    adds the staff number as `x_no` too. `bounded`: incidents, of which a reader may see some only; `whole_town`: what
    nobody with such bounds may read. `large`: of so many rows that pages are chosen by id first; `table`: its geometry is always empty.
    """

    name: str
    geometry: str
    zh: str
    en: str
    about_zh: str
    about_en: str
    grid: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    time: str | None = None
    function: str | None = None
    people: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()
    colour_by: str | None = None
    bounded: bool = False
    whole_town: bool = False
    large: bool = False
    table: bool = False


_INCIDENTS: dict[str, Any] = {
    "grid": ("grid_code",), "status": ("status",), "category": ("category",), "time": "reported_at",
    "people": ("assignee_id",), "numbered": ("assignee_id",), "bounded": True, "large": True,
}  # fmt: skip
_CREW = ("officer_id", "cleaner_id", "gardener_id", "maintainer_id", "leader_id")
_ALL = (
    Layer(
        "segments", "LineString", "路段", "Street segments",
        "两个路口之间的一段街道，及其两侧所属网格和责任人。",
        "Stretches of street between two crossings, with the grid of each side and who answers.",
        grid=("grid_left", "grid_right"), people=_CREW, colour_by="grid_left", large=True,
    ),
    Layer(
        "grids", "MultiLineString", "责任网格", "Responsibility grids",
        "现行责任网格：其全部路段合为一个几何，附四个岗位和负责人。",
        "Grids in force: all their segments as one geometry, with the four posts and the leader.",
        grid=("code",), people=_CREW, colour_by="code",
    ),
    Layer(
        "territories", "MultiPolygon", "责任区", "Territories",
        "每个网格的地面范围，全域无缝无叠。",
        "The ground of each grid, without gap or overlap.",
        grid=("code",), people=_CREW, colour_by="code",
    ),
    Layer(
        "incidents", "Point", "案件", "Incidents",
        "已定位的全部案件；不含举报人信息和其原话。",
        "All incidents that have a place; nothing of reporters nor their words.",
        **_INCIDENTS,
    ),
    Layer(
        "incidents_unplaced", "Point", "未定位案件", "Incidents without a place",
        "尚未定位的案件：列与案件图层相同，几何为空，可作表格使用。",
        "Incidents that have no place yet: the columns of the incidents, as a table, for the geometry is empty.",
        **_INCIDENTS, table=True,
    ),
    Layer(
        "places", "Point", "地点", "Places",
        "有名称的地点；有范围的地点另见“地点范围”。",
        "Named places of interest; those that have an area are in place_areas too.", large=True,
    ),
    Layer(
        "place_areas", "MultiPolygon", "地点范围", "Areas of places",
        "有范围的地点（公园、市场、学校等），编号与地点图层一致。",
        "The ground of places that have one (parks, markets, schools), by the id they have among the places.",
    ),
    Layer(
        "door_plates", "Point", "门牌", "Door plates",
        "门牌号及其所属路段。", "House numbers, each tied to its segment.", large=True,
    ),
    Layer(
        "boundaries", "MultiPolygon", "行政界线", "Boundaries",
        "县（区）、街道（乡镇）、社区（村）的范围，逐级归属。",
        "The town, its townships and communities, each with the one above.", colour_by="code",
    ),
    Layer(
        "cells", "MultiPolygon", "单元网格", "Standard unit cells",
        "社区内约 100 米见方的单元网格及其编码。",
        "The standard unit cells of about 100 m by 100 m within communities, by their code.", large=True,
    ),
    Layer(
        "crews", "Point", "岗位人员", "Crews",
        "各网格（或单个路段）各岗位的在岗人。点位于其路段之上。",
        "Who holds each post of each grid (or of one segment). The point lies on its streets.",
        grid=("grid_code",), people=("staff_id", "substitute_id"), numbered=("staff_id", "substitute_id"),
    ),
    Layer(
        "hotspots", "Polygon", "高发地", "Hot spots",
        "按 200 米方格统计案件聚集程度（Getis-Ord Gi*）；不限定时段时取最近 90 天。",
        "Squares of 200 m where incidents gather (Getis-Ord Gi*); the last 90 days unless a period is asked for.",
        function="hotspots_of", whole_town=True,
    ),
    Layer(
        "evaluation_by_grid", "MultiLineString", "网格考核", "Evaluation by grid",
        "时段内上报案件按网格计数和比率；不限定时段时取最近 90 天。",
        "Counts and rates by grid of the incidents reported in a period; the last 90 days unless one is asked for.",
        grid=("code",), function="evaluation_of", people=("leader_id",), colour_by="code",
    ),
)  # fmt: skip
LAYERS: Mapping[str, Layer] = {layer.name: layer for layer in _ALL}


def find_layer(name: str) -> Layer:
    """The layer of a name. Raises BadInput `export.layer_unknown`."""
    layer = LAYERS.get(name)
    if layer is None:
        raise BadInput("export.layer_unknown", field="layer", layer=name, known=", ".join(LAYERS))
    return layer


def find_layers(written: str) -> tuple[Layer, ...]:
    """The layers of names with commas between, each once. Raises as `find_layer`."""
    names = [part.strip() for part in written.split(",") if part.strip()]
    return tuple(find_layer(name) for name in dict.fromkeys(names or [""]))
