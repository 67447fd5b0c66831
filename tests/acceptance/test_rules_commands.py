"""`gridward import` for rules: categories, conditions, limits and days from files, from a day on, dry first."""

from __future__ import annotations

from pathlib import Path

from tests.commands import Commands
from tests.databases import rows

LIMITS = (
    "select limit_value, upper_inf(valid) from filing_condition where code = '06042-1'"
    " order by lower(valid)"
)


def test_rules_come_from_files_from_a_day_on(
    town_commands: Commands, town_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "categories.csv"
    file.write_text(
        "code,name_zh,role,deadline_value,deadline_unit,replaced_by\n"
        "06042,垃圾满溢,cleaner,2,hours,\n"
        "99010,新类,officer,3,working_days,\n"
        "99011,坏行,mayor,3,working_days,\n"
        "06041,旧类,cleaner,,,06042\n",
        encoding="utf-8",
    )
    before = rows(town_url, LIMITS)
    dry = town_commands.well("import", "categories", file, "--from", "2099-01-01", "--dry-run")
    assert (dry["taken"], [r["code"] for r in dry["refused_rows"]]) == (
        3,
        ["category.post_unknown"],
    )
    assert rows(town_url, LIMITS) == before
    done = town_commands.well("import", "categories", file, "--from", "2099-01-01")
    assert done["taken"] == 3
    assert rows(town_url, LIMITS) == [(before[0][0], False), (2.0, True)]
    # What the file does not tell of stays; the end is planned, the new category is there.
    known = "select code, class_zh <> '', ended_at is not null, replaced_by from category"
    found = {row[0]: row[1:] for row in rows(town_url, known)}
    assert found["06042"] == (True, False, None)
    assert found["06041"] == (True, True, "06042")
    assert "99010" in found
    past = town_commands("import", "categories", file, "--from", "2020-01-01")
    assert past.code == 2
    assert "2020-01-01" in past.err
    days = tmp_path / "days.csv"
    days.write_text(
        "day,is_workday,name_zh\n2099-02-07,是,调休上班\n2099-02-09,放假,春节\nx,是,y\n", "utf-8"
    )
    taken = town_commands.well("import", "calendar", days, "--official")
    assert (taken["taken"], [r["code"] for r in taken["refused_rows"]]) == (
        2,
        ["calendar.day_unreadable"],
    )
    assert rows(town_url, "select official from calendar_year where year = 2099") == [(True,)]
    actors = rows(town_url, "select distinct actor from catalogue_change")
    assert actors == [("system",)]
