"""Merged incidents and repeats of machines, kinds of evidence, categories with periods, who changed which rule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _id() -> sa.Column[sa.BigInteger]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def upgrade() -> None:
    """Forward."""
    _merging()
    _catalogue()
    op.add_column("evidence", sa.Column("kind", sa.Text(), server_default="photo", nullable=False))
    op.add_column(
        "evidence",
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_evidence_kind"), "evidence", "kind in ('photo', 'voice', 'video', 'document')"
    )


def _merging() -> None:
    op.add_column("incident", sa.Column("merged_into_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_incident_merged_into_id"), "incident", "incident", ["merged_into_id"], ["id"]
    )
    op.execute(
        "update incident i set merged_into_id = lead.id from incident lead"
        " where i.status = 'merged' and lead.number = i.facts->>'merged_into'"
    )
    op.create_index(
        "ix_incident_merged_into_id",
        "incident",
        ["merged_into_id"],
        unique=False,
        postgresql_where=sa.text("merged_into_id is not null"),
    )
    op.add_column(
        "incident", sa.Column("repeats", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("incident", _moment("last_repeat_at", nullable=True))
    op.add_column(
        "channel",
        sa.Column("machine", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "repeat",
        _id(),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("distance_m", sa.Float(), nullable=False),
        _moment("seen_at"),
        _moment("received_at"),
        sa.ForeignKeyConstraint(
            ["channel_code"], ["channel.code"], name=op.f("fk_repeat_channel_code")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_repeat_incident_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repeat")),
        sa.UniqueConstraint(
            "channel_code", "external_id", name=op.f("uq_repeat_channel_code_external_id")
        ),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_repeat_idempotency_key")),
    )
    op.create_index(op.f("ix_repeat_incident_id"), "repeat", ["incident_id"], unique=False)


def _catalogue() -> None:
    op.add_column("category", _moment("ended_at", nullable=True))
    op.add_column("category", sa.Column("replaced_by", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_category_replaced_by"), "category", "category", ["replaced_by"], ["code"]
    )
    op.create_table(
        "category_period",
        _id(),
        sa.Column("category_code", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("valid", postgresql.TSTZRANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("category_code"), "="),
            (sa.column("valid"), "&&"),
            name="ex_category_period_one_at_a_time",
            using="gist",
        ),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name=op.f("fk_category_period_category_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category_period")),
    )
    op.create_table(
        "catalogue_change",
        _id(),
        _moment("at"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        _moment("from_at"),
        sa.Column("change", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_change")),
    )
    op.create_index(
        "ix_catalogue_change_subject_code", "catalogue_change", ["subject", "code"], unique=False
    )


def downgrade() -> None:
    """Back."""
    op.drop_constraint(op.f("ck_evidence_kind"), "evidence", type_="check")
    op.drop_column("evidence", "metadata")
    op.drop_column("evidence", "kind")
    op.drop_index("ix_catalogue_change_subject_code", table_name="catalogue_change")
    op.drop_table("catalogue_change")
    op.drop_table("category_period")
    op.drop_constraint(op.f("fk_category_replaced_by"), "category", type_="foreignkey")
    op.drop_column("category", "replaced_by")
    op.drop_column("category", "ended_at")
    op.drop_index(op.f("ix_repeat_incident_id"), table_name="repeat")
    op.drop_table("repeat")
    op.drop_column("channel", "machine")
    op.drop_column("incident", "last_repeat_at")
    op.drop_column("incident", "repeats")
    op.drop_index("ix_incident_merged_into_id", table_name="incident")
    op.drop_constraint(op.f("fk_incident_merged_into_id"), "incident", type_="foreignkey")
    op.drop_column("incident", "merged_into_id")
