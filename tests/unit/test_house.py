"""The rules of the house: arrows run one way, and every setting is explained."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grid.core.settings import (
    DatabaseSettings,
    NoticeSettings,
    OidcSettings,
    OutsideSettings,
    StoreSettings,
    TownSettings,
    WebSettings,
)

ROOT = Path(__file__).resolve().parent.parent.parent
FLOORS = ("grid", "dispatch", "maps", "api", "fixtures")


GROUPS = (
    DatabaseSettings,
    TownSettings,
    WebSettings,
    NoticeSettings,
    OidcSettings,
    OutsideSettings,
    StoreSettings,
)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the packages of a folder, with the contracts of pyproject.toml there."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The floors copied aside, so that a wrong import can be written into them."""
    folder = tmp_path_factory.mktemp("house")
    for floor in FLOORS:
        shutil.copytree(
            ROOT / floor,
            folder / floor,
            ignore=lambda _folder, names: [n for n in names if not n.endswith(".py") and "." in n],
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_floor_imports_downward_only(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("grid/crews.py", "from dispatch.models import Incident"),
        ("dispatch/routing.py", "import api.deps"),
        ("maps/styles.py", "from api.services import Services"),
        ("dispatch/intake.py", "from maps import frames"),
        ("grid/town.py", "import fixtures.town"),
    ],
)
def test_an_import_upward_is_found(copy: Path, file: str, statement: str) -> None:
    target = copy / file
    before = target.read_text()
    target.write_text(before + f"\n{statement}  # noqa\n")
    try:
        done = lint(copy)
    finally:
        target.write_text(before)
    assert done.returncode == 1
    assert file.removesuffix(".py").replace("/", ".") in done.stdout


def test_every_setting_is_explained() -> None:
    explained = (ROOT / ".env.example").read_text()
    for group in GROUPS:
        for name in group.model_fields:
            variable = f"{group.model_config['env_prefix']}{name}".upper()
            found = re.search(rf"((?:^#.*\n)+)#?\s*{variable}=", explained, re.M)
            assert found, f"{variable} is not explained in .env.example"
            assert len(found[1].strip("# \n")) > 20, f"{variable} has no sentence"


def test_what_is_explained_is_a_setting() -> None:
    explained = (ROOT / ".env.example").read_text()
    known = {
        f"{group.model_config['env_prefix']}{name}".upper()
        for group in GROUPS
        for name in group.model_fields
    }
    # Read by the commands, the scripts and these tests.
    known |= {"GRIDWARD_LANG", "GRIDWARD_PYTHON", "GRIDWARD_TEST_DATA"}
    assert set(re.findall(r"^#?\s*(GRIDWARD_\w+)=", explained, re.M)) - known == set()
