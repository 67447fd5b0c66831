"""The command `gridward`. Every command: `--help` with an example, `--json` for programs, exit 0, 2 or 1."""

from __future__ import annotations

import os
import sys

import click
import typer

import api.cli.accounts as accounts
import api.cli.checking as checking
import api.cli.database as database
import api.cli.demonstration as demonstration
import api.cli.dividing as dividing
import api.cli.exporting as exporting
import api.cli.importing as importing
import api.cli.pointing as pointing
import api.cli.serving as serving
from api.cli.output import language
from api.i18n import translate
from grid.core.errors import BadInput, NotFound, Trouble

app = typer.Typer(
    name="gridward",
    help="Responsibility grids for a city's streets, and the dispatch of every incident.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(database.app, name="db")
app.add_typer(importing.app, name="import")
app.add_typer(accounts.app, name="account")
app.command("serve")(serving.serve)
app.command("demo")(demonstration.demo)
app.command("divide")(dividing.divide)
app.command("geocode")(pointing.geocode)
app.command("route")(pointing.route)
app.command("export")(exporting.export)
app.command("check")(checking.check)


def main() -> None:
    """Runs a command: exit 2 with one clear line for bad input, 1 for anything else that fails."""
    try:
        code = app(standalone_mode=False)
    except Trouble as trouble:
        print(translate(language(), trouble.code, **trouble.values), file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(trouble, (BadInput, NotFound)) else 1)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`gridward … | head`): no more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
