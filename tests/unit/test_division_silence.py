"""What METIS has to say must not stand behind a command's result."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes
from grid.division.silence import silent_stdout
print("before")
with silent_stdout():
    ctypes.CDLL(None).puts(b"a remark of C code")
print("the result")
"""


def test_remarks_of_c_code_do_not_reach_standard_output() -> None:
    # A pipe, not a terminal: there C keeps its lines until the program ends.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["before", "the result"]
