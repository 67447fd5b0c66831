"""The command `gridward` for tests: run in this process on a test's database, its JSON object read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.cli import main
from api.services import Services

Command = Callable[..., tuple[int, dict[str, Any]]]


def command_on(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """A function that runs the command with `--json`: its exit code and the object it printed last."""
    monkeypatch.setenv("GRIDWARD_DATABASE_URL", str(services.settings.database.database_url))

    def command(*words: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr("sys.argv", ["gridward", *words, "--json"])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr().out.splitlines()
        return int(left.value.code or 0), json.loads(printed[-1]) if printed else {}

    return command
