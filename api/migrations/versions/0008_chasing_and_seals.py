"""Tasks with rounds and helpers, reply limits of channels, chasing by rule, the daily seal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UNITS = "('minutes', 'hours', 'working_hours', 'working_days', 'natural_days')"


def moment(name: str, **options: object) -> sa.Column[object]:
    """A column of a moment."""
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # type: ignore[arg-type]


def upgrade() -> None:
    """Forward."""
    op.add_column(
        "category",
        sa.Column(
            "support_after",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.execute(
        "update category set support_after = array['cleaner'] where 'cleaner' = any(support_posts)"
    )
    for name in ("reply", "reply_emergency"):
        op.add_column("channel", sa.Column(f"{name}_value", sa.Float(), nullable=True))
        op.add_column("channel", sa.Column(f"{name}_unit", sa.Text(), nullable=True))
    op.execute(
        "update channel set reply_value = 13, reply_unit = 'working_days',"
        " reply_emergency_unit = 'same_day' where code = 'hotline_12345'"
    )
    op.add_column("incident", moment("amber_at", nullable=True))
    op.add_column("incident", moment("reply_due_at", nullable=True))
    op.create_index(
        "ix_incident_open_due_at",
        "incident",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("ended_at is null"),
    )
    _tasks()
    op.add_column("history", moment("written_at", server_default=sa.text("now()"), nullable=False))
    op.create_index(
        "ix_history_written_at", "history", ["written_at"], unique=False, postgresql_using="brin"
    )
    _rules()
    _plans()
    _seals()


def _tasks() -> None:
    op.add_column(
        "task",
        sa.Column("after_lead", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("task", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.add_column("task", sa.Column("unit_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_task_unit_id"), "task", "unit", ["unit_id"], ["id"])
    op.create_index(op.f("ix_task_unit_id"), "task", ["unit_id"], unique=False)
    op.add_column("task", moment("accept_by", nullable=True))
    op.add_column("task", moment("ended_at", nullable=True))
    op.add_column("task", sa.Column("ended_by", sa.Text(), nullable=True))
    op.add_column("task", sa.Column("note", sa.Text(), nullable=True))


def _rules() -> None:
    op.create_table(
        "stage_limit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=True),
        sa.Column("area_class", sa.Text(), nullable=True),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.TSTZRANGE(), nullable=False),
        sa.CheckConstraint(f"unit in {UNITS}", name=op.f("ck_stage_limit_unit")),
        sa.CheckConstraint("value > 0", name=op.f("ck_stage_limit_value")),
        postgresql.ExcludeConstraint(
            (sa.column("stage"), "="),
            (sa.text("coalesce(urgency, '')"), "="),
            (sa.text("coalesce(area_class, '')"), "="),
            (sa.column("valid"), "&&"),
            name="ex_stage_limit_one_at_a_time",
            using="gist",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_limit")),
    )
    op.create_table(
        "chase_rule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=True),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("after_value", sa.Float(), nullable=True),
        sa.Column("after_unit", sa.Text(), nullable=True),
        sa.Column("tell", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.TSTZRANGE(), nullable=False),
        sa.CheckConstraint(
            "tell in ('assignee', 'unit_head', 'leader', 'leader_above', 'operator',"
            " 'watch_chief', 'dispatcher')",
            name=op.f("ck_chase_rule_tell"),
        ),
        sa.CheckConstraint("share > 0 and share <= 1", name=op.f("ck_chase_rule_share")),
        sa.CheckConstraint(f"after_unit in {UNITS}", name=op.f("ck_chase_rule_after_unit")),
        sa.CheckConstraint(
            "(after_value is null) = (after_unit is null)", name=op.f("ck_chase_rule_after_whole")
        ),
        sa.CheckConstraint(
            "after_value is null or share = 1", name=op.f("ck_chase_rule_after_the_limit")
        ),
        postgresql.ExcludeConstraint(
            (sa.column("code"), "="),
            (sa.text("coalesce(urgency, '')"), "="),
            (sa.column("valid"), "&&"),
            name="ex_chase_rule_one_at_a_time",
            using="gist",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chase_rule")),
    )


def _plans() -> None:
    op.create_table(
        "chase_plan",
        sa.Column("incident_id", sa.BigInteger(), autoincrement=False, nullable=False),
        moment("at", nullable=True),
        moment("wake_at", nullable=True),
        sa.Column("rule_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("ats", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_chase_plan_incident_id")
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_chase_plan")),
    )
    for name in ("at", "wake_at"):
        op.create_index(
            f"ix_chase_plan_{name}",
            "chase_plan",
            [name],
            unique=False,
            postgresql_where=sa.text(f"{name} is not null"),
        )
    op.create_table(
        "chase",
        sa.Column("incident_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule_id", sa.BigInteger(), autoincrement=False, nullable=False),
        moment("occasion_at", nullable=False),
        moment("told_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_chase_incident_id")
        ),
        sa.ForeignKeyConstraint(["rule_id"], ["chase_rule.id"], name=op.f("fk_chase_rule_id")),
        sa.PrimaryKeyConstraint("incident_id", "rule_id", "occasion_at", name=op.f("pk_chase")),
    )


def _seals() -> None:
    op.create_table(
        "seal",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        moment("sealed_at", nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_seal")),
    )
    op.create_table(
        "seal_entry",
        sa.Column("incident_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["day"], ["seal.day"], name=op.f("fk_seal_entry_day")),
        sa.PrimaryKeyConstraint("incident_id", "first_seq", name=op.f("pk_seal_entry")),
    )
    op.create_index(op.f("ix_seal_entry_day"), "seal_entry", ["day"], unique=False)
    for table in ("seal", "seal_entry"):
        op.execute(
            f"create trigger {table}_append_only before update or delete on {table}"
            " for each row execute function history_is_append_only()"
        )
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table}"
            " for each statement execute function history_is_append_only()"
        )


def downgrade() -> None:
    """Back."""
    for table in ("seal_entry", "seal", "chase", "chase_plan", "chase_rule", "stage_limit"):
        op.drop_table(table)
    op.drop_index("ix_history_written_at", table_name="history", postgresql_using="brin")
    op.drop_column("history", "written_at")
    op.drop_index(op.f("ix_task_unit_id"), table_name="task")
    op.drop_constraint(op.f("fk_task_unit_id"), "task", type_="foreignkey")
    for name in ("note", "ended_by", "ended_at", "accept_by", "unit_id", "round", "after_lead"):
        op.drop_column("task", name)
    op.drop_index(
        "ix_incident_open_due_at",
        table_name="incident",
        postgresql_where=sa.text("ended_at is null"),
    )
    op.drop_column("incident", "reply_due_at")
    op.drop_column("incident", "amber_at")
    for name in ("reply_emergency_unit", "reply_emergency_value", "reply_unit", "reply_value"):
        op.drop_column("channel", name)
    op.drop_column("category", "support_after")
