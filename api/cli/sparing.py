"""Libraries that a command does without: the start of a process and its memory are theirs for the most part."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says of some libraries that they are not installed."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Nothing for a library that is not ours to find."""
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{fullname} is left out here", name=fullname)
        return None


def leave_out(*names: str) -> None:
    """From now on these libraries count as not installed, for whoever loads them only where they are.

    pyogrio and pyarrow load pandas whenever they find it: 60 MB and two seconds for a file that is written without it.
    What is loaded already stays.
    """
    absent = frozenset(name for name in names if name not in sys.modules)
    if absent:
        sys.meta_path.insert(0, _Absent(absent))
