"""Sending outside: contacts, pushes, webhooks, deliveries, templates, workers and the job queue's own schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SEARCH_PATH = "public,jobs"


def upgrade() -> None:
    """Forward."""
    job_queue()
    op.create_table(
        "periodic_run",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_periodic_run")),
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column(
            "kinds", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "resident_template",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("category_code", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("language in ('zh', 'en')", name=op.f("ck_resident_template_language")),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name=op.f("fk_resident_template_category_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resident_template")),
        sa.UniqueConstraint(
            "kind",
            "category_code",
            "language",
            name=op.f("uq_resident_template_kind_category_code_language"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "contact_channel",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), nullable=True),
        sa.Column("unit_id", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column(
            "kinds", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind in ('wecom', 'dingtalk', 'feishu', 'sms', 'mail', 'webhook', 'other')",
            name=op.f("ck_contact_channel_kind"),
        ),
        sa.CheckConstraint("language in ('zh', 'en')", name=op.f("ck_contact_channel_language")),
        sa.CheckConstraint(
            "num_nonnulls(staff_id, unit_id, role) = 1", name=op.f("ck_contact_channel_one_owner")
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_contact_channel_staff_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_contact_channel_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_channel")),
    )
    op.create_index(op.f("ix_contact_channel_role"), "contact_channel", ["role"], unique=False)
    op.create_index(
        op.f("ix_contact_channel_staff_id"), "contact_channel", ["staff_id"], unique=False
    )
    op.create_index(
        op.f("ix_contact_channel_unit_id"), "contact_channel", ["unit_id"], unique=False
    )
    op.create_table(
        "notice_wish",
        sa.Column("staff_id", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("quiet_hours", sa.Text(), nullable=True),
        sa.CheckConstraint("language in ('zh', 'en')", name=op.f("ck_notice_wish_language")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notice_wish_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_notice_wish")),
    )
    op.create_table(
        "push_subscription",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("p256dh", sa.Text(), nullable=False),
        sa.Column("auth", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_push_subscription_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscription")),
        sa.UniqueConstraint("endpoint", name=op.f("uq_push_subscription_endpoint")),
    )
    op.create_index(
        op.f("ix_push_subscription_staff_id"), "push_subscription", ["staff_id"], unique=False
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("notice_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("contact_id", sa.BigInteger(), nullable=True),
        sa.Column("push_id", sa.BigInteger(), nullable=True),
        sa.Column("webhook_id", sa.BigInteger(), nullable=True),
        sa.Column("reporter_id", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("urgent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=True),
        sa.Column("sending_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state in ('waiting', 'sending', 'sent', 'given_up', 'uncertain', 'dropped')",
            name=op.f("ck_delivery_state"),
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact_channel.id"], name=op.f("fk_delivery_contact_id")
        ),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_delivery_notice_id")),
        sa.ForeignKeyConstraint(
            ["push_id"], ["push_subscription.id"], name=op.f("fk_delivery_push_id")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_delivery_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("event_id", "target", name=op.f("uq_delivery_event_id_target")),
        sa.UniqueConstraint("notice_id", "target", name=op.f("uq_delivery_notice_id_target")),
    )
    op.create_index(
        "ix_delivery_failed",
        "delivery",
        ["state", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('given_up', 'uncertain')"),
    )
    op.create_index(
        "ix_delivery_sending",
        "delivery",
        ["worker_id"],
        unique=False,
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index("ix_delivery_target_sent_at", "delivery", ["target", "sent_at"], unique=False)
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["lane", "next_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_delivery_webhook_id", "delivery", ["webhook_id", "id"], unique=False)
    op.add_column("live_event", sa.Column("first_seq", sa.Integer(), nullable=True))
    op.add_column("live_event", sa.Column("last_seq", sa.Integer(), nullable=True))
    op.add_column("live_event", sa.Column("spread_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_live_event_to_spread",
        "live_event",
        ["id"],
        unique=False,
        postgresql_where=sa.text("spread_at is null and last_seq is not null"),
    )
    op.add_column(
        "notice", sa.Column("audience", sa.Text(), server_default="staff", nullable=False)
    )
    op.add_column("notice", sa.Column("spread_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("notice", "staff_id", existing_type=sa.BIGINT(), nullable=True)
    op.create_index(
        "ix_notice_to_spread",
        "notice",
        ["id"],
        unique=False,
        postgresql_where=sa.text("spread_at is null"),
    )
    op.add_column("reporter", sa.Column("mail", sa.Text(), nullable=True))
    op.add_column("reporter", sa.Column("tell_by", sa.Text(), nullable=True))
    op.add_column("reporter", sa.Column("language", sa.Text(), nullable=True))
    op.create_check_constraint("tell_by", "reporter", "tell_by in ('sms', 'mail')")
    op.create_check_constraint("language", "reporter", "language in ('zh', 'en')")
    # What was left before there was a worker has been read in the app; nobody is told of it now.
    op.execute("update notice set spread_at = made_at")


def job_queue() -> None:
    """procrastinate's tables and functions in a schema of their own."""
    op.execute("create schema if not exists jobs")
    op.execute("set local search_path to jobs")
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    op.execute(f"set local search_path to {SEARCH_PATH}")


def downgrade() -> None:
    """Back."""
    op.drop_constraint(op.f("ck_reporter_language"), "reporter")
    op.drop_constraint(op.f("ck_reporter_tell_by"), "reporter")
    op.execute("update delivery set notice_id = null")
    op.execute("delete from notice where staff_id is null")
    op.drop_column("reporter", "language")
    op.drop_column("reporter", "tell_by")
    op.drop_column("reporter", "mail")
    op.drop_index(
        "ix_notice_to_spread", table_name="notice", postgresql_where=sa.text("spread_at is null")
    )
    op.alter_column("notice", "staff_id", existing_type=sa.BIGINT(), nullable=False)
    op.drop_column("notice", "spread_at")
    op.drop_column("notice", "audience")
    op.drop_index(
        "ix_live_event_to_spread",
        table_name="live_event",
        postgresql_where=sa.text("spread_at is null and last_seq is not null"),
    )
    op.drop_column("live_event", "spread_at")
    op.drop_column("live_event", "last_seq")
    op.drop_column("live_event", "first_seq")
    op.drop_index("ix_delivery_webhook_id", table_name="delivery")
    op.drop_index(
        "ix_delivery_waiting", table_name="delivery", postgresql_where=sa.text("state = 'waiting'")
    )
    op.drop_index("ix_delivery_target_sent_at", table_name="delivery")
    op.drop_index(
        "ix_delivery_sending", table_name="delivery", postgresql_where=sa.text("state = 'sending'")
    )
    op.drop_index(
        "ix_delivery_failed",
        table_name="delivery",
        postgresql_where=sa.text("state in ('given_up', 'uncertain')"),
    )
    op.drop_table("delivery")
    op.drop_index(op.f("ix_push_subscription_staff_id"), table_name="push_subscription")
    op.drop_table("push_subscription")
    op.drop_table("notice_wish")
    op.drop_index(op.f("ix_contact_channel_unit_id"), table_name="contact_channel")
    op.drop_index(op.f("ix_contact_channel_staff_id"), table_name="contact_channel")
    op.drop_index(op.f("ix_contact_channel_role"), table_name="contact_channel")
    op.drop_table("contact_channel")
    op.drop_table("resident_template")
    op.drop_table("worker")
    op.drop_table("webhook")
    op.drop_table("periodic_run")
    op.execute("drop schema if exists jobs cascade")
