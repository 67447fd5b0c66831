"""The phone's own calls over HTTP: reports from patrol, counting once, shifts, positions, patrol coverage."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from api.services import Services
from dispatch import attendance, field_desk
from tests.acceptance.site import category_of, report_at, spot_of
from tests.media_files import film, ogg, webm
from tests.web import Office, office


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((400, 300), 30).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def send_report(
    desk: Office, role: str, client_id: str, photo: bytes, **said: Any
) -> httpx.Response:
    stages = said.pop("photos", ("before",))
    files = [(stage, (f"{stage}.jpg", photo, "image/jpeg")) for stage in stages]
    data = {"client_id": client_id, **said}
    return desk.ask(role, "POST", "/field/reports", data=data, files=files)


def line_of_mine(services: Services, username: str) -> tuple[int, list[tuple[float, float]], float]:
    """The longest segment of a person's grids: id, its points every tenth, length."""
    with services.sessions() as session:
        row = session.execute(
            text(
                "select s.id, s.length_m, (select array_agg(array[st_x(q), st_y(q)] order by n) from"
                " generate_series(0, 10) n, lateral st_lineinterpolatepoint(s.line, n / 10.0) q) as points"
                " from account a join post_holding p on p.staff_id = a.staff_id and upper_inf(p.valid)"
                " join grid_segment h on h.grid_id = p.grid_id and upper_inf(h.valid)"
                " join segment s on s.id = h.segment_id and s.gone_at is null"
                " where a.username = :name order by s.length_m desc limit 1"
            ),
            {"name": username},
        ).one()
    return row.id, [(lon, lat) for lon, lat in row.points], row.length_m


def test_found_and_fixed_ends_at_once_and_counts_once(desk: Office, photo: bytes) -> None:
    lon, lat = desk.ground_of("cleaner")
    said = {
        "description": "路边散落垃圾，已清",
        "category": category_of(desk.services, "cleaner"),
        "lon": lon,
        "lat": lat,
        "fixed_on_spot": True,
        "photos": ("before", "before", "after"),
    }
    first = send_report(desk, "cleaner", "fixed-0001", photo, **said)
    assert first.status_code == 201, first.text
    body = first.json()
    assert body["status"] == "fixed_on_spot"
    assert [item["stage"] for item in body["evidence"]] == ["before", "before", "after"]
    assert body["tasks"] == [], "nobody is sent to what is done"
    again = send_report(desk, "cleaner", "fixed-0001", photo, **said)
    assert again.status_code == 200
    assert (again.json()["number"], len(again.json()["evidence"])) == (body["number"], 3)


def test_found_and_fixed_needs_both_photographs_and_nothing_stays_without(
    desk: Office, photo: bytes
) -> None:
    lon, lat = desk.ground_of("cleaner")
    said = {"description": "只拍了一张", "lon": lon, "lat": lat, "fixed_on_spot": True}
    answer = send_report(desk, "cleaner", "fixed-0002", photo, **said)
    assert (answer.status_code, answer.json()["code"]) == (422, "move.photo_missing")
    with desk.services.sessions() as session:
        count = session.scalar(
            text("select count(*) from incident where description = '只拍了一张'")
        )
    assert count == 0


def test_a_report_from_patrol_goes_to_whoever_answers(desk: Office, photo: bytes) -> None:
    lon, lat = desk.ground_of("cleaner")
    category = category_of(desk.services, "gardener")
    said = {"description": "树枝折断", "category": category, "lon": lon, "lat": lat}
    body = send_report(desk, "cleaner", "patrol-0001", photo, **said).json()
    assert body["status"] == "in_disposal"
    assert body["tasks"][0]["post"] == "gardener"


def test_fixed_without_a_known_place_waits_for_one(desk: Office, photo: bytes) -> None:
    said = {"description": "说不清在哪", "fixed_on_spot": True, "photos": ("before", "after")}
    body = send_report(desk, "cleaner", "fixed-0003", photo, **said).json()
    assert (body["status"], len(body["evidence"])) == ("reported", 2)


def test_the_same_move_sent_twice_counts_once(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "重发", category_of(desk.services, "cleaner"))
    version = desk.get("cleaner", f"/incidents/{number}").json()["version"]
    body = {"move": "accept_task", "version": version}
    key = {"Idempotency-Key": "once-0001"}
    answers = [desk.post("cleaner", f"/incidents/{number}/moves", body, headers=key) for _ in "12"]
    assert [answer.status_code for answer in answers] == [200, 200]
    history = desk.get("cleaner", f"/incidents/{number}/history").json()
    assert [line["move"] for line in history].count("accept_task") == 1
    other = desk.post("cleaner", f"/incidents/{number}/moves", body)
    assert other.status_code == 409, "without the key the second one is late"


def test_the_holder_of_a_task_puts_its_pin_right(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "位置偏了", category_of(desk.services, "cleaner"))
    _, points, _ = line_of_mine(desk.services, "cleaner")
    lon, lat = points[3]
    moved = desk.post("cleaner", f"/field/incidents/{number}/pin", {"lon": lon, "lat": lat})
    assert moved.status_code == 200, moved.text
    assert moved.json()["location"]["lon"] == pytest.approx(lon, abs=1e-6)
    stranger = desk.post("gardener", f"/field/incidents/{number}/pin", {"lon": lon, "lat": lat})
    assert stranger.status_code == 404


def test_the_desk_of_a_phone_has_all_of_it(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    category = category_of(desk.services, "cleaner")
    before = report_at(desk.services, spot, "上一次", category)
    number = report_at(desk.services, spot, "这一次", category)
    body = desk.get("cleaner", "/field/desk").json()
    mine = next(task for task in body["tasks"] if task["incident"]["number"] == number)
    assert before in [item["number"] for item in mine["earlier"]]
    assert mine["seq"] >= 1
    assert mine["extension"] is None
    posts = {person["post"] for person in body["colleagues"]}
    assert {"gardener", "officer", "maintainer"} <= posts
    ground = desk.get("cleaner", "/field/ground").json()["features"]
    assert {feature["properties"]["kind"] for feature in ground} >= {"segment"}
    assert spot.grid in {feature["properties"]["grid"] for feature in ground}


def test_asking_for_more_time_shows_the_answer(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "要延时", category_of(desk.services, "cleaner"))
    move = f"/incidents/{number}/moves"
    assert desk.post("cleaner", move, {"move": "ask_extension", "note": "缺车"}).status_code == 200
    assert extension_of(desk, number)["move"] == "ask_extension"
    refusal = {"move": "refuse_extension", "note": "车已派"}
    assert desk.post("dispatcher", move, refusal).status_code == 200
    assert extension_of(desk, number) | {"at": ""} == {
        "move": "refuse_extension",
        "note": "车已派",
        "at": "",
    }


def test_a_task_of_the_whole_unit_is_seen_by_all_and_taken_by_one(desk: Office) -> None:
    with desk.services.sessions() as session:
        unit = session.execute(
            text(
                "select u.name, u.id from account a join staff s on s.id = a.staff_id"
                " join unit u on u.id = s.unit_id where a.username = 'cleaner'"
            )
        ).one()
        colleague = session.execute(
            text(
                "select s.id, s.name from staff s where s.unit_id = :unit and s.left_at is null"
                " and s.id <> (select staff_id from account where username = 'cleaner') limit 1"
            ),
            {"unit": unit.id},
        ).one()
    spot = spot_of(desk.services, "gardener")
    number = report_at(desk.services, spot, "班组任务", category_of(desk.services, "gardener"))
    move = f"/incidents/{number}/moves"
    given = desk.post("dispatcher", move, {"move": "add_task", "to": unit.name, "note": "整班"})
    assert given.status_code == 200, given.text

    def mine() -> dict[str, Any]:
        tasks = desk.get("cleaner", "/field/desk").json()["tasks"]
        ours = [t for t in tasks if t["incident"]["number"] == number]
        found: dict[str, Any] = max(ours, key=lambda task: int(task["id"]))
        return found

    assert (mine()["of_unit"], mine()["taken_by"]) == (True, None)
    assert "accept_task" in mine()["incident"]["moves"]
    with desk.services.sessions() as session:
        session.execute(
            text(
                "update task set assignee_id = :who, status = 'accepted', accepted_at = now()"
                " where id = :id"
            ),
            {"who": colleague.id, "id": mine()["id"]},
        )
        session.commit()
    assert (mine()["of_unit"], mine()["taken_by"]) == (False, colleague.name)
    assert "accept_task" not in mine()["incident"]["moves"]


def extension_of(desk: Office, number: str) -> dict[str, Any]:
    tasks = desk.get("cleaner", "/field/desk").json()["tasks"]
    found: dict[str, Any] = next(t for t in tasks if t["incident"]["number"] == number)["extension"]
    return found


def test_a_shift_with_positions_and_patrolled_streets(desk: Office) -> None:
    now = datetime.now(UTC)
    segment_id, points, length_m = line_of_mine(desk.services, "gardener")
    began = now - timedelta(minutes=30)
    signed = desk.post(
        "gardener",
        "/shift/sign-in",
        {"at": began.isoformat(), "lon": points[0][0], "lat": points[0][1], "client_id": "s-1"},
    ).json()
    assert signed["on_shift"] is True
    assert signed["began_m"] == pytest.approx(0.0, abs=0.2)
    assert (signed["covered"], signed["share"]) == (0, 0)
    # Every tenth of the first half of the segment, a minute and a half apart: six positions.
    walked = [
        {
            "at": (began + timedelta(seconds=90 * n)).isoformat(),
            "lon": lon,
            "lat": lat,
            "accuracy_m": 8,
        }
        for n, (lon, lat) in enumerate(points[:6])
    ]
    early = {
        "at": (began - timedelta(hours=1)).isoformat(),
        "lon": points[0][0],
        "lat": points[0][1],
    }
    kept = desk.post("gardener", "/me/positions", {"positions": [early, *walked]}).json()
    assert kept == {"kept": 6, "outside_shift": 1}, "before the shift nothing is kept"
    with desk.services.sessions() as session:
        share = session.scalar(
            text("select share from patrol_cover where segment_id = :id"), {"id": segment_id}
        )
    # Half the segment, and 30 m beyond the last position.
    assert 0.5 <= share <= 0.5 + 31 / length_m + 0.01
    seen = desk.get("dispatcher", "/on-duty").json()
    mine = next(row for row in seen if row["post"] == "gardener")
    assert mine["position"]["lon"] == pytest.approx(points[5][0], abs=1e-6)
    assert mine["position"]["age_s"] == pytest.approx(30 * 60 - 5 * 90, abs=60)
    assert desk.get("gardener", "/on-duty").status_code == 403
    out = desk.post("gardener", "/shift/sign-out", {"at": now.isoformat()}).json()
    assert out["on_shift"] is False
    assert all(row["post"] != "gardener" for row in desk.get("dispatcher", "/on-duty").json())
    late = {
        "at": (now + timedelta(seconds=30)).isoformat(),
        "lon": points[0][0],
        "lat": points[0][1],
    }
    after = desk.post("gardener", "/me/positions", {"positions": [late]}).json()
    assert after == {"kept": 0, "outside_shift": 1}, "after the shift nothing is kept"


def test_positions_are_forgotten_and_a_forgotten_shift_ends(desk: Office) -> None:
    now = datetime.now(UTC)
    lon, lat = desk.ground_of("officer")
    desk.post("officer", "/shift/sign-in", {"at": now.isoformat(), "lon": lon, "lat": lat})
    fix = {"at": now.isoformat(), "lon": lon, "lat": lat}
    assert desk.post("officer", "/me/positions", {"positions": [fix]}).json()["kept"] == 1
    with desk.services.sessions() as session:
        assert (
            attendance.forget_positions(session, now + timedelta(days=29), timedelta(days=30)) == 0
        )
        assert (
            attendance.forget_positions(session, now + timedelta(days=31), timedelta(days=30)) >= 1
        )
        assert attendance.end_forgotten(session, now + timedelta(hours=15)) == 0
        assert attendance.end_forgotten(session, now + timedelta(hours=17)) == 1
        ended = session.execute(
            text("select ended_at - began_at as long from attendance where ended_by_clock")
        ).scalar_one()
        session.rollback()
    assert ended == timedelta(hours=16)


def test_a_moment_of_the_future_is_no_sign_in(desk: Office) -> None:
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = desk.post("maintainer", "/shift/sign-in", {"at": at})
    assert (answer.status_code, answer.json()["code"]) == (422, "shift.in_future")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (webm(sized=False), "audio/webm"),
        (ogg(), "audio/ogg"),
        (film(b"mp42", b"soun"), "audio/mp4"),
    ],
)
def test_a_voice_note_is_no_photograph(desk: Office, content: bytes, kind: str) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "语音", category_of(desk.services, "cleaner"))
    files = {"photo": ("voice", content, "application/octet-stream")}
    sent = desk.ask("cleaner", "POST", f"/incidents/{number}/evidence", files=files, data={"stage": "after"})  # fmt: skip
    assert sent.status_code == 201, sent.text
    item = desk.get("cleaner", f"/incidents/{number}").json()["evidence"][0]
    assert (item["stage"], item["media_type"], item["thumbnail_url"]) == ("after", kind, None)
    heard = desk.client.get(
        item["url"], headers={"Authorization": f"Bearer {desk.token('cleaner')}"}
    )
    assert (len(heard.content), heard.headers["content-type"]) == (len(content), kind)
    done = desk.post("cleaner", f"/incidents/{number}/moves", {"move": "finish_task"})
    assert (done.status_code, done.json()["code"]) == (422, "move.photo_missing")


def test_a_heic_picture_is_no_recording(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "苹果照片", category_of(desk.services, "cleaner"))
    files = {"photo": ("p.heic", b"\x00\x00\x00\x18ftypheic" + b"\x00" * 40, "image/heic")}
    answer = desk.ask("cleaner", "POST", f"/incidents/{number}/evidence", files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "evidence.not_a_photo")


def line_of(desk: Office, number: str, move: str) -> dict[str, Any]:
    lines: list[dict[str, Any]] = desk.get("cleaner", f"/incidents/{number}/history").json()
    return next(line for line in reversed(lines) if line["move"] == move)


def made_earlier(services: Services, number: str, minutes: int) -> None:
    """As if it had been reported and given so long ago; its limit ended ten minutes ago."""
    values = {"n": number, "by": timedelta(minutes=minutes)}
    with services.sessions() as session:
        session.execute(text("alter table history disable trigger user"))
        session.execute(
            text(
                "update history set at = at - cast(:by as interval) where incident_id ="
                " (select id from incident where number = :n)"
            ),
            values,
        )
        session.execute(text("alter table history enable trigger user"))
        session.execute(
            text(
                "update task set assigned_at = assigned_at - cast(:by as interval),"
                " due_at = now() - interval '10 minutes' where incident_id ="
                " (select id from incident where number = :n)"
            ),
            values,
        )
        clocks = session.execute(
            text("select clocks from incident where number = :n"), values
        ).scalar_one()
        for clock in clocks:
            for name in ("started_at", "stopped_at"):
                if clock[name]:
                    moved = datetime.fromisoformat(clock[name]) - timedelta(minutes=minutes)
                    clock[name] = moved.isoformat()
            if clock["kind"] == "disposal":  # its limit ended ten minutes ago
                clock |= {"value": minutes - 10, "unit": "minutes"}
        session.execute(
            text("update incident set clocks = cast(:clocks as jsonb) where number = :n"),
            {**values, "clocks": json.dumps(clocks)},
        )
        session.commit()


def test_work_done_in_time_without_network_is_on_time_when_it_is_received_late(
    desk: Office, photo: bytes
) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "断网处理", category_of(desk.services, "cleaner"))
    made_earlier(desk.services, number, 60)
    now = datetime.now(UTC)
    accepted, done = now - timedelta(minutes=50), now - timedelta(minutes=38)
    moves = f"/incidents/{number}/moves"
    first = {"move": "accept_task", "done_at": accepted.isoformat()}
    assert desk.post("cleaner", moves, first).status_code == 200
    files = {"photo": ("a.jpg", photo, "image/jpeg")}
    desk.ask("cleaner", "POST", f"/incidents/{number}/evidence", files=files, data={"stage": "after"})  # fmt: skip
    answer = desk.post("cleaner", moves, {"move": "finish_task", "done_at": done.isoformat()})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["tasks"][0]["done_at"][:19] == done.isoformat()[:19]
    clocks = {clock["kind"]: clock for clock in body["clocks"]}
    assert clocks["disposal"]["lamp"] != "red", "done before its limit, received after it"
    assert clocks["disposal"]["stopped_at"][:19] == done.isoformat()[:19]
    assert datetime.fromisoformat(clocks["check"]["started_at"]) >= now
    line = line_of(desk, number, "finish_task")
    assert line["detail"]["done_at"][:19] == done.isoformat()[:19]
    assert datetime.fromisoformat(line["at"]) >= now, "the record's own moment is the receipt"


def test_a_moment_that_cannot_be_true_is_kept_and_does_not_count(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "时间不对", category_of(desk.services, "cleaner"))
    now = datetime.now(UTC)
    moves = f"/incidents/{number}/moves"
    before = {"move": "accept_task", "done_at": (now - timedelta(hours=3)).isoformat()}
    body = desk.post("cleaner", moves, before).json()
    assert datetime.fromisoformat(body["tasks"][0]["accepted_at"]) >= now
    detail = line_of(desk, number, "accept_task")["detail"]
    assert detail["not_counted"] == "before_last_step"
    assert detail["told_at"][:19] == before["done_at"][:19]
    ahead = {"move": "arrive", "done_at": (now + timedelta(hours=1)).isoformat()}
    assert desk.post("cleaner", moves, ahead).status_code == 200
    assert line_of(desk, number, "arrive")["detail"]["not_counted"] == "future"
    naive = desk.post(
        "cleaner", moves, {"move": "note", "note": "x", "done_at": "2026-11-23T10:00"}
    )
    assert naive.status_code == 422


def step_places(desk: Office, number: str) -> list[tuple[float, float]]:
    with desk.services.sessions() as session:
        rows = session.execute(
            text(
                "select st_x(p.point) as lon, st_y(p.point) as lat from step_place p join incident i"
                " on i.id = p.incident_id where i.number = :n order by p.seq"
            ),
            {"n": number},
        )
        return [(row.lon, row.lat) for row in rows]


def test_a_step_at_the_spot_keeps_where_it_was_made_and_whoever_checks_sees_how_far_that_is(
    desk: Office, photo: bytes
) -> None:
    """A thousandth of a degree of latitude is 111 m, on any meridian."""
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "到场定位", category_of(desk.services, "cleaner"))
    moves = f"/incidents/{number}/moves"
    here = {"lon": spot.lon, "lat": spot.lat + 0.001, "accuracy_m": 12.4}
    at_home = {"move": "accept_task", "lon": 120.1, "lat": 30.2}
    assert desk.post("cleaner", moves, at_home).status_code == 200
    assert desk.post("cleaner", moves, {"move": "arrive", **here}).status_code == 200
    files = {"photo": ("a.jpg", photo, "image/jpeg")}
    desk.ask("cleaner", "POST", f"/incidents/{number}/evidence", files=files, data={"stage": "after"})  # fmt: skip
    assert desk.post("cleaner", moves, {"move": "finish_task"}).status_code == 200
    # Accepted off the shift, finished without a position: of both nothing is kept.
    assert step_places(desk, number) == [pytest.approx((here["lon"], here["lat"]))]
    arrived = line_of(desk, number, "arrive")
    assert 106 <= arrived["detail"]["away_m"] <= 116
    assert arrived["detail"]["off_m"] == 12
    assert "place" not in arrived, "a phone reads no places, its own neither"
    for move in ("accept_task", "finish_task"):
        assert "away_m" not in line_of(desk, number, move)["detail"]

    def as_seen_by(role: str) -> dict[str, Any]:
        lines = desk.get(role, f"/incidents/{number}/history").json()
        found: dict[str, Any] = next(line for line in lines if line["move"] == "arrive")
        return found

    assert as_seen_by("dispatcher")["place"] == pytest.approx(
        {"lon": here["lon"], "lat": here["lat"]}
    )
    assert "place" not in as_seen_by("collector")
    assert as_seen_by("collector")["detail"]["away_m"] == arrived["detail"]["away_m"]
    for role in ("analyst", "evaluator"):
        seen = as_seen_by(role)
        assert "place" not in seen, role
        assert not {"away_m", "off_m"} & set(seen["detail"]), role
    check = next(
        one
        for one in desk.get("collector", "/field/desk").json()["checks"]
        if one["incident"]["number"] == number
    )
    assert [(one["move"], one["away_m"], one["off_m"]) for one in check["distances"]] == [
        ("arrive", arrived["detail"]["away_m"], 12)
    ]
    late = datetime.now(UTC) + timedelta(days=31)
    with desk.services.sessions() as session:
        attendance.forget_positions(session, late, timedelta(days=30))
        session.commit()
    assert step_places(desk, number) == [], "the place ends with the set time"
    assert "place" not in as_seen_by("dispatcher")
    assert as_seen_by("dispatcher")["detail"]["away_m"] == arrived["detail"]["away_m"]


def test_on_a_shift_any_step_keeps_its_place_and_the_desk_never(desk: Office) -> None:
    spot = spot_of(desk.services, "cleaner")
    number = report_at(desk.services, spot, "班上接单", category_of(desk.services, "cleaner"))
    here = {"lon": spot.lon, "lat": spot.lat}
    desk.post("cleaner", "/shift/sign-in", {"at": datetime.now(UTC).isoformat()})
    moves = f"/incidents/{number}/moves"
    assert desk.post("cleaner", moves, {"move": "accept_task", **here}).status_code == 200
    assert desk.post("dispatcher", moves, {"move": "note", "note": "催", **here}).status_code == 200
    desk.post("cleaner", "/shift/sign-out", {"at": datetime.now(UTC).isoformat()})
    assert step_places(desk, number) == [pytest.approx((spot.lon, spot.lat))]
    assert line_of(desk, number, "accept_task")["detail"]["away_m"] == 0
    wrong = desk.post("cleaner", moves, {"move": "arrive", "lon": 181.0, "lat": 0.0})
    assert wrong.status_code == 422


def test_of_many_checks_those_due_first_come_and_all_are_counted(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    spot = spot_of(desk.services, "cleaner")
    numbers = [report_at(desk.services, spot, f"待查{n}", category_of(desk.services, "cleaner")) for n in range(3)]  # fmt: skip
    with desk.services.sessions() as session:
        for hours, number in zip((3, 1, 2), numbers, strict=True):
            session.execute(
                text("update incident set status = 'checking', due_at = now() - interval '1 year' + make_interval(hours => :h)"
                     " where number = :n"), {"h": hours, "n": number},
            )  # fmt: skip
        session.commit()
    monkeypatch.setattr(field_desk, "CHECKS_MOST", 2)
    body = desk.get("collector", "/field/desk").json()
    assert {one["incident"]["number"] for one in body["checks"]} == {numbers[1], numbers[2]}
    assert body["checks_total"] >= 3
