"""Documents (PDF) without what they say of themselves: cleaned by `document_child` in a process with bounds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from dispatch.document_child import LOCKED
from grid.core.errors import BadInput

_CHILD = Path(__file__).with_name("document_child.py")
_SECONDS = 60
# Each may take a gigabyte: two at a time, the others wait.
_AT_ONCE = threading.Semaphore(2)


def cleaned_document(content: bytes) -> tuple[bytes, dict[str, Any]]:
    """A PDF without Info, XMP, private data of programs, notes of pictures within, and what would run at opening.

    The notes: what Info said, `taken_out`; a signed one stays as it came (`signed`, `in_file`). Raises BadInput
    `evidence.document_locked`, `evidence.broken_document`.
    """
    with _AT_ONCE:
        try:
            done = subprocess.run(  # noqa: S603 (our own file, no words of others)
                [sys.executable, "-I", str(_CHILD)],
                input=content,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BadInput("evidence.broken_document", field="photo") from error
    if done.returncode == LOCKED:
        raise BadInput("evidence.document_locked", field="photo")
    told, newline, fresh = done.stdout.partition(b"\n")
    if done.returncode or not newline or not fresh:
        raise BadInput("evidence.broken_document", field="photo")
    notes: dict[str, Any] = json.loads(told)
    return fresh, notes
