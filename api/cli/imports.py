"""`gridward import`: the commands of the ground, of people and of the bureau's rules, in the order of the help."""

from __future__ import annotations

from api.cli import importing_ground, importing_people, importing_rules
from api.cli.importing import app

__all__ = ["app", "importing_ground", "importing_people", "importing_rules"]
