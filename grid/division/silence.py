"""METIS writes remarks to the standard output of C, where only results may stand: they are put aside."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT = 1


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Sends what C code writes to standard output nowhere; what Python has written goes out before."""
    sys.stdout.flush()
    library = ctypes.CDLL(None)
    library.fflush(None)
    kept = os.dup(STDOUT)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDOUT)
        yield
    finally:
        # C keeps its lines until its buffer is full: they must leave while nobody listens.
        library.fflush(None)
        os.dup2(kept, STDOUT)
        os.close(kept)
        os.close(nowhere)
