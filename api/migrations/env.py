"""Alembic's environment: our tables only, PostGIS types by GeoAlchemy2's hooks, connection handed in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from geoalchemy2 import alembic_helpers

import api.models
import dispatch.models
import grid.models
from grid.core.database import Base

# Named so that the imports which fill the metadata are seen to be used.
TABLE_MODULES = (grid.models, dispatch.models, api.models)

Kind = Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"]


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Only tables we declare: not PostGIS's, not the job queue's, not the views for analysts."""
    if kind == "table":
        return name in Base.metadata.tables
    return True


def run() -> None:
    """Runs the migrations on the connection that `api/migrate.py` hands in."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        include_object=alembic_helpers.include_object,
        process_revision_directives=alembic_helpers.writer,
        render_item=alembic_helpers.render_item,
        compare_type=True,
        compare_server_default=False,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
