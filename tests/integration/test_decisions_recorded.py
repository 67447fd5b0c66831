"""Every decision of the router stands in the record: text, reading, candidates, grid, rule, person, version of the ground."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.handover import hand_over_due
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import history_of, one_incident
from dispatch.reports import Report
from dispatch.steps import Actor, Asked, PlaceGiven, fix_place, make_move
from tests.ground import MORNING

DISPATCHER = Actor("account:dispatcher", "dispatcher", None)
PARTS = {
    *("text", "reading", "candidates", "place", "grid", "rule", "person", "reason"),
    *("ground_version", "rules_version"),
}


def spots(session: Session) -> list[tuple[float, float, str, int]]:
    """The middle of the longest segment of two grids: lon, lat, grid, its cleaner."""
    rows = session.execute(
        text(
            "select distinct on (g.id) st_x(m) as lon, st_y(m) as lat, g.code, p.staff_id, s.length_m"
            " from grid_segment h join segment s on s.id = h.segment_id join grid g on g.id = h.grid_id"
            " join post_holding p on p.grid_id = g.id and p.post = 'cleaner' and upper_inf(p.valid)"
            " cross join lateral st_lineinterpolatepoint(s.line, 0.5) m"
            " where upper_inf(h.valid) and s.gone_at is null order by g.id, s.length_m desc"
        )
    ).all()
    first = rows[0]
    other = next(row for row in rows if row.staff_id != first.staff_id)
    return [(r.lon, r.lat, r.code, r.staff_id) for r in (first, other)]


def reported(services: Services, session: Session, lon: float, lat: float) -> dict[str, Any]:
    report = Report(
        channel="patrol", description="垃圾桶满溢", category="06042",
        point=GivenPoint(lon, lat, "wgs84"),
    )  # fmt: skip
    made = take_in(session, services.desk, report, "account:operator", MORNING)
    return one_incident(session, made.number)


def decision_of(session: Session, incident_id: int, move: str) -> dict[str, Any]:
    """What the newest line of a move keeps; whole."""
    lines = [line for line in history_of(session, incident_id) if line["move"] == move]
    found: dict[str, Any] = lines[-1]["detail"]["decision"]
    assert set(found) == PARTS
    version = session.scalar(text("select ground_version from town"))
    assert found["ground_version"] == version
    assert found["text"]["description"] == "垃圾桶满溢"
    return found


def test_each_line_that_names_somebody_keeps_why(town_services: Services, session: Session) -> None:
    here, there = spots(session)
    row = reported(town_services, session, here[0], here[1])
    number = row["number"]
    first = decision_of(session, row["id"], "report")
    assert (first["grid"], first["person"]["id"]) == (here[2], here[3])
    assert first["text"]["point"] == [here[0], here[1], "wgs84"]
    assert first["place"]["segment"] == row["segment_id"]
    assert first["rule"] == {
        "category": "06042", "condition": "06042-1", "limit": [4.0, "working_hours"],
        "post": "cleaner", "by": "holder", "in_place_of": None,
    }  # fmt: skip
    assert [r["code"] for r in first["reason"]][-1] == "limit.of_condition"

    later = MORNING + timedelta(minutes=5)
    pin = PlaceGiven(GivenPoint(there[0], there[1], "wgs84"), None, None, None)
    fix_place(session, town_services.desk, number, pin, DISPATCHER, later)
    placed = decision_of(session, row["id"], "set_place")
    assert (placed["grid"], placed["person"]["id"]) == (there[2], there[3])
    assert placed["reason"][0]["code"] == "place.by_hand"
    rerouted = decision_of(session, row["id"], "reroute")
    assert (rerouted["grid"], rerouted["person"]["id"]) == (there[2], there[3])

    cleaner = Actor("account:cleaner", "cleaner", there[3])
    desk = town_services.desk
    make_move(session, desk, number, Asked("return_task", "不归我管"), cleaner, later)
    again = Asked("dispatch", to=here[3])
    make_move(session, desk, number, again, DISPATCHER, later + timedelta(minutes=1))
    sent = decision_of(session, row["id"], "dispatch")
    assert (sent["person"]["id"], sent["rule"]["by"]) == (here[3], "by_hand")
    assert (sent["grid"], sent["place"]["segment"]) == (there[2], rerouted["place"]["segment"])

    to = there[3]
    make_move(
        session, desk, number, Asked("reassign", "换人", to), DISPATCHER,
        later + timedelta(minutes=2),
    )  # fmt: skip
    assert decision_of(session, row["id"], "reassign")["person"]["id"] == to


def test_a_hand_over_keeps_its_decision(town_services: Services, session: Session) -> None:
    here, there = spots(session)
    row = reported(town_services, session, here[0], here[1])
    moved_at = MORNING + timedelta(minutes=30)
    values = {"at": moved_at, "grid": here[2], "to": there[2], "segment": row["segment_id"]}
    session.execute(
        text(
            "update grid_segment set valid = tstzrange(lower(valid), :at) where segment_id = :segment"
            " and upper_inf(valid)"
        ),
        values,
    )
    session.execute(
        text(
            "insert into grid_segment (grid_id, segment_id, side, valid) select g.id, :segment, side,"
            " tstzrange(:at, null) from grid g cross join (values ('left'), ('right')) s (side)"
            " where g.code = :to and upper_inf(g.valid)"
        ),
        values,
    )
    session.execute(text("delete from grid_area"))
    moved = hand_over_due(session, town_services.desk, moved_at + timedelta(minutes=1))
    assert row["number"] in [m.number for m in moved]
    followed = decision_of(session, row["id"], "follow_ground")
    assert (followed["grid"], followed["person"]["id"]) == (there[2], there[3])
    given = decision_of(session, row["id"], "reassign")
    assert (given["person"]["id"], given["rule"]["by"]) == (there[3], "hand_over")
