"""What every ring of tests shares: where the real data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real streets, addresses and incidents; absent data fails the test, never skips it."""
    folder = Path(os.environ.get("GRIDWARD_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "us-cambridge").is_dir():
        pytest.fail(
            f"Real test data not found in {folder}. Set GRIDWARD_TEST_DATA to the folder that "
            "holds us-cambridge, china, taiwan, us-boston and europe.",
            pytrace=False,
        )
    return folder
