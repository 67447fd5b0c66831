"""Alembic's environment: our tables only, PostGIS types by GeoAlchemy2's hooks, connection handed in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from geoalchemy2 import alembic_helpers

import api.models
import dispatch.catalogue_models
import dispatch.chase_models
import dispatch.duplicate_models
import dispatch.field_models
import dispatch.models
import dispatch.notice_models
import dispatch.reply_models
import dispatch.seal_models
import dispatch.suggest_models
import grid.models
from grid.core.database import Base
from maps.views import drop_views

# Named so that the imports which fill the metadata are seen to be used.
TABLE_MODULES = (
    grid.models,
    dispatch.models,
    dispatch.catalogue_models,
    dispatch.chase_models,
    dispatch.duplicate_models,
    dispatch.field_models,
    dispatch.seal_models,
    dispatch.suggest_models,
    dispatch.notice_models,
    dispatch.reply_models,
    api.models,
)

Kind = Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"]


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Only tables we declare: not PostGIS's, not the job queue's, not the views for analysts."""
    if kind == "table":
        return name in Base.metadata.tables
    return True


def moving() -> bool:
    """Whether versions are changed, and not only compared."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
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
        if moving():
            # A view would forbid any change of the columns that it shows.
            drop_views(connection)
        context.run_migrations()


run()
