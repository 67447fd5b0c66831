"""`gridward worker`: notices and jobs in a process of their own, beside servers without a worker."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import Annotated

import typer

from api.cli.opening import prepare
from api.cli.output import say
from api.cli.serving import leaving_by_signal, private_database
from api.worker import work


def worker(
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info, debug.")] = (
        "warning"
    ),
) -> None:
    """Send notices and run jobs until stopped. Example: gridward worker --log-level info"""
    stop = threading.Event()
    with leaving_by_signal(), private_database():
        services = prepare()
        logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s %(message)s")
        say("cli.working")
        with suppress(KeyboardInterrupt):
            # A thread of its own: a signal's KeyboardInterrupt must not break a message in the middle.
            thread = threading.Thread(target=work, args=(services, stop), daemon=True)
            thread.start()
            thread.join()
        stop.set()
        thread.join(15)
        services.engine.dispose()
