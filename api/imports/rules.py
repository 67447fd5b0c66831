"""The bureau's rules from tables: categories, filing conditions, stage limits, rules of chasing, the calendar."""

from __future__ import annotations

from api.imports.asked import Loaded, Reading, day_of
from dispatch import catalogue_import
from grid.loading.staff_list import PeopleReport
from grid.sources.tables import read_table


def categories(asked: Reading) -> Loaded:
    """code, name_zh, and what else is known of a category; what is not told stays."""
    begins = day_of(asked.from_, asked.desk.zone, asked.now)
    table = read_table(asked.file, asked.mapping, needed=("code", "name_zh"))
    return _taken(
        catalogue_import.load_categories(asked.session, table, asked.now, begins, asked.actor)
    )


def conditions(asked: Reading) -> Loaded:
    """category, number; name_zh, name_en, value, unit, closing_zh, closing_en."""
    begins = day_of(asked.from_, asked.desk.zone, asked.now)
    table = read_table(asked.file, asked.mapping, needed=("category", "number"))
    return _taken(
        catalogue_import.load_conditions(asked.session, table, asked.now, begins, asked.actor)
    )


def stage_limits(asked: Reading) -> Loaded:
    """stage, value, unit; urgency, area_class."""
    zone = asked.desk.zone
    begins = day_of(asked.from_, zone, asked.now)
    table = read_table(asked.file, asked.mapping, needed=("stage", "value", "unit"))
    return _taken(
        catalogue_import.load_stage_limits(
            asked.session, table, zone, asked.now, begins, asked.actor
        )
    )


def chase_rules(asked: Reading) -> Loaded:
    """code, clock, share, tell; urgency, after_value, after_unit."""
    begins = day_of(asked.from_, asked.desk.zone, asked.now)
    table = read_table(asked.file, asked.mapping, needed=("code", "clock", "share", "tell"))
    return _taken(
        catalogue_import.load_chase_rules(asked.session, table, asked.now, begins, asked.actor)
    )


def calendar(asked: Reading) -> Loaded:
    """day (2027-01-01), is_workday (yes or no), name_zh; name_en."""
    table = read_table(asked.file, asked.mapping, needed=("day", "is_workday", "name_zh"))
    return _taken(
        catalogue_import.load_calendar(asked.session, table, asked.official, asked.actor, asked.now)
    )


def _taken(report: PeopleReport) -> Loaded:
    return Loaded({"taken": report.taken}, report.refused)
