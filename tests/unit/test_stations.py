"""Small bureaus hold several stations at one desk; whoever did the work still neither checks nor closes it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dispatch.desk import merged_stations
from dispatch.facts import Actor, Facts, Rules
from dispatch.moves import State
from dispatch.workflow import allowed
from grid.core.errors import BadInput

NOW = datetime(2026, 3, 2, 9, tzinfo=ZoneInfo("Asia/Shanghai"))


def test_one_desk_holds_the_stations_named() -> None:
    found = merged_stations("operator=watch_chief, dispatcher; dispatcher=unit_head")
    assert found == {
        "operator": frozenset({"watch_chief", "dispatcher"}),
        "dispatcher": frozenset({"unit_head"}),
    }
    assert merged_stations("") == {}


@pytest.mark.parametrize(
    "written", ["operator", "operator=", "operator=boss", "boss=operator", "operator watch_chief"]
)
def test_what_is_no_station_is_refused(written: str) -> None:
    with pytest.raises(BadInput) as raised:
        merged_stations(written)
    assert raised.value.code == "settings.merged_stations"


def test_the_operator_files_and_closes_but_not_the_own_work() -> None:
    rules = Rules(also=merged_stations("operator=watch_chief,collector"))
    operator = Actor("staff:1", frozenset({"operator"}))
    assert "file" in allowed(operator, Facts(State.ACCEPTED), rules, NOW)
    assert "file" not in allowed(operator, Facts(State.ACCEPTED), Rules(), NOW)
    waiting = Facts(State.PENDING_CLOSE, doers=frozenset({"staff:2"}))
    assert "close" in allowed(operator, waiting, rules, NOW)
    own = Facts(State.PENDING_CLOSE, doers=frozenset({"staff:1"}))
    assert "close" not in allowed(operator, own, rules, NOW)
    checking = Facts(State.CHECKING, doers=frozenset({"staff:1"}))
    assert "check_passed" not in allowed(operator, checking, rules, NOW)
