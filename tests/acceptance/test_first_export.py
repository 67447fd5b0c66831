"""What a server does ahead so that its first reader does not wait."""

from __future__ import annotations

from threading import Event

import pytest

from api import app
from api.services import Services
from tests.web import server_thread


def test_the_libraries_of_exports_are_loaded_before_anybody_asks(
    town_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = Event()
    monkeypatch.setattr(app, "WRITERS_AFTER_S", 0.0)
    monkeypatch.setattr(app, "load_writers", loaded.set)
    with server_thread(town_services):
        assert loaded.wait(30)
