"""The daily seal: what a superuser changes behind everybody's back is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.cli.sealing import read_seals
from api.services import Services
from dispatch.chain import line_hash
from dispatch.checking import check_record
from dispatch.incidents import chained_fields
from dispatch.intake import take_in
from dispatch.reports import Report
from dispatch.seal import check_kept, seal_days, seals
from grid.checking import Finding
from grid.core.errors import BadInput
from tests.databases import TestCluster

NOW = datetime.now(UTC)
# One in the morning of the day after, in the town's own time.
TOWN_ZONE = ZoneInfo("Asia/Shanghai")
TOMORROW = NOW.astimezone(TOWN_ZONE).replace(hour=1) + timedelta(days=1)


@pytest.fixture
def sealed(
    cluster: TestCluster, empty_services: Services, empty_template: str
) -> Iterator[Session]:
    """Three incidents of today, sealed; as the database's superuser sees them, with the triggers off."""
    with empty_services.sessions() as session:
        for words in ("甲", "乙", "丙"):
            take_in(session, empty_services.desk, Report("patrol", words), "account:test", NOW)
        for number in _numbers(session):
            _append(session, number, "note", "第二行")
            _append(session, number, "note", "第三行")
        made = seal_days(session, empty_services.desk.zone, TOMORROW)
        assert [one.lines for one in made] == [9]
        session.execute(text("set local session_replication_role = replica"))
        yield session
        session.rollback()


def _numbers(session: Session) -> list[str]:
    return list(session.scalars(text("select number from incident order by id")))


def _append(session: Session, number: str, move: str, note: str) -> None:
    last = session.execute(
        text(
            "select h.incident_id, h.seq, h.hash from history h join incident i"
            " on i.id = h.incident_id where i.number = :number order by seq desc limit 1"
        ),
        {"number": number},
    ).one()
    row = {
        "incident_id": last.incident_id, "seq": last.seq + 1, "at": NOW, "actor": "account:x",
        "move": move, "from_status": "reported", "to_status": "reported", "note": note,
        "detail": {},
    }  # fmt: skip
    made = line_hash(last.hash, row["seq"], chained_fields(number, row))
    session.execute(
        text(
            "insert into history (incident_id, seq, at, actor, move, from_status, to_status, note,"
            " detail, previous_hash, hash) values (:incident_id, :seq, :at, :actor, :move,"
            " :from_status, :to_status, :note, '{}', :previous, :hash)"
        ),
        {**{k: v for k, v in row.items() if k != "detail"}, "previous": last.hash, "hash": made},
    )


def _rewrite(session: Session, number: str) -> None:
    """Makes every hash of an incident's chain anew, as somebody would who knows the program."""
    rows = session.execute(
        text(
            "select h.* from history h join incident i on i.id = h.incident_id"
            " where i.number = :number order by seq"
        ),
        {"number": number},
    ).mappings()
    previous = "0" * 64
    for row in rows.all():
        made = line_hash(previous, row["seq"], chained_fields(number, row))
        session.execute(
            text("update history set previous_hash = :previous, hash = :hash where id = :id"),
            {"previous": previous, "hash": made, "id": row["id"]},
        )
        previous = made


def found(session: Session) -> dict[str, list[object]]:
    # In the zone they were sealed in: elsewhere the day of a line may be over already.
    record: list[Finding] = check_record(session, TOWN_ZONE)
    codes = ("record.history_broken", "record.sealed_line", "record.seal_broken")
    return {one.code: list(one.things) for one in record if one.code in codes}


def test_a_sealed_record_is_whole(sealed: Session) -> None:
    assert found(sealed) == {}


def test_a_changed_line_is_named(sealed: Session) -> None:
    number = _numbers(sealed)[1]
    sealed.execute(
        text(
            "update history set note = '别的' where seq = 2 and incident_id ="
            " (select id from incident where number = :number)"
        ),
        {"number": number},
    )
    assert found(sealed) == {"record.history_broken": [f"{number} #2 changed"]}


def test_a_line_rewritten_with_all_later_ones_is_named(sealed: Session) -> None:
    number = _numbers(sealed)[1]
    sealed.execute(
        text(
            "update history set note = '别的' where seq = 2 and incident_id ="
            " (select id from incident where number = :number)"
        ),
        {"number": number},
    )
    _rewrite(sealed, number)
    assert found(sealed) == {"record.sealed_line": [f"{number} #2 changed"]}


def test_the_last_line_cut_off_is_named(sealed: Session) -> None:
    number = _numbers(sealed)[2]
    sealed.execute(
        text(
            "delete from history where seq = 3 and incident_id ="
            " (select id from incident where number = :number)"
        ),
        {"number": number},
    )
    assert found(sealed) == {"record.sealed_line": [f"{number} #3 missing"]}


def test_a_line_inserted_into_a_sealed_day_is_named(sealed: Session) -> None:
    number = _numbers(sealed)[0]
    _append(sealed, number, "note", "补的")
    assert found(sealed) == {"record.sealed_line": [f"{number} #4 inserted"]}


def test_a_line_of_the_next_day_is_none(sealed: Session) -> None:
    _append(sealed, _numbers(sealed)[0], "note", "明天")
    sealed.execute(
        text("update history set written_at = written_at + interval '2 days' where seq = 4")
    )
    assert found(sealed) == {}


def test_a_seal_made_to_fit_is_found_by_the_copy_outside(
    sealed: Session, empty_services: Services
) -> None:
    kept = {one.day: one.hash for one in seals(sealed)}
    assert check_kept(sealed, kept) == []
    number = _numbers(sealed)[1]
    sealed.execute(text("update history set note = '别的' where seq = 2"))
    _rewrite(sealed, number)
    sealed.execute(text("delete from seal_entry"))
    sealed.execute(text("delete from seal"))
    for other in _numbers(sealed):
        _rewrite(sealed, other)
    seal_days(sealed, empty_services.desk.zone, TOMORROW)
    assert found(sealed) == {}
    (finding,) = check_kept(sealed, kept)
    assert (finding.code, list(finding.things)) == (
        "record.seal_replaced", [day.isoformat() for day in kept],
    )  # fmt: skip


def test_days_are_sealed_once_in_order_and_without_a_gap(
    empty_services: Services, sealed: Session
) -> None:
    zone = empty_services.desk.zone
    assert seal_days(sealed, zone, TOMORROW) == []
    later = seal_days(sealed, zone, TOMORROW + timedelta(days=3))
    assert [one.lines for one in later] == [0, 0, 0]
    days = [one.day for one in seals(sealed)]
    assert days == [days[0] + timedelta(days=at) for at in range(4)]
    assert found(sealed) == {}


def test_a_day_with_an_open_transaction_waits(
    empty_services: Services, cluster: TestCluster
) -> None:
    with empty_services.sessions() as writer, empty_services.sessions() as session:
        take_in(writer, empty_services.desk, Report("patrol", "丁"), "account:test", NOW)
        assert seal_days(session, empty_services.desk.zone, TOMORROW) == []
        writer.rollback()


def test_seals_cannot_be_changed_by_the_program(sealed: Session) -> None:
    sealed.execute(text("set local session_replication_role = origin"))
    with pytest.raises(DBAPIError, match="append-only"):
        sealed.execute(text("update seal set lines = 1"))


def test_a_file_of_seals_is_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "seals.txt"
    file.write_text(f"2026-03-02 9 {'a' * 64}\n", encoding="utf-8")
    assert list(read_seals(file).values()) == ["a" * 64]
    file.write_text("gestern\n", encoding="utf-8")
    with pytest.raises(BadInput) as raised:
        read_seals(file)
    assert (raised.value.code, raised.value.values["line"]) == ("seal.file_unreadable", 1)
