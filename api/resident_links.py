"""The link a resident is given: a number is easily guessed, so what only its reporter may see and say asks for a key too."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import threading
from functools import lru_cache
from pathlib import Path

SECRET_FILE = "resident-links.key"  # noqa: S105 (a file's name)
KEY_SIGNS = 16


def key_of(home: Path, number: str) -> str:
    """The key of one report's page: 16 letters and figures, the same each time."""
    made = hmac.new(_secret(home / SECRET_FILE), number.encode(), hashlib.sha256).digest()
    return base64.b32encode(made).decode().lower()[:KEY_SIGNS]


def fits(home: Path, number: str, key: str) -> bool:
    """Whether a key is the one of this number."""
    return hmac.compare_digest(key_of(home, number).encode(), key.encode())


def page_of(home: Path, number: str) -> str:
    """The path of a report's page for whoever reported it."""
    return f"/track/{number}?key={key_of(home, number)}"


@lru_cache(maxsize=16)
def _secret(path: Path) -> bytes:
    """Made once; several processes may ask at once: one wins, and nobody else may read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        own.touch(mode=0o600)
        own.write_bytes(secrets.token_bytes(32))
        try:
            os.link(own, path)
        except FileExistsError:
            pass
        finally:
            own.unlink()
    return path.read_bytes()
