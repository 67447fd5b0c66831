"""The command `gridward`. Every command: `--help` with an example, `--json` for programs, exit 0, 2 or 1."""

from __future__ import annotations

import gc
import os
import sys

import typer

from api.cli.lazy import LazyGroup, Place, UsageError
from api.cli.output import language
from api.i18n import translate
from grid.core.errors import BadInput, NotFound, Trouble

# What is loaded at the start stays: looking through it for what could go is a sixth of the start.
gc.disable()

# In the order of the help; each with where it is and the line the help shows for it.
COMMANDS = {
    "serve": Place(
        "api.cli.serving", "serve", "Start the database, bring it up to date and serve."
    ),
    "worker": Place("api.cli.worker", "worker", "Send notices and run jobs beside the servers."),
    "db": Place("api.cli.database", "app", "The town's database."),
    "demo": Place("api.cli.demonstration", "demo", "Load the invented town."),
    "import": Place("api.cli.imports", "app", "Streets, people and incidents from files."),
    "divide": Place("api.cli.dividing", "divide", "Divide the streets into balanced grids."),
    "divisions": Place("api.cli.dividing", "divisions", "Divisions proposed and in force."),
    "grids": Place(
        "api.cli.grid_areas", "app", "Move segments, split, merge, name grids; give areas."
    ),
    "crews": Place("api.cli.crews", "crews", "Who holds which post, at any moment."),
    "cells": Place("api.cli.cells", "app", "Standard unit cells."),
    "places": Place(
        "api.cli.places", "app", "What corrections taught; points that stand for unknown."
    ),
    "suggest": Place(
        "api.cli.suggesting", "app", "Categories suggested from words, and learning them."
    ),
    "geocode": Place("api.cli.pointing", "geocode", "Find the places of a table's words."),
    "route": Place("api.cli.pointing", "route", "Find who answers for a table's points."),
    "export": Place("api.cli.exporting", "export", "Write a layer for QGIS or geopandas."),
    "check": Place("api.cli.checking", "check", "Prove that the town's data is whole."),
    "seal": Place("api.cli.sealing", "seal", "Seal the record of every day that is over."),
    "account": Place("api.cli.accounts", "app", "Who may sign in."),
}
app = LazyGroup(
    "gridward",
    COMMANDS,
    "Responsibility grids for a city's streets, and the dispatch of every incident.",
)


def main() -> None:
    """Runs a command: exit 2 with one clear line for bad input, 1 for anything else that fails."""
    try:
        code = app(standalone_mode=False)
    except Trouble as trouble:
        values = {"field": trouble.field or "", **trouble.values}
        print(translate(language(), trouble.code, **values), file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(trouble, (BadInput, NotFound)) else 1)
    except UsageError as error:
        words = error.format_message()
        whole_help = "\n" in words  # of a group called without a command
        print(words if whole_help else f"{words} (gridward --help)", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except typer.Exit as leaving:
        sys.exit(leaving.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`gridward … | head`): no more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
