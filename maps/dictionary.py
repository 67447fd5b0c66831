"""The data dictionary: every column of every layer in both languages. Tests compare it with the database."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from functools import cache

from dispatch import codes
from maps.layers import LAYERS, Layer

POST_CODES = ", ".join(codes.POSTS)
HOLDING_CODES = f"{POST_CODES}, leader"
SIDE_CODES = "left, right"


@dataclass(frozen=True, slots=True)
class Column:
    """What a column says. `type`: integer, number, text, flag, moment or geometry; `named`: only for those who may read names."""

    layer: str
    column: str
    type: str
    unit: str
    zh: str
    en: str
    codes: str = ""
    named: bool = False


def _c(column: str, kind: str, zh: str, en: str, unit: str = "", codes: str = "") -> Column:
    return Column("", column, kind, unit, zh, en, codes)


def _rate(column: str, zh: str, made_of: str) -> Column:
    """A rate with the columns it is made of; empty where there is nothing to divide by."""
    name = column.replace("_", " ").capitalize()
    return _c(column, "number", f"{zh} = {made_of}", f"{name} = {made_of}", "0-1")


_ID = _c("id", "integer", "稳定编号，改版不变", "Stable id, kept through every change")
_SOURCE = _c(
    "source",
    "text",
    "来源对象的键，如 osm:way/123",
    "Key of the object in its source, as osm:way/123",
)
_GEOM = _c("geom", "geometry", "几何", "Geometry", "EPSG:4326, or as exported")
_CREW = (
    _c(
        "officer_id",
        "integer",
        "执法队员编号（gis.people）",
        "The enforcement officer's id (gis.people)",
    ),
    _c("cleaner_id", "integer", "保洁员编号", "The cleaner's id"),
    _c("gardener_id", "integer", "绿化养护员编号", "The gardener's id"),
    _c("maintainer_id", "integer", "设施维护员编号", "The facility maintainer's id"),
    _c("leader_id", "integer", "网格负责人编号", "The grid leader's id"),
)
_SPAN = (
    _c("valid_from", "moment", "生效时刻（空为一直）", "In force from (empty: from ever)"),
    _c("valid_to", "moment", "失效时刻（空为现行）", "In force until (empty: still)"),
)
_ADMINISTRATION = (
    _c("community", "text", "多数路段所在社区", "Community in which most of its segments lie"),
    _c(
        "township", "text", "多数路段所在街道（乡镇）", "Township in which most of its segments lie"
    ),
)
_AREA = _c("area_m2", "number", "椭球面积", "Area on the ellipsoid", "m²")
_KINDS_OF_PLACES = "market, school, hospital, park, station, square, government, residential, bridge, shop, toilet, bank, …"
_PERIOD = (
    _c("from_at", "moment", "统计时段起（含）", "The period's beginning (included)"),
    _c("to_at", "moment", "统计时段止（不含）", "The period's end (left out)"),
    _c("category", "text", "只统计的类别，空为全部", "The only category counted, empty for all"),
)

_OF: dict[str, tuple[Column, ...]] = {
    "segments": (
        _ID, _SOURCE,
        _c("street_id", "integer", "街道编号，无名为空", "The street's id, empty for unnamed ways"),
        _c("street", "text", "街道名称", "The street's name"),
        _c("street_en", "text", "街道英文名", "The street's English name"),
        _c("class", "text", "道路等级", "Class of the street", "", "trunk, primary, secondary, tertiary, residential, service, pedestrian, path"),
        _c("form", "text", "形态", "Form", "", "single, dual, roundabout, ramp"),
        _c("oneway", "text", "通行方向（相对几何方向）", "Oneway, along the geometry", "", "no, forward, backward"),
        _c("level", "integer", "层次：桥为正，隧道为负", "Level: bridges above 0, tunnels below"),
        _c("length_m", "number", "椭球长度", "Length on the ellipsoid", "m"),
        _c("left_from", "integer", "左侧起始门牌号", "First house number on the left"),
        _c("left_to", "integer", "左侧终止门牌号", "Last house number on the left"),
        _c("right_from", "integer", "右侧起始门牌号", "First house number on the right"),
        _c("right_to", "integer", "右侧终止门牌号", "Last house number on the right"),
        _c("grid_code", "text", "网格编码，仅当两侧同属一格", "Grid code where both sides have the same"),
        _c("grid_left", "text", "左侧网格编码", "Grid code of the left side"),
        _c("grid_right", "text", "右侧网格编码", "Grid code of the right side"),
        *_CREW,
        _c("since_at", "moment", "入库时刻", "Known since"),
        _c("gone_at", "moment", "停用时刻，空为现行", "Gone since, empty while in force"),
        _GEOM,
    ),
    "grids": (
        _ID,
        _c("code", "text", "网格编码", "Grid code"),
        _c("name", "text", "网格名称", "Grid name"),
        _c("name_en", "text", "网格英文名", "Grid name in English"),
        *_ADMINISTRATION,
        _c("segments", "integer", "路段数，任一侧属本格即计", "Segments held, on either side"),
        _c("length_m", "number", "上述路段总长", "Length of these segments", "m"),
        *_CREW, *_SPAN, _GEOM,
    ),
    "territories": (
        _ID,
        _c("code", "text", "网格编码", "Grid code"),
        _c("name", "text", "网格名称", "Grid name"),
        *_ADMINISTRATION,
        _c("area_m2", "number", "面积（本地平面）", "Area in the town's plane", "m²"),
        *_CREW,
        _c("made_at", "moment", "计算时刻", "Worked out at"),
        _c("current", "flag", "与现行路网和网格一致", "That of the streets and grids as they are"),
        _GEOM,
    ),
    "incidents": (
        _ID,
        _c("number", "text", "案件编号", "Incident number"),
        _c("version", "integer", "变更次数", "How often it was changed"),
        _c("status", "text", "状态", "State", "", ", ".join(codes.STATES)),
        _c("queue", "text", "等待人工的队列", "Queue in which it waits for a person", "", ", ".join(codes.QUEUES)),
        _c("channel", "text", "渠道编码", "Channel it came by"),
        _c("external_id", "text", "来源系统编号", "Its id in the system it came from"),
        _c("category", "text", "类别编码", "Category code"),
        _c("category_zh", "text", "类别名称（中文）", "Category in Chinese"),
        _c("category_en", "text", "类别名称（英文）", "Category in English"),
        _c("category_kind", "text", "部件或事件", "Component or event", "", "component, event"),
        _c("urgency", "text", "紧急程度", "Urgency of the category", "", ", ".join(codes.URGENCIES)),
        _c("condition", "text", "立案条件编码", "Filing condition"),
        _c("limit_value", "number", "处置时限", "Limit for disposal", "limit_unit"),
        _c("limit_unit", "text", "时限单位", "Unit of the limit", "", ", ".join(codes.UNITS)),
        _c("address", "text", "街道名，按门牌定位的带门牌号（非上报原文）", "The street, with the number where it was found by one; not the words that were reported"),
        _c("flags", "text", "定位疑点和疑似重复，逗号分隔", "Doubts about the place, and a likely duplicate, with commas between", "", ", ".join(codes.FLAGS)),
        _c("occurred_at", "moment", "发生时刻", "Happened at"),
        _c("reported_at", "moment", "上报时刻", "Reported at"),
        _c("filed_at", "moment", "立案时刻", "Filed at"),
        _c("dispatched_at", "moment", "派遣时刻", "Dispatched at"),
        _c("disposed_at", "moment", "处置反馈时刻", "Disposal reported at"),
        _c("ended_at", "moment", "结束时刻", "Ended at"),
        _c("checked_at", "moment", "核查结束时刻（最近一次），未核查为空", "The last check ended at; empty where none was made"),
        _c("due_at", "moment", "处置截止时刻", "Disposal due at"),
        _c("amber_at", "moment", "处置时限转黄时刻", "The disposal clock turns amber at"),
        _c("reply_due_at", "moment", "热线答复截止时刻，无此时限为空", "The channel's own reply is due at; empty where it asks for none"),
        _c("overdue", "flag", "已超时且未处置", "Past its limit and not yet disposed of"),
        _c("on_time", "flag", "是否按时处置，未处置为空", "Disposed of in time; empty before"),
        _c("reworks", "integer", "返工次数", "Times sent back for rework"),
        _c("extensions", "integer", "获准延期次数", "Extensions granted"),
        _c("suspensions", "integer", "挂起次数", "Times suspended"),
        _c("reopened", "integer", "结案后重开次数", "Times opened again after closing"),
        _c("forced", "flag", "强制结案", "Closed by force"),
        _c("merged_into", "text", "并入的案件编号", "Number of the incident it was merged into"),
        _c("repeats", "integer", "设备重复上报次数", "How often machines, or residents whom it troubles too, told of it again"),
        _c("last_repeat_at", "moment", "最近一次重复上报时刻", "Told of again last at"),
        _c("given_lon", "number", "上报的经度或东坐标，取整到约 100 米", "Longitude or easting as it came, rounded to about 100 m", "given_datum"),
        _c("given_lat", "number", "上报的纬度或北坐标，取整到约 100 米", "Latitude or northing as it came, rounded to about 100 m", "given_datum"),
        _c("given_datum", "text", "上报坐标的基准", "Datum of the point as it came"),
        _c("match", "text", "定位方式", "How the place was found", "", ", ".join(codes.MATCHES)),
        _c("confidence", "number", "定位可信度", "Certainty of the place", "0-1"),
        _c("spread_m", "number", "定位不确定范围", "How far the place may be off", "m"),
        _c("segment_id", "integer", "路段编号（gis.segments）", "Segment (gis.segments)"),
        _c("street", "text", "街道名称", "Street"),
        _c("side", "text", "道路侧", "Side of the street", "", SIDE_CODES),
        _c("distance_m", "number", "到路段距离", "Distance to the segment", "m"),
        _c("cell", "text", "单元网格编码（受理时）", "Standard unit cell when it came in"),
        _c("community", "text", "该单元网格所在社区（其街道见行政界线图层）", "Community of that cell (its township: boundaries, within)"),
        _c("grid_id", "integer", "受理时的网格编号", "Grid at the time"),
        _c("grid_code", "text", "受理时的网格编码", "Grid code at the time"),
        _c("grid_name", "text", "受理时的网格名称", "Grid name at the time"),
        _c("neighbour_grid", "text", "相邻网格，靠近界线时", "The grid next door, near a border"),
        _c("post", "text", "主办岗位", "Post that leads", "", POST_CODES),
        _c("assignee_id", "integer", "主办人编号（gis.people）", "Person who leads (gis.people)"),
        _c("task_status", "text", "主办任务状态", "State of that task", "", ", ".join(codes.TASK_STATES)),
        _c("assigned_at", "moment", "派给主办人时刻", "Given to that person at"),
        _c("accepted_at", "moment", "接单时刻", "Taken on at"),
        _c("done_at", "moment", "完成时刻", "Done at"),
        _GEOM,
    ),
    "places": (
        _ID, _SOURCE,
        _c("name", "text", "名称", "Name"),
        _c("name_en", "text", "英文名", "English name"),
        _c("kind", "text", "种类", "Kind", "", _KINDS_OF_PLACES),
        _c("address", "text", "地址", "Address"),
        _GEOM,
    ),
    "place_areas": (
        _ID, _SOURCE,
        _c("name", "text", "名称", "Name"),
        _c("name_en", "text", "英文名", "English name"),
        _c("kind", "text", "种类", "Kind", "", _KINDS_OF_PLACES),
        _c("address", "text", "地址", "Address"),
        _AREA, _GEOM,
    ),
    "boundaries": (
        _ID,
        _c("source", "text", "导回时据此识别本条界线", "By this an import knows the boundary again"),
        _c("level", "text", "级别", "Level", "", "town, township, community"),
        _c("name", "text", "名称", "Name"),
        _c("name_en", "text", "英文名", "English name"),
        _c("code", "text", "区划代码", "Administrative code"),
        _c("within_id", "integer", "上级界线的编号", "Id of the boundary above it"),
        _c("within", "text", "上级名称", "Name of the boundary above it"),
        _AREA, _GEOM,
    ),
    "cells": (
        _ID,
        _c("code", "text", "单元网格编码", "Code of the cell"),
        _c("community", "text", "所在社区", "Community it lies in"),
        _c("community_code", "text", "社区代码", "Code of that community"),
        _GEOM,
    ),
    "door_plates": (
        _ID, _SOURCE,
        _c("street_id", "integer", "街道编号", "The street's id"),
        _c("street", "text", "街道名称", "Street"),
        _c("house_number", "text", "门牌号，如所写", "House number as written"),
        _c("community", "text", "社区", "Community"),
        _c("segment_id", "integer", "路段编号", "Segment"),
        _c("side", "text", "道路侧", "Side of the street", "", SIDE_CODES),
        _GEOM,
    ),
    "crews": (
        _ID,
        _c("grid_id", "integer", "网格编号", "Grid"),
        _c("grid_code", "text", "网格编码", "Grid code"),
        _c("grid_name", "text", "网格名称", "Grid name"),
        _c("segment_id", "integer", "仅负责单个路段时的路段编号", "Segment, where the post is of one segment only"),
        _c("post", "text", "岗位", "Post", "", HOLDING_CODES),
        _c("staff_id", "integer", "人员编号（gis.people）", "Person (gis.people)"),
        _c("unit", "text", "所属单位", "The person's unit"),
        _c("away", "flag", "此刻请假", "On leave at this moment"),
        _c("substitute_id", "integer", "代班人编号", "The substitute's id"),
        *_SPAN, _GEOM,
    ),
    "hotspots": (
        _ID, *_PERIOD,
        _c("side_m", "number", "方格边长", "Side of the square", "m"),
        _c("incidents", "integer", "格内案件数（作废、并案不计）", "Incidents in the square, voided and merged left out"),
        _c("around", "integer", "本格及八邻格案件数", "Incidents in it and its eight neighbours"),
        _c("gi_star", "number", "Gi* 统计量（标准分）", "Gi* as a standard score", "σ"),
        _c("level", "integer", "置信水平：正为热点，负为冷点，0 为不显著", "Confidence: above 0 hot, below cold, 0 not significant", "%", "99, 95, 90, 0, -90, -95, -99"),
        _c("p", "number", "单侧 p 值（未校正）", "One-sided p of Gi*, as it is", "0-1"),
        _c("level_corrected", "integer", "按全部方格作 Benjamini-Hochberg 校正后的置信水平，0 为不显著；与专题地图一致", "Confidence corrected for all squares by Benjamini and Hochberg, 0 not significant; what the thematic map shows", "%", "99, 95, 90, 0"),
        _c("top_category", "text", "格内最多的类别", "Most frequent category in the square"),
        _c("top_count", "integer", "其案件数", "Incidents of that category"),
        _GEOM,
    ),
    "evaluation_by_grid": (
        _ID,
        _c("code", "text", "网格编码", "Grid code"),
        _c("name", "text", "网格名称", "Grid name"),
        *_PERIOD,
        _c("reported", "integer", "上报数", "Reported"),
        _c("on_the_spot", "integer", "当场处置数", "Fixed on the spot"),
        _c("merged", "integer", "并案数", "Merged into others"),
        _c("filed_with_void", "integer", "立案数（含其后作废的）", "Filed, those voided later included"),
        _c("filed", "integer", "立案数（不含作废）", "Filed, without those voided later"),
        _c("due", "integer", "应处置数：已处置或已到期，不含挂起", "Due: disposed of, or past the limit; not those suspended"),
        _c("due_without_appeal", "integer", "应处置中未经申诉免责的", "Of those due, the ones no appeal was granted for"),
        _c("closed", "integer", "应处置中的结案数", "Closed of those due"),
        _c("closed_on_time", "integer", "按期结案数（按期处置并已结案）", "Closed, disposed of in time"),
        _c("closed_late", "integer", "超期结案数（超期处置并已结案）", "Closed, disposed of late"),
        _c("disposed", "integer", "应处置中的处置数", "Disposed of, of those due"),
        _c("disposed_on_time", "integer", "按期处置数", "Disposed of in time"),
        _c("overdue", "integer", "超期数：超期处置或超期未处置，不含申诉免责", "Overdue: disposed of late or not yet; not those an appeal was granted for"),
        _c("overdue_open", "integer", "超期未处置数", "Past the limit and not disposed of"),
        _c("reworked", "integer", "返工案件数", "Sent back for rework"),
        _c("reopened", "integer", "结案后经居民或管理人员重开的案件数", "Opened again after closing, by the resident or a manager"),
        _c("rated", "integer", "居民作出满意度评价的案件数", "Rated by the resident"),
        _c("rated_satisfied", "integer", "其中评价为满意的", "Of these, rated as satisfied"),
        _rate("accurate_filing_rate", "准确立案率", "filed / filed_with_void"),
        _rate("disposal_rate", "处置率", "disposed / due"),
        _rate("on_time_disposal_rate", "按期处置率", "disposed_on_time / due"),
        _rate("closing_rate", "结案率", "closed / due"),
        _rate("on_time_closing_rate", "按期结案率", "closed_on_time / due"),
        _rate("late_closing_rate", "超期结案率", "closed_late / due"),
        _rate("overdue_rate", "超期率", "overdue / due_without_appeal"),
        _rate("rework_rate", "返工率", "reworked / due"),
        _c("incidents", "integer", "案件数（作废、并案不计）", "Incidents, voided and merged left out"),
        _c("length_m", "number", "时段末网格内路段总长", "Length of the grid's segments at the period's end", "m"),
        _c("incidents_per_km", "number", "每公里案件数 = incidents / length_m × 1000", "Incidents per kilometre = incidents / length_m × 1000", "1/km"),
        _c("mean_disposal_minutes", "number", "平均处置用时（派遣至处置反馈，自然时间）", "Mean time from dispatch to the disposal reported, by the clock on the wall", "min"),
        _c("median_disposal_minutes", "number", "处置用时中位数", "Median of that time", "min"),
        _c("leader_id", "integer", "网格负责人编号", "The grid leader's id"),
        _GEOM,
    ),
}  # fmt: skip
_OF["incidents_unplaced"] = _OF["incidents"]
# Beside the layers: the key from a person's id to the name, for those who may read it.
PEOPLE = (
    _c("id", "integer", "人员编号", "Person's id"),
    _c("staff_no", "text", "工号", "Staff number"),
    _c("name", "text", "姓名", "Name"),
    _c("post", "text", "岗位", "Post", "", HOLDING_CODES),
    _c("unit", "text", "所属单位", "Unit"),
    _c("left_at", "moment", "离岗时刻", "Left at"),
)


def columns_of(layer: Layer | str, *, with_names: bool = False) -> tuple[Column, ...]:
    """A layer's columns in the order of its view; with names, the name and where the layer says so the number after each person's id."""
    return _columns(layer if isinstance(layer, str) else layer.name, with_names)


@cache
def _columns(name: str, with_names: bool) -> tuple[Column, ...]:
    people, numbered = LAYERS[name].people, LAYERS[name].numbered
    found: list[Column] = []
    for entry in _OF[name]:
        found.append(_at(name, entry))
        if with_names and entry.column in people:
            found.append(
                Column(
                    name, entry.column.removesuffix("_id"), "text", "",
                    f"姓名：{entry.column} 所指之人", f"Name of the person {entry.column} means", named=True,
                )
            )  # fmt: skip
        if with_names and entry.column in numbered:
            found.append(
                Column(
                    name, f"{entry.column.removesuffix('_id')}_no", "text", "",
                    f"工号：{entry.column} 所指之人", f"Staff number of the person {entry.column} means", named=True,
                )
            )  # fmt: skip
    return tuple(found)


def dictionary(layers: tuple[str, ...] = (), *, with_names: bool = False) -> list[dict[str, str]]:
    """Rows of the dictionary: layer, layer_zh, layer_en, column, type, unit, zh, en, codes; gis.people last when names are asked for."""
    rows = [
        _row(entry, LAYERS[name].zh, LAYERS[name].en)
        for name in layers or tuple(LAYERS)
        for entry in columns_of(name, with_names=with_names)
    ]
    if with_names and not layers:
        rows += [_row(_at("people", entry), "人员", "People") for entry in PEOPLE]
    return rows


def dictionary_csv(layers: tuple[str, ...] = (), *, with_names: bool = False) -> str:
    """The dictionary as CSV with a header."""
    rows = dictionary(layers, with_names=with_names)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _at(layer: str, entry: Column) -> Column:
    return replace(entry, layer=layer)


def _row(entry: Column, zh: str, en: str) -> dict[str, str]:
    return {
        "layer": entry.layer,
        "layer_zh": zh,
        "layer_en": en,
        "column": entry.column,
        "type": entry.type,
        "unit": entry.unit,
        "zh": entry.zh,
        "en": entry.en,
        "codes": entry.codes,
    }
