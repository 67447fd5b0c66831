"""Last year's incident shows last year's grid and person, whatever was handed over since; a demo town that checks clean."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from api.services import Services
from tests.command import command_on
from tests.web import Office, office


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def test_the_invented_town_has_leaders_units_shifts_and_cells_and_checks_clean(
    town_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = command_on(town_services, monkeypatch, capsys)("check")
    assert (code, told["findings"]) == (0, [])
    with town_services.sessions() as session:
        row = session.execute(
            text(
                "select (select count(*) from cell) as cells, (select count(*) from shift) as shifts,"
                " (select count(*) from staff where reports_to is null) as on_top,"
                " (select count(*) from unit where kind = 'contractor' and parent_id is not null) as c,"
                " (select count(*) from incident where point is not null and cell_code is null) as bare"
            )
        ).one()
    assert row.cells > 500
    assert row.shifts == 20  # the lamp contractor's half of 40 maintainers
    assert (row.on_top, row.c, row.bare) == (1, 3, 0)


def test_last_years_incident_shows_last_years_grid_and_person_after_hand_overs(
    desk: Office,
    town_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    with town_services.sessions() as session:
        old = session.execute(
            text(
                "select i.number, i.segment_id, i.reported_at, g.code, t.post, s.name, s.staff_no"
                " from incident i join grid g on g.id = i.grid_id"
                " join task t on t.incident_id = i.id and t.lead and t.status = 'done'"
                " join staff s on s.id = t.assignee_id"
                " join post_holding p on p.grid_id = g.id and p.post = t.post and p.staff_id = s.id"
                " where i.status = 'closed' and t.post <> 'maintainer' order by i.reported_at limit 1"
            )
        ).one()
        other = session.execute(
            text("select staff_no, name from staff where post = :post and staff_no <> :no limit 1"),
            {"post": old.post, "no": old.staff_no},
        ).one()
        to_code = session.scalar(
            text("select min(code) from grid where code <> :code and upper_inf(valid)"),
            {"code": old.code},
        )
    path = f"/incidents/{old.number}"
    before = desk.get("dispatcher", path).json()

    run = command_on(town_services, monkeypatch, capsys)
    crews = pd.DataFrame([{"grid_code": old.code, old.post: other.staff_no}])
    crews.to_csv(tmp_path / "crews.csv", index=False)
    assert (
        run("import", "crews", str(tmp_path / "crews.csv"), "--hand-over", "all")[1]["taken"] == 1
    )
    words = ("grids", "move", str(old.segment_id), "--to", str(to_code), "--hand-over", "all")
    assert run(*words, "--allow-disconnected")[0] == 0

    after = desk.get("dispatcher", path).json()
    assert after["grid"]["code"] == before["grid"]["code"] == old.code
    assert after["tasks"] == before["tasks"]
    assert after["version"] == before["version"]
    crew = f"/grids/{old.code}/crew"
    then = desk.get("dispatcher", crew, params={"at": old.reported_at.isoformat()}).json()
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    now = desk.get("dispatcher", crew, params={"at": later}).json()
    assert then["posts"][old.post]["holder"]["name"] == old.name
    assert now["posts"][old.post]["holder"]["name"] == other.name
