"""Lists stay quick on a million incidents: pairs of characters for words, indexes of what is open and of posts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Chinese has no spaces between words, so what is looked for is any part of a text. Each place of a text gives a gram:
# two characters where one of them is beyond ASCII, else three, because a pair of letters is on every report.
_GRAMS = """
select case when b is null then c when ascii(c) > 127 or ascii(b) > 127 then c || b
    else c || b || {third} end as g, b
from (
    select c, lead(c) over place as b, lead(c, 2) over place as d
    from unnest(string_to_array(lower({text}), null)) with ordinality as u (c, n)
    window place as (order by n)
) as places
"""
_OF_TEXT = f"""
create function search_grams(description text, address text) returns tsvector
language sql immutable parallel safe as $$
select coalesce(array_to_tsvector(array_agg(distinct g)), ''::tsvector) from ({
    _GRAMS.format(
        third="coalesce(d, '')",
        text="coalesce(description, '') || chr(10) || coalesce(address, '')",
    )
}) as grams $$
"""  # noqa: S608 (our own text)
# Every whole gram of the words; words too short for one (a single character, two letters) as its beginning.
_OF_WORDS = f"""
create function search_query(words text) returns tsquery
language sql immutable strict parallel safe as $$
with quoted as (
    select '''' || replace(replace(g, '\\', '\\\\'), '''', '''''') || '''' as q
    from (select distinct g from ({
    _GRAMS.format(third="d", text="words")
}) as a where g is not null and b is not null) as grams
)
select coalesce((select string_agg(q, ' & ') from quoted),
    '''' || replace(replace(lower(words), '\\', '\\\\'), '''', '''''') || ''':*')::tsquery $$
"""  # noqa: S608


def upgrade() -> None:
    """Forward."""
    op.execute(_OF_TEXT)
    op.execute(_OF_WORDS)
    op.add_column(
        "incident",
        sa.Column(
            "words",
            postgresql.TSVECTOR(),
            sa.Computed("search_grams(description, address)", persisted=True),
        ),
    )
    op.create_index("ix_incident_words", "incident", ["words"], postgresql_using="gin")
    op.create_index(
        "ix_incident_flags",
        "incident",
        ["flags"],
        postgresql_using="gin",
        postgresql_where=sa.text("flags <> '{}'"),
    )
    op.create_index(
        "ix_incident_category_code_reported_at", "incident", ["category_code", "reported_at"]
    )
    op.drop_index("ix_incident_category_code", table_name="incident")
    op.create_index("ix_incident_due_at", "incident", ["due_at"])
    op.create_index(
        "ix_incident_open_reported_at",
        "incident",
        ["reported_at"],
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index(
        "ix_incident_open_point",
        "incident",
        ["point"],
        postgresql_using="gist",
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index("ix_task_post_incident_id", "task", ["post", "incident_id"])


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_task_post_incident_id", table_name="task")
    for name in ("open_point", "open_reported_at", "due_at", "flags", "words"):
        op.drop_index(f"ix_incident_{name}", table_name="incident")
    op.create_index("ix_incident_category_code", "incident", ["category_code"])
    op.drop_index("ix_incident_category_code_reported_at", table_name="incident")
    op.drop_column("incident", "words")
    op.execute("drop function search_query(text)")
    op.execute("drop function search_grams(text, text)")
