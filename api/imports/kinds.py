"""Every kind of file that the page of imports takes: its columns, its options, the tables that it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from api.imports import ground, people, rules
from api.imports.asked import Loaded, Reading
from grid.models import HOLDINGS

TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".xlsx")
LAYERS = (".geojson", ".json", ".gpkg", ".fgb", ".zip")
OSM = (".osm.pbf", ".pbf", ".osm")


@dataclass(frozen=True, slots=True)
class Kind:
    """needed and known: our fields · endings: of the file's name · options: names of Reading · changes: tables counted."""

    load: Callable[[Reading], Loaded]
    endings: tuple[str, ...]
    needed: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def _layer(
    load: Callable[[Reading], Loaded], needed: str, known: str, changes: str, options: str = ""
) -> Kind:
    return Kind(
        load,
        (*LAYERS, *TABLES),
        tuple(needed.split()),
        tuple(known.split()),
        ("layer", "crs", *options.split()),
        tuple(changes.split()),
    )


def _table(
    load: Callable[[Reading], Loaded], needed: str, known: str, changes: str, options: str = ""
) -> Kind:
    words = (tuple(part.split()) for part in (needed, known, options, changes))
    return Kind(load, TABLES, *words)


POINT = "lon lat datum"
KINDS: Mapping[str, Kind] = {
    "streets": _layer(
        ground.streets, "name", "name_en class oneway level form left_from left_to right_from"
        " right_to id", "street segment", "name",
    ),
    "osm": Kind(
        ground.osm, OSM, options=("name",),
        changes=("street", "segment", "door_plate", "place", "boundary"),
    ),
    "addresses": _layer(
        ground.addresses, "", f"street house_number address community {POINT}", "door_plate"
    ),
    "places": _layer(ground.places, "name", f"name_en kind address source {POINT}", "place", "complete"),
    "aliases": _table(ground.aliases, "alias name", "kind", "alias"),
    "boundaries": _layer(ground.boundaries, "name", "name_en level code source", "boundary", "complete"),
    "grids": _layer(
        ground.grids, "code name", "segment_id side", "grid grid_segment", "from_ hand_over"
    ),
    "cells": _layer(ground.cells, "code", "", "cell"),
    "units": _table(people.units, "name", "code kind head parent", "unit staff"),
    "staff": _table(
        people.staff, "staff_no name post", "unit phone heads_unit reports_to", "staff unit"
    ),
    "crews": _table(
        people.crews, "", f"grid_code segment_id street {' '.join(HOLDINGS)} valid_from valid_to",
        "post_holding", "hand_over",
    ),
    "shifts": _table(
        people.shifts, "staff_no", "shift weekdays from to substitute valid_from valid_to", "shift"
    ),
    "absences": _table(people.absences, "staff_no from to", "substitute reason", "absence"),
    "categories": _table(
        rules.categories, "code name_zh", "name_en class_zh class_en kind role support_roles"
        " support_after urgency aliases deadline_value deadline_unit ended replaced_by",
        "category filing_condition", "from_",
    ),
    "conditions": _table(
        rules.conditions, "category number", "name_zh name_en value unit closing_zh closing_en",
        "filing_condition", "from_",
    ),
    "stage-limits": _table(
        rules.stage_limits, "stage value unit", "urgency area_class", "stage_limit", "from_"
    ),
    "chase-rules": _table(
        rules.chase_rules, "code clock share tell", "urgency after_value after_unit",
        "chase_rule", "from_",
    ),
    "calendar": _table(
        rules.calendar, "day is_workday name_zh", "name_en", "calendar_day calendar_year",
        "official",
    ),
    "incidents": _table(
        people.incidents, "", f"description address {POINT} category channel external_id occurred_at"
        " reporter_name reporter_phone",
        "", "channel",
    ),
}  # fmt: skip
