"""The ground and the crews in a server's memory: the tables' own answers, and never a stale one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import numpy as np
import psycopg
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.schemas import reason_text
from api.services import Services, make_services
from dispatch.placement import Placement
from dispatch.routing import route
from grid.change_counts import MOST_ROWS, add_up, read_marks
from grid.core.crs import to_plane
from grid.crews import crew_at
from grid.kept_crews import crew_kept
from grid.kept_ground import keep_ground, kept_ground
from grid.locate import crew_of, locate
from grid.town import town_facts
from tests.databases import TestCluster

NOW = datetime.now(UTC)


@pytest.fixture
def server(cluster: TestCluster, town_template: str) -> Iterator[Services]:
    """Services that keep their ground, on a town of their own."""
    with cluster.database(town_template) as url:
        services = make_services(cluster.settings(url))
        keep_ground(services.engine)
        yield services
        services.engine.dispose()


def elsewhere(services: Services, statement: str) -> None:
    """A change that another process commits, straight in SQL."""
    url = services.settings.database.database_url
    with psycopg.connect(str(url), autocommit=True) as connection:
        connection.execute(statement)


def is_kept(session: Session) -> bool:
    """Whether the next answer comes from memory; waits for the background to read what changed."""
    kept = kept_ground(session)
    assert kept is not None
    until = monotonic() + 10
    while monotonic() < until:
        marks = read_marks(session)
        assert marks is not None
        if kept.current(marks) is not None:
            return True
    return False


def places(session: Session, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Random places in and around the town and its crossings, in the plane."""
    rows = session.execute(text("select st_x(point_plane), st_y(point_plane) from crossing")).all()
    crossings = np.array([tuple(row) for row in rows])
    low, high = crossings.min(axis=0) - 400, crossings.max(axis=0) + 400
    return np.concatenate([np.random.default_rng(7).uniform(low, high, (count, 2)), crossings[:60]])


def test_memory_answers_as_the_tables_do(server: Services, cluster: TestCluster) -> None:
    plain = make_services(cluster.settings(str(server.settings.database.database_url)))
    with plain.sessions() as tables, server.sessions() as memory:
        assert kept_ground(tables) is None
        assert is_kept(memory)
        for at in (NOW, NOW - timedelta(days=4000)):
            for x, y in places(tables, 150).tolist():
                expected = locate(tables, x, y, at, neighbour_m=20.0)
                got = locate(memory, x, y, at, neighbour_m=20.0)
                assert got is not None
                assert replace(got, crew=None) == expected
                if got.grid is not None:
                    crew = crew_at(tables, got.grid.id, got.segment_id, at)
                    assert crew_kept(memory, got.grid.id, got.segment_id, at) == crew
                    assert got.crew in (None, (at, crew))
                    assert crew_of(memory, got, at) == crew
    plain.engine.dispose()


def test_what_another_process_commits_is_seen_by_the_very_next_call(server: Services) -> None:
    with server.sessions() as session:
        x, y = places(session, 1)[-1].tolist()
        found = locate(session, x, y, NOW, neighbour_m=20.0)
        assert found is not None
        assert found.grid is not None
        grid_id, segment_id = found.grid.id, found.segment_id
        crew = crew_kept(session, grid_id, segment_id, NOW).answering("officer")
        assert crew is not None
        again = locate(session, x, y, NOW, neighbour_m=20.0)
        assert again is not None
        assert again.crew is not None
        elsewhere(server, f"update staff set name = 'Somebody Else' where id = {crew.person.id}")
        changed = locate(session, x, y, NOW, neighbour_m=20.0)
        assert changed is not None
        assert changed.crew is None
        officer = crew_kept(session, grid_id, segment_id, NOW).answering("officer")
        assert officer is not None
        assert officer.person.name == "Somebody Else"
        elsewhere(server, f"update grid set name = 'Renamed' where id = {grid_id}")
        renamed = locate(session, x, y, NOW, neighbour_m=20.0)
        assert renamed is not None
        assert renamed.grid is not None
        assert renamed.grid.name == "Renamed"
        elsewhere(server, f"update segment set gone_at = now() where id = {segment_id}")
        other = locate(session, x, y, NOW, neighbour_m=20.0)
        assert other is not None
        assert other.segment_id != segment_id
        assert is_kept(session)
        kept = locate(session, x, y, NOW, neighbour_m=20.0)
        assert kept is not None
        assert replace(kept, crew=None) == other


def test_what_was_taken_back_leaves_nothing_behind(server: Services) -> None:
    with server.sessions() as session:
        x, y = places(session, 1)[0].tolist()
        found = locate(session, x, y, NOW, neighbour_m=20.0)
        assert found is not None
        assert found.grid is not None
        ids = (found.grid.id, found.segment_id)
        before = crew_kept(session, *ids, NOW)
        session.execute(text("update staff set name = 'Never'"))
        inside = crew_kept(session, *ids, NOW).answering("officer")
        assert inside is not None
        assert inside.person.name == "Never"
        session.rollback()
        elsewhere(server, "update staff set phone = phone")  # the count is the same again
        assert crew_kept(session, *ids, NOW) == before


def test_leave_begins_and_ends_inside_what_is_kept(server: Services) -> None:
    with server.sessions() as session:
        x, y = places(session, 1)[0].tolist()
        found = locate(session, x, y, NOW, neighbour_m=20.0)
        assert found is not None
        assert found.grid is not None
        ids = (found.grid.id, found.segment_id)
        officer = crew_kept(session, *ids, NOW).answering("officer")
        assert officer is not None
        away = officer.person.id
        since, until = NOW + timedelta(days=30), NOW + timedelta(days=33)
        elsewhere(
            server,
            f"insert into absence (staff_id, valid) values ({away},"
            f" tstzrange('{since.isoformat()}', '{until.isoformat()}'))",
        )
        moment = timedelta(microseconds=1)
        for at in (since - moment, since, until - moment, until, since, until):
            assert crew_kept(session, *ids, at) == crew_at(session, *ids, at)
        there = crew_kept(session, *ids, since - moment).answering("officer")
        stand_in = crew_kept(session, *ids, since).answering("officer")
        assert there is not None
        assert stand_in is not None
        assert (there.person.id == away, stand_in.person.id == away) == (True, False)


def test_the_reason_tells_who_was_equally_near_and_what_decided(server: Services) -> None:
    with server.sessions() as session:
        row = session.execute(
            text(
                "select c.id, st_x(c.point) as lon, st_y(c.point) as lat from crossing c"
                " join segment s on c.id in (s.from_crossing_id, s.to_crossing_id)"
                " where s.gone_at is null group by c.id having count(*) >= 3 order by c.id limit 1"
            )
        ).one()
        meeting = session.execute(
            text(
                "select s.id, s.rank, coalesce(t.name, '') as street from segment s"
                " left join street t on t.id = s.street_id where s.gone_at is null"
                " and :crossing in (s.from_crossing_id, s.to_crossing_id) order by s.rank, s.id"
            ),
            {"crossing": row.id},
        ).all()
        x, y = to_plane(row.lon, row.lat, town_facts(session).plane_epsg)
        found = locate(session, float(x), float(y), NOW, neighbour_m=20.0)
        assert found is not None
        assert found.segment_id == meeting[0].id
        assert set(found.equal_ids) == {one.id for one in meeting}
        alone = meeting[0].rank < meeting[1].rank
        assert found.decided_by == ("rank" if alone else "id")
        routed = route(Placement(waits=False, located=found), None, None)
        told = next(r for r in routed.reasons if r.code.startswith("segment.equal_"))
        assert told.code == f"segment.equal_{found.decided_by}"
        assert told.values["count"] == len(meeting)
        for language in ("zh", "en"):
            sentence = reason_text([told.plain()], language)
            assert all(str(one.id) in sentence for one in meeting)
            assert all(one.street in sentence for one in meeting)


def test_far_from_every_street_the_tables_answer(server: Services) -> None:
    with server.sessions() as session:
        x, y = places(session, 1)[0].tolist()
        assert locate(session, x + 1e6, y, NOW, neighbour_m=20.0) is not None
        line = session.scalar(
            text(
                "select st_asbinary(line_plane) from segment where gone_at is null order by id limit 1"
            )
        )
        middle = shapely.from_wkb(bytes(line)).interpolate(0.5, normalized=True)
        found = locate(session, middle.x, middle.y, NOW, neighbour_m=20.0)
        assert found is not None
        assert found.distance_m < 1e-6


def test_writers_in_opposite_order_never_wait_for_each_other(server: Services) -> None:
    url = str(server.settings.database.database_url)
    quick = "-clock_timeout=2s -cdeadlock_timeout=100ms"
    with psycopg.connect(url, options=quick) as one, psycopg.connect(url, options=quick) as other:
        for first, second in ((one, other), (other, one)):
            first.execute("update staff set phone = phone where id = (select min(id) from staff)")
            second.execute("update grid set name = name where id = (select min(id) from grid)")
            first.execute("update grid set name = name where id = (select max(id) from grid)")
            second.execute("update staff set phone = phone where id = (select max(id) from staff)")
            second.commit()
            first.commit()


def test_a_change_counts_when_it_is_seen_and_not_before(server: Services) -> None:
    url = str(server.settings.database.database_url)
    with psycopg.connect(url) as early, psycopg.connect(url) as late, server.sessions() as session:
        before = read_marks(session)
        assert before is not None
        early.execute("update grid set name = 'Early' where id = (select min(id) from grid)")
        late.execute("update grid set name = 'Late' where id = (select max(id) from grid)")
        seen = read_marks(session)
        assert seen is not None
        assert seen.grids == before.grids
        # The one that began to write first is seen last.
        late.commit()
        after_late = read_marks(session)
        assert after_late is not None
        assert after_late.grids != before.grids
        early.commit()
        after_both = read_marks(session)
        assert after_both is not None
        assert len({before.grids, after_late.grids, after_both.grids}) == 3
        assert (after_both.streets, after_both.people) == (before.streets, before.people)


def test_a_session_that_has_changed_something_itself_reads_the_tables(server: Services) -> None:
    with server.sessions() as session:
        before = read_marks(session)
        assert before is not None
        for _ in range(2):
            session.execute(text("update staff set phone = phone where id = 1"))
            assert read_marks(session) is None
        session.rollback()
        assert read_marks(session) is not None
        with session.begin_nested() as point:
            session.execute(text("update staff set phone = phone where id = 1"))
            point.rollback()
        after = read_marks(session)
        assert after is not None
        assert after.people == before.people
        session.execute(text("update staff set phone = phone where id = 1"))
        session.commit()
        last = read_marks(session)
        assert last is not None
        assert last.people != before.people


def test_many_statements_in_one_transaction_count_once(server: Services) -> None:
    count = text("select count(*) from change_count where part = 'people'")
    with server.sessions() as session:
        before = session.scalar(count) or 0
        for _ in range(50):
            session.execute(text("update staff set phone = phone where id = 1"))
        assert session.scalar(count) == before + 1


def test_counters_added_up_are_few_and_the_same(server: Services) -> None:
    for _ in range(MOST_ROWS + 1):
        elsewhere(server, "update staff set phone = phone where id = 1")
    count = text("select count(*) from change_count")
    with server.sessions() as session, server.sessions() as open_writer:
        open_writer.execute(text("update staff set phone = phone where id = 2"))
        before = read_marks(session)
        assert add_up(session)
        session.commit()
        after = read_marks(session)
        assert before is not None
        assert after is not None
        assert (after.streets, after.grids, after.people) == (
            before.streets,
            before.grids,
            before.people,
        )
        assert session.scalar(count) == 3
        assert not add_up(session)
        open_writer.commit()
        last = read_marks(session)
        assert last is not None
        assert last.people != before.people
