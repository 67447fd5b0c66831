"""The notebook runs from its first cell to its last, on the live views and on exported files."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from api.services import Services
from maps.export_filters import Wanted
from maps.export_rows import Watch
from maps.exports import export, plan_export
from maps.layers import find_layers

NOTEBOOK = Path(__file__).resolve().parents[2] / "fixtures" / "notebook" / "layers.ipynb"


def test_the_notebook_runs(
    town_services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(town_services.settings.database.database_url)
    for layers, name in (("segments,grids,incidents", "town.gpkg"), ("incidents", "incidents.parquet")):  # fmt: skip
        plan = plan_export(find_layers(layers), name, None, Wanted())
        export(url, plan, tmp_path / name, Watch(), ZoneInfo("Asia/Shanghai"))
    monkeypatch.setenv("GRIDWARD_ANALYST_URL", url)
    monkeypatch.setenv("GRIDWARD_EXPORTS", str(tmp_path))
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    shared: dict[str, object] = {}
    for cell in book["cells"]:
        assert cell["id"]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), cell["id"], "exec"), shared)  # noqa: S102
    assert len(shared["grids"]) == len(shared["evaluation"]) == 40  # type: ignore[arg-type]
