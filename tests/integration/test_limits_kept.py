"""A limit that the bureau changes, or a condition that it ends, leaves what was filed before alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.catalogue_import import load_categories
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, make_move
from tests.ground import MORNING

OVERFLOW = "06042"
DISPATCHER = Actor("account:dispatcher", "dispatcher", None)


def reported(services: Services, session: Session, minutes: int) -> dict[str, Any]:
    lon, lat = session.execute(
        text(
            "select st_x(m), st_y(m) from grid_segment h join segment s on s.id = h.segment_id"
            " cross join lateral st_lineinterpolatepoint(s.line, 0.5) m"
            " where upper_inf(h.valid) and s.gone_at is null order by s.length_m desc, s.id limit 1"
        )
    ).one()
    report = Report("patrol", "垃圾满溢", OVERFLOW, point=GivenPoint(lon, lat, "wgs84"))
    now = MORNING + timedelta(minutes=minutes)
    made = take_in(session, services.desk, report, "account:test", now)
    return one_incident(session, made.number)


def limit_of(row: dict[str, Any]) -> tuple[float, str]:
    clock = next(c for c in row["clocks"] if c["kind"] == "disposal")
    return clock["value"], clock["unit"]


def test_yesterdays_incident_keeps_yesterdays_limit(
    town_services: Services, session: Session
) -> None:
    old = reported(town_services, session, 0)
    assert limit_of(old) == (4.0, "working_hours")
    table = pd.DataFrame(
        [{"code": OVERFLOW, "name_zh": "垃圾满溢", "role": "cleaner", "deadline_value": "2",
          "deadline_unit": "working_hours"}]
    )  # fmt: skip
    load_categories(session, table, MORNING + timedelta(minutes=5))
    assert limit_of(reported(town_services, session, 10)) == (2.0, "working_hours")
    # Returned, and given to another unit: its clock starts anew, with the limit it was filed under.
    task = old["tasks"][0]
    cleaner = Actor("account:cleaner", "cleaner", task["assignee_id"])
    later = MORNING + timedelta(minutes=20)
    make_move(
        session, town_services.desk, old["number"], Asked("return_task", "不归我管"), cleaner, later
    )
    other = session.scalar(
        text(
            "select s.id from staff s where s.post = 'cleaner' and s.left_at is null"
            " and s.unit_id is distinct from (select unit_id from staff where id = :me) limit 1"
        ),
        {"me": task["assignee_id"]},
    )
    if other is None:
        other = session.scalar(text("select id from staff where post = 'maintainer' limit 1"))
    make_move(
        session, town_services.desk, old["number"], Asked("dispatch", to=other), DISPATCHER, later
    )
    assert limit_of(one_incident(session, old["number"])) == (4.0, "working_hours")


def test_an_ended_condition_does_not_stop_what_was_filed_under_it(
    town_services: Services, session: Session
) -> None:
    row = reported(town_services, session, 0)
    session.execute(
        text(
            "update filing_condition set valid = tstzrange(lower(valid), :at)"
            " where category_code = :code"
        ),
        {"at": MORNING + timedelta(minutes=5), "code": OVERFLOW},
    )
    session.execute(text("update town set ground_version = ground_version + 1"))
    cleaner = Actor("account:cleaner", "cleaner", row["tasks"][0]["assignee_id"])
    now = MORNING + timedelta(minutes=10)
    asked = Asked("ask_extension", "等吊车")
    make_move(session, town_services.desk, row["number"], asked, cleaner, now)
    assert one_incident(session, row["number"])["facts"]["extension_asked_by"] is not None
