"""People and what they report, from tables: staff, units, shifts, crews, leave, past incidents."""

from __future__ import annotations

from api.imports.asked import Loaded, Reading, counts_of, hand_over_of
from dispatch.archive import import_incidents
from dispatch.following import follow_changes
from grid.loading.absences import load_absences
from grid.loading.people import load_crews, load_staff
from grid.loading.shifts import load_shifts
from grid.loading.staff_list import PeopleReport
from grid.loading.units import load_units
from grid.sources.tables import read_table


def staff(asked: Reading) -> Loaded:
    """staff_no; name; post; unit (code or name); phone; heads_unit (yes); reports_to (number or name)."""
    table = read_table(asked.file, asked.mapping, needed=("staff_no", "name", "post"))
    return _followed(asked, load_staff(asked.session, table))


def units(asked: Reading) -> Loaded:
    """name; code; kind (own, contractor); head (staff number or name); parent (code or name)."""
    table = read_table(asked.file, asked.mapping, needed=("name",))
    return _followed(asked, load_units(asked.session, table))


def shifts(asked: Reading) -> Loaded:
    """staff_no; shift; weekdays; from, to; substitute; valid_from; valid_to."""
    table = read_table(asked.file, asked.mapping, needed=("staff_no",))
    zone = asked.desk.settings.time_zone
    return _followed(asked, load_shifts(asked.session, table, asked.now, time_zone=zone))


def crews(asked: Reading) -> Loaded:
    """grid_code, segment_id or street; a staff number or name for each post; valid_from; valid_to."""
    table = read_table(asked.file, asked.mapping, needed=())
    zone, hand_over = asked.desk.settings.time_zone, hand_over_of(asked.hand_over)
    report = load_crews(asked.session, table, asked.now, time_zone=zone, hand_over=hand_over)
    return _followed(asked, report)


def absences(asked: Reading) -> Loaded:
    """staff_no (number or name); from, to (a plain date is the last day); substitute; reason."""
    table = read_table(asked.file, asked.mapping, needed=("staff_no", "from", "to"))
    zone = asked.desk.settings.time_zone
    return _followed(asked, load_absences(asked.session, table, time_zone=zone))


def incidents(asked: Reading) -> Loaded:
    """Reports; each is placed and routed."""
    table = read_table(asked.file, asked.mapping, needed=())
    report = import_incidents(
        asked.session,
        asked.desk,
        table,
        asked.channel,
        asked.now,
        dry_run=asked.dry_run,
        progress=asked.step,
    )
    return Loaded(report.plain(), report.refused, more=report)


def _followed(asked: Reading, report: PeopleReport) -> Loaded:
    followed = follow_changes(asked.session, asked.desk, asked.now)
    return Loaded({"taken": report.taken, **counts_of(followed)}, report.refused)
