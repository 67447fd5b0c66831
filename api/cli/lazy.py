"""Commands that are loaded when they are called: `gridward db status` need not wait for numba and GDAL."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# Typer carries a click of its own, whose UsageError has no public name; BadParameter is one.
UsageError: Any = typer.BadParameter.__base__


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is: module and attribute (a function, a Typer app or a group), and its line of help."""

    module: str
    attribute: str
    help: str


class LazyGroup(TyperGroup):
    """A group of commands known by their places."""

    def __init__(self, name: str, places: Mapping[str, Place], help_text: str) -> None:
        super().__init__(
            name=name, commands={}, help=help_text, no_args_is_help=True, rich_markup_mode=None
        )
        self._places = dict(places)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order they were given."""
        return list(self._places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, loaded now; None when there is none."""
        place = self._places.get(cmd_name)
        if place is None:
            return None
        found = command_of(getattr(import_module(place.module), place.attribute), cmd_name)
        gc.freeze()
        gc.enable()
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in self._places.items()])


def command_of(found: Any, name: str) -> Any:
    """The command of a function or a Typer app, named as it is called; a group is returned as it is."""
    if isinstance(found, LazyGroup):
        return found
    if not isinstance(found, typer.Typer):
        single = typer.Typer()
        single.command(name)(found)
        found = single
    # Plain help and no extra options, whatever the app was made with.
    found._add_completion = False
    found.rich_markup_mode = None
    found.pretty_exceptions_enable = False
    command = typer.main.get_command(found)
    command.name = name
    return command
