"""What no program can place: the queue, the decision of a person, what is learned from it, and points not to be believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.services import Services
from grid.core.datums import from_wgs84, to_wgs84
from tests.web import Office, office

REPORT = {"channel": "hotline_12345", "category": "06042"}


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def reported(desk: Office, description: str, **changes: Any) -> dict[str, Any]:
    answer = desk.post("operator", "/incidents", {**REPORT, "description": description, **changes})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def decided(desk: Office, number: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer: httpx.Response = desk.post("operator", f"/queues/place_needed/{number}", body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def queued(desk: Office, number: str) -> dict[str, Any]:
    answer = desk.get("operator", "/queues/place_needed", params={"page_size": 200})
    assert answer.status_code == 200, answer.text
    found = [item for item in answer.json()["items"] if item["number"] == number]
    assert found, "it does not wait"
    item: dict[str, Any] = found[0]
    return item


def on_street(desk: Office, name: str, share: float = 0.5) -> tuple[float, float]:
    """A point on a street's longest segment."""
    with desk.services.sessions() as session:
        row = session.execute(
            text(
                "select st_x(p), st_y(p) from segment s join street t on t.id = s.street_id"
                " cross join lateral st_lineinterpolatepoint(s.line, :share) p"
                " where t.name = :name and s.gone_at is null order by s.length_m desc limit 1"
            ),
            {"name": name, "share": share},
        ).one()
    return row[0], row[1]


def learned(desk: Office, **asked: Any) -> list[dict[str, Any]]:
    answer = desk.get("operator", "/places/learned", params=asked)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return rows


def test_a_place_fixed_once_is_known_and_can_be_forgotten(desk: Office) -> None:
    """The whole round: unknown, pinned in another datum, known, said, undone, unknown again."""
    lon, lat = on_street(desk, "永胜路")
    first = reported(desk, "鼎盛旺建材城门口垃圾满溢")
    assert (first["queue"], first["location"]) == ("place_needed", None)
    item = queued(desk, first["number"])
    assert item["reading"]["landmark"].startswith("鼎盛旺建材城")
    assert item["why"]
    x, y = (float(v) for v in from_wgs84(lon, lat, "bd09"))
    fixed = decided(desk, first["number"], lon=x, lat=y, datum="bd09", version=item["version"])
    assert (fixed["status"], fixed["queue"]) == ("in_disposal", None)
    assert fixed["location"]["lon"] == pytest.approx(lon, abs=1e-6)
    row = next(r for r in learned(desk) if r["incident"] == first["number"])
    assert row["words"].startswith("鼎盛旺建材城")

    second = reported(desk, "市民反映鼎盛旺建材城门口有人乱倒垃圾")
    assert second["status"] == "in_disposal"
    assert second["location"]["lon"] == pytest.approx(lon, abs=1e-5)
    assert 0.5 <= second["location"]["confidence"] <= 0.85
    assert "人工更正" in second["reason"] or "known from a correction" in second["reason"]
    assert any(r["code"] == "place.learned" for r in second["reasons"])
    moves = [
        h["move"] for h in desk.get("operator", f"/incidents/{first['number']}/history").json()
    ]
    assert "learn_place" in moves

    gone = desk.ask("operator", "DELETE", f"/places/learned/{row['id']}")
    assert gone.status_code == 204, gone.text
    third = reported(desk, "鼎盛旺建材城门口垃圾满溢没人管")
    assert third["queue"] == "place_needed"
    assert row["id"] not in [r["id"] for r in learned(desk)]
    kept = next(r for r in learned(desk, undone=True) if r["id"] == row["id"])
    assert kept["undone_by"] == "account:operator"
    moves = [
        h["move"] for h in desk.get("operator", f"/incidents/{first['number']}/history").json()
    ]
    assert moves[-1] == "forget_place"
    twice = desk.ask("operator", "DELETE", f"/places/learned/{row['id']}")
    assert (twice.status_code, twice.json()["code"]) == (409, "places.forgotten_already")


def test_corrections_that_contradict_each_other_ask_again(desk: Office) -> None:
    here, there = on_street(desk, "永胜路", 0.1), on_street(desk, "站前路", 0.9)
    for lon, lat in (here, there):
        waiting = reported(desk, "福禄寿大酒店门口垃圾满溢")
        desk.post(
            "operator", f"/incidents/{waiting['number']}/place", {"lon": lon, "lat": lat, "datum": "wgs84"}
        )  # fmt: skip
    asked = reported(desk, "福禄寿大酒店门口又有垃圾")
    assert asked["queue"] == "place_needed"
    assert len(asked["candidates"]) >= 2
    points = [(c["lon"], c["lat"]) for c in asked["candidates"]]
    for lon, lat in (here, there):
        assert any(abs(x - lon) < 1e-4 and abs(y - lat) < 1e-4 for x, y in points)
    chosen = decided(desk, asked["number"], candidate=1)
    assert chosen["status"] == "in_disposal"
    assert (chosen["location"]["lon"], chosen["location"]["lat"]) == pytest.approx(points[1])


def test_words_that_name_no_one_place_are_not_learned(desk: Office) -> None:
    lon, lat = on_street(desk, "永胜路")
    for words in (
        "小区门口垃圾满溢",
        "菜市场旁边垃圾满溢",
        "路口垃圾满溢",
        "永胜路与站前路交叉口垃圾满溢",
    ):
        before = len(learned(desk, undone=True))
        there = reported(desk, words, location={"lon": 0.0, "lat": 0.0, "datum": "wgs84"})
        decided(desk, there["number"], lon=lon, lat=lat, datum="wgs84")
        assert len(learned(desk, undone=True)) == before, words


def test_marked_words_are_learned_when_they_are_said_and_specific(desk: Office) -> None:
    lon, lat = on_street(desk, "站前路")
    waiting = reported(desk, "老东门那里垃圾堆成山")
    for words, code in (
        ("老西门", "learn.words_not_said"),
        ("那里", "learn.words_not_specific"),
    ):
        body = decided(desk, waiting["number"], 422, lon=lon, lat=lat, datum="wgs84", words=words)
        assert body["code"] == code
    decided(desk, waiting["number"], lon=lon, lat=lat, datum="wgs84", words="老东门")
    known = reported(desk, "老东门有人乱贴小广告")
    assert known["location"]["lon"] == pytest.approx(lon, abs=1e-5)


def test_a_number_is_learned_as_a_door_plate_of_its_street(desk: Office) -> None:
    lon, lat = on_street(desk, "永胜路", 0.25)
    waiting = reported(desk, "永胜路99887号垃圾满溢")
    decided(desk, waiting["number"], lon=lon, lat=lat, datum="wgs84")
    known = reported(desk, "永胜路99887号门口垃圾满溢")
    assert known["location"]["match"] == "door_plate"
    assert known["location"]["lon"] == pytest.approx(lon, abs=1e-5)
    other = reported(desk, "永胜路99889号垃圾满溢")
    assert other["location"] is None or other["location"]["match"] != "door_plate"


def test_the_reporter_is_asked_and_the_answer_sends_it_on(desk: Office) -> None:
    waiting = reported(desk, "我家楼下垃圾满溢")
    number = waiting["number"]
    decided(desk, number, ask="请问在哪条路上？")
    assert queued(desk, number)["question"] == "请问在哪条路上？"
    vague = decided(desk, number, answer="就在菜市场那边")
    assert vague["queue"] == "place_needed"
    decided(desk, number, ask="靠近哪个路口？")
    placed = decided(desk, number, answer="永胜路与站前路交叉口")
    assert (placed["status"], placed["queue"]) == ("in_disposal", None)
    assert placed["location"]["match"] == "crossing"
    assert not any(r["code"] == "place.by_hand" for r in placed["reasons"])


def test_exactly_one_decision_by_somebody_who_may(desk: Office) -> None:
    waiting = reported(desk, "我家楼下垃圾满溢")
    body = decided(desk, waiting["number"], 422, candidate=0, ask="哪里？")
    assert body["code"] == "place.one_decision"
    assert decided(desk, waiting["number"], 422)["code"] == "place.one_decision"
    assert desk.post("cleaner", f"/queues/place_needed/{waiting['number']}", {}).status_code == 403
    assert desk.get("cleaner", "/queues/place_needed").status_code == 403
    stale = decided(desk, waiting["number"], 409, lon=1.0, lat=1.0, version=99)
    assert stale["code"] == "incident.changed"


def test_a_stretch_keeps_its_line_and_goes_to_the_segment_that_holds_most(desk: Office) -> None:
    """The two outermost crossings of a street of several segments; expected lengths are the segments' own."""
    with desk.services.sessions() as session:
        street, first, last = session.execute(
            text(
                "with whole as materialized (select t.id, t.name, st_linemerge(st_collect(s.line)) as line"
                " from street t join segment s on s.street_id = t.id and s.gone_at is null"
                " group by t.id having count(*) between 4 and 12 and count(*) filter (where s.form <> 'single') = 0),"
                " plain as materialized (select * from whole where st_geometrytype(line) = 'ST_LineString'),"
                " ends as (select p.name, o.name as cross_name, st_linelocatepoint(p.line, c.point) as m"
                " from plain p join segment s on s.street_id = p.id and s.gone_at is null"
                " join crossing c on c.id in (s.from_crossing_id, s.to_crossing_id)"
                " join segment so on c.id in (so.from_crossing_id, so.to_crossing_id) and so.gone_at is null"
                " join street o on o.id = so.street_id and o.id <> p.id)"
                " select name, (array_agg(cross_name order by m))[1],"
                " (array_agg(cross_name order by m desc))[1] from ends group by name"
                " having count(distinct m) >= 4 and (array_agg(cross_name order by m))[1]"
                " <> (array_agg(cross_name order by m desc))[1] order by name limit 1"
            )
        ).one()
        assert first != last
    body = reported(desk, f"{street}（{first}至{last}段）垃圾满溢")
    assert body["location"]["match"] == "span", body["reason"]
    assert body["span"]["type"] == "LineString"
    parts = body["span_segments"]
    assert len(parts) >= 2
    metres = [p["length_m"] for p in parts]
    assert metres == sorted(metres, reverse=True)
    assert body["segment"]["id"] == parts[0]["segment_id"]
    assert body["grid"]["code"] == parts[0]["grid"]
    assert any(r["code"].startswith("place.span_on") for r in body["reasons"])
    with desk.services.sessions() as session:
        longest = session.scalar(
            text("select length_m from segment where id = :id"), {"id": parts[0]["segment_id"]}
        )
    assert metres[0] == pytest.approx(longest, rel=0.02)


CROSSING = "永胜路与站前路交叉口垃圾满溢"


def crossing(desk: Office) -> tuple[float, float]:
    found = desk.get("operator", "/geocode", params={"q": CROSSING}).json()
    return found["lon"], found["lat"]


def test_a_known_default_point_is_never_a_place(desk: Office) -> None:
    lon, lat = on_street(desk, "站前路", 0.5)
    x, y = (float(v) for v in from_wgs84(lon, lat, "gcj02"))
    added = desk.post("dispatcher", "/places/default-points", {"lon": lon, "lat": lat})
    assert added.json() == {"added": 1}, added.text
    again = desk.post(
        "dispatcher", "/places/default-points", {"lon": x, "lat": y, "datum": "gcj02"}
    )
    assert again.json() == {"added": 0}
    given = {"lon": x, "lat": y, "datum": "gcj02"}
    by_words = reported(desk, CROSSING, location=given)
    assert "default_point" in by_words["flags"]
    assert by_words["location"]["match"] == "crossing"
    without = reported(desk, "垃圾满溢", location=given)
    assert (without["queue"], without["location"]) == ("place_needed", None)
    assert any(r["code"] == "place.default_point" for r in without["reasons"])
    pinned = decided(desk, without["number"], lon=lon, lat=lat, datum="wgs84")
    assert pinned["status"] == "in_disposal", "a pin by hand is believed"
    for row in desk.get("operator", "/places/default-points").json():
        dropped = desk.ask("dispatcher", "DELETE", f"/places/default-points/{row['id']}")
        assert dropped.status_code == 204
    assert reported(desk, "垃圾满溢", location=given)["location"] is not None


def test_swapped_numbers_are_caught_and_offered(desk: Office) -> None:
    lon, lat = crossing(desk)
    body = reported(desk, "垃圾满溢", location={"lon": lat, "lat": lon, "datum": "wgs84"})
    assert (body["queue"], body["location"], body["span"]) == ("place_needed", None, None)
    assert {"point_outside", "datum_suspect"} <= set(body["flags"])
    offered = next(c for c in body["candidates"] if c["label"] == "swapped")
    assert (offered["lon"], offered["lat"]) == pytest.approx((lon, lat), abs=1e-5)
    taken = decided(desk, body["number"], candidate=body["candidates"].index(offered))
    assert taken["location"]["lon"] == pytest.approx(lon, abs=1e-5)


def test_a_point_of_another_datum_is_caught_and_offered(desk: Office) -> None:
    """At the edge of the town, where BD-09 numbers read as WGS 84 lie outside."""
    with desk.services.sessions() as session:
        lon, lat = session.execute(
            text(
                "select st_x(p), st_y(p) from segment s"
                " cross join lateral st_lineinterpolatepoint(s.line, 0.5) p where gone_at is null"
                " order by st_x(p) desc limit 1"
            )
        ).one()
    x, y = (float(v) for v in from_wgs84(lon, lat, "bd09"))
    assert to_wgs84(x, y, "bd09")[0] == pytest.approx(lon, abs=1e-6)
    body = reported(desk, "垃圾满溢", location={"lon": x, "lat": y, "datum": "wgs84"})
    assert (body["queue"], body["location"]) == ("place_needed", None)
    assert "datum_suspect" in body["flags"]
    assert any(c.get("datum") == "bd09" for c in body["candidates"])


def test_a_point_far_from_its_words_waits_with_both(desk: Office) -> None:
    lon, lat = crossing(desk)
    far = max(
        (on_street(desk, name) for name in ("永胜路", "站前路")),
        key=lambda p: abs(p[0] - lon) + abs(p[1] - lat),
    )
    body = reported(desk, CROSSING, location={"lon": far[0], "lat": far[1], "datum": "wgs84"})
    assert (body["queue"], body["location"]) == ("place_needed", None)
    assert "point_disagrees" in body["flags"]
    assert {c["match"] for c in body["candidates"]} >= {"point", "crossing"}


def test_the_datum_of_a_channel_is_its_default(desk: Office) -> None:
    """12345 sends GCJ-02, patrol WGS 84 (domain notes 6.2)."""
    lon, lat = on_street(desk, "永胜路", 0.4)
    for channel, datum in (("hotline_12345", "gcj02"), ("patrol", "wgs84")):
        x, y = (float(v) for v in from_wgs84(lon, lat, datum))
        body = reported(desk, "垃圾满溢", channel=channel, location={"lon": x, "lat": y})
        assert body["location"]["lon"] == pytest.approx(lon, abs=1e-6)
        assert body["location"]["lat"] == pytest.approx(lat, abs=1e-6)
