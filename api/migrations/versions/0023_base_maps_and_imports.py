"""Base maps that the administrator keeps, and files that are brought on the page of imports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "base_map",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("subdomains", sa.Text(), server_default="", nullable=False),
        sa.Column("map_key", sa.Text(), server_default="", nullable=False),
        sa.Column("datum", sa.Text(), server_default="wgs84", nullable=False),
        sa.Column("attribution", sa.Text(), server_default="", nullable=False),
        sa.Column("max_zoom", sa.Integer(), server_default=sa.text("18"), nullable=False),
        sa.Column("place", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("shown", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint("datum in ('wgs84', 'gcj02', 'bd09')", name=op.f("ck_base_map_datum")),
        sa.CheckConstraint("max_zoom between 1 and 24", name=op.f("ck_base_map_max_zoom")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_base_map")),
    )
    op.create_table(
        "import_run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_hash", sa.Text(), nullable=False),
        sa.Column("asked", JSONB(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), server_default="", nullable=False),
        sa.Column("found", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("values", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status in ('checking', 'checked', 'importing', 'done', 'failed')",
            name=op.f("ck_import_run_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_import_run_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )
    op.create_index(op.f("ix_import_run_account_id"), "import_run", ["account_id"])
    op.create_index("ix_import_run_expires_at", "import_run", ["expires_at"])


def downgrade() -> None:
    """Back."""
    op.drop_table("import_run")
    op.drop_table("base_map")
