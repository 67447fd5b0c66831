"""Accounts: one-time passwords, named tokens with limits, sign-in elsewhere, looks at personal data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column(
        "account",
        sa.Column("must_change", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("account", sa.Column("oidc_subject", sa.Text(), nullable=True))
    op.create_unique_constraint(op.f("uq_account_oidc_subject"), "account", ["oidc_subject"])
    op.add_column("access_key", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("access_key", sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("reporter", sa.Column("anonymised_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "personal_read",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_personal_read_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_personal_read_incident_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_read")),
    )
    for column in ("at", "account_id", "incident_id"):
        op.create_index(op.f(f"ix_personal_read_{column}"), "personal_read", [column])


def downgrade() -> None:
    """Back."""
    op.drop_table("personal_read")
    op.drop_column("reporter", "anonymised_at")
    op.drop_column("access_key", "scopes")
    op.drop_column("access_key", "name")
    op.drop_constraint(op.f("uq_account_oidc_subject"), "account", type_="unique")
    op.drop_column("account", "oidc_subject")
    op.drop_column("account", "must_change")
