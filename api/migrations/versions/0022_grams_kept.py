"""The grams of a report's words, made by a function whose plan PostgreSQL keeps: the same grams, a third of the time."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# A function in SQL is planned anew for every statement that calls it, one in PL/pgSQL once for each connection.
KEPT = """
create or replace function search_grams(description text, address text) returns tsvector
language plpgsql immutable parallel safe as $$
declare
    c text[] := string_to_array(lower(coalesce(description, '') || chr(10) || coalesce(address, '')), null);
begin
    return (
        select coalesce(array_to_tsvector(array_agg(distinct
            case when c[n + 1] is null then c[n]
                when ascii(c[n]) > 127 or ascii(c[n + 1]) > 127 then c[n] || c[n + 1]
                else c[n] || c[n + 1] || coalesce(c[n + 2], '') end)), ''::tsvector)
        from generate_subscripts(c, 1) as n
    );
end
$$
"""
BEFORE = """
create or replace function search_grams(description text, address text) returns tsvector
language sql immutable parallel safe as $$
select coalesce(array_to_tsvector(array_agg(distinct g)), ''::tsvector) from (
select case when b is null then c when ascii(c) > 127 or ascii(b) > 127 then c || b
    else c || b || coalesce(d, '') end as g, b
from (
    select c, lead(c) over place as b, lead(c, 2) over place as d
    from unnest(string_to_array(lower(coalesce(description, '') || chr(10) || coalesce(address, '')), null)) with ordinality as u (c, n)
    window place as (order by n)
) as places
) as grams
$$
"""


def upgrade() -> None:
    """Forward."""
    op.execute(KEPT)


def downgrade() -> None:
    """Back."""
    op.execute(BEFORE)
