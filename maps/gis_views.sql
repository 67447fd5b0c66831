-- The layers of schema gis: what analysts, exports and OGC clients read. The only place of their SQL.
--
-- maps/views.py drops and makes them anew whenever this file or a table below them changes, so a migration
-- may alter any column. Rules kept by tests:
--   every view has a stable `id`, and a typed `geom` (EPSG:4326) where it has a place;
--   no numeric, no array, no json: every client knows the types that are left;
--   nobody's name but in gis.people, which is granted apart; nothing of reporters, nor their words, nor where
--   exactly they said it was.

-- The moment the layers are asked for: now, or `set gridward.at = '2026-03-01T00:00:00+08:00'`.
create function gis.moment() returns timestamptz language sql stable as
$$ select coalesce(nullif(current_setting('gridward.at', true), '')::timestamptz, statement_timestamp()) $$;

-- What was loaded first counts as there from the beginning.
create function gis.ground_moment() returns timestamptz language sql stable
security definer set search_path = pg_catalog, public as
$$ select greatest(gis.moment(), (select min(since_at) from public.segment)) $$;

create view gis.people as
select p.id, p.staff_no, p.name, p.post, u.name as unit, p.left_at
from public.staff p left join public.unit u on u.id = p.unit_id;

create view gis.segments as
select s.id, s.source_key as source, t.id as street_id, t.name as street, t.names ->> 'en' as street_en,
    s.class, s.form, s.oneway, s.level::int as level, s.length_m,
    s.left_from, s.left_to, s.right_from, s.right_to,
    case when l.id = r.id then l.code end as grid_code, l.code as grid_left, r.code as grid_right,
    coalesce(o.officer_id, c.officer_id) as officer_id,
    coalesce(o.cleaner_id, c.cleaner_id) as cleaner_id,
    coalesce(o.gardener_id, c.gardener_id) as gardener_id,
    coalesce(o.maintainer_id, c.maintainer_id) as maintainer_id,
    coalesce(o.leader_id, c.leader_id) as leader_id,
    s.since_at, s.gone_at, s.line::geometry(LineString, 4326) as geom
from public.segment s
left join public.street t on t.id = s.street_id
left join public.grid_segment hl
    on hl.segment_id = s.id and hl.side = 'left' and hl.valid @> gis.moment()
left join public.grid l on l.id = hl.grid_id
left join public.grid_segment hr
    on hr.segment_id = s.id and hr.side = 'right' and hr.valid @> gis.moment()
left join public.grid r on r.id = hr.grid_id
left join (
    select grid_id,
        max(staff_id) filter (where post = 'officer') as officer_id,
        max(staff_id) filter (where post = 'cleaner') as cleaner_id,
        max(staff_id) filter (where post = 'gardener') as gardener_id,
        max(staff_id) filter (where post = 'maintainer') as maintainer_id,
        max(staff_id) filter (where post = 'leader') as leader_id
    from public.post_holding where grid_id is not null and valid @> gis.moment() group by grid_id
) c on c.grid_id = l.id
left join (
    select segment_id,
        max(staff_id) filter (where post = 'officer') as officer_id,
        max(staff_id) filter (where post = 'cleaner') as cleaner_id,
        max(staff_id) filter (where post = 'gardener') as gardener_id,
        max(staff_id) filter (where post = 'maintainer') as maintainer_id,
        max(staff_id) filter (where post = 'leader') as leader_id
    from public.post_holding where segment_id is not null and valid @> gis.moment() group by segment_id
) o on o.segment_id = s.id
-- In a query of its own it is worked out once, not for every row.
where s.since_at <= (select gis.ground_moment()) and (s.gone_at is null or s.gone_at > gis.moment());

create view gis.grids as
select g.id, g.code, g.name, g.name_en, m.community, m.township, b.segments, b.length_m,
    c.officer_id, c.cleaner_id, c.gardener_id, c.maintainer_id, c.leader_id,
    lower(g.valid) as valid_from, upper(g.valid) as valid_to, b.geom::geometry(MultiLineString, 4326) as geom
from public.grid g
join (
    select h.grid_id, count(*) as segments, sum(s.length_m) as length_m,
        st_multi(st_collect(s.line order by s.id)) as geom
    from (select distinct grid_id, segment_id from public.grid_segment where valid @> gis.moment()) h
    join public.segment s on s.id = h.segment_id
    where s.gone_at is null or s.gone_at > gis.moment()
    group by h.grid_id
) b on b.grid_id = g.id
left join (
    select grid_id,
        max(staff_id) filter (where post = 'officer') as officer_id,
        max(staff_id) filter (where post = 'cleaner') as cleaner_id,
        max(staff_id) filter (where post = 'gardener') as gardener_id,
        max(staff_id) filter (where post = 'maintainer') as maintainer_id,
        max(staff_id) filter (where post = 'leader') as leader_id
    from public.post_holding where grid_id is not null and valid @> gis.moment() group by grid_id
) c on c.grid_id = g.id
-- Where most of its streets have their middle; one row a grid, so a query without these columns never looks.
left join (
    select h.grid_id, mode() within group (order by a.name) filter (where a.level = 'community') as community,
        mode() within group (order by a.name) filter (where a.level = 'township') as township
    from (
        select b.level, b.name, x.id from public.boundary b
        -- Fenced off: PostGIS prepares an area once for all segments that are asked of it.
        cross join lateral (
            select s.id from public.segment s
            where s.line && b.area and st_covers(b.area, st_lineinterpolatepoint(s.line, 0.5)) offset 0
        ) x where b.level in ('community', 'township')
    ) a
    join (select distinct grid_id, segment_id from public.grid_segment where valid @> gis.moment()) h
        on h.segment_id = a.id
    group by h.grid_id
) m on m.grid_id = g.id
where g.valid @> gis.moment();

-- The kept ground of the grids; `current` is false while the ground has changed and it was not made anew.
create view gis.territories as
select g.id, g.code, g.name, m.community, m.township, t.area_m2,
    c.officer_id, c.cleaner_id, c.gardener_id, c.maintainer_id, c.leader_id,
    k.made_at, k.ground_version = w.ground_version as current, t.area::geometry(MultiPolygon, 4326) as geom
from public.territory t
join public.grid g on g.id = t.grid_id
join public.kept_territory k on k.holds @> gis.moment()
cross join public.town w
left join (
    select grid_id,
        max(staff_id) filter (where post = 'officer') as officer_id,
        max(staff_id) filter (where post = 'cleaner') as cleaner_id,
        max(staff_id) filter (where post = 'gardener') as gardener_id,
        max(staff_id) filter (where post = 'maintainer') as maintainer_id,
        max(staff_id) filter (where post = 'leader') as leader_id
    from public.post_holding where grid_id is not null and valid @> gis.moment() group by grid_id
) c on c.grid_id = g.id
left join (
    select h.grid_id, mode() within group (order by a.name) filter (where a.level = 'community') as community,
        mode() within group (order by a.name) filter (where a.level = 'township') as township
    from (
        select b.level, b.name, x.id from public.boundary b
        -- Fenced off: PostGIS prepares an area once for all segments that are asked of it.
        cross join lateral (
            select s.id from public.segment s
            where s.line && b.area and st_covers(b.area, st_lineinterpolatepoint(s.line, 0.5)) offset 0
        ) x where b.level in ('community', 'township')
    ) a
    join (select distinct grid_id, segment_id from public.grid_segment where valid @> gis.moment()) h
        on h.segment_id = a.id
    group by h.grid_id
) m on m.grid_id = g.id;

create view gis.incidents as
select i.id, i.number, i.version, i.status, i.queue, i.channel_code as channel, i.external_id,
    i.category_code as category, k.name_zh as category_zh, k.name_en as category_en,
    k.kind as category_kind, k.urgency, f.code as condition, f.limit_value, f.limit_unit,
    -- The street of the town, and the number where it was found by one: the words that were reported stay out.
    case when i.match in ('door_plate', 'interpolated')
        and i.geocoding #>> '{reading,house_number}' ~ '^[0-9]{1,5}([-/][0-9]{1,4})?[A-Za-z甲乙丙丁]?$'
        then case when t.name ~ '[a-z]' then concat(i.geocoding #>> '{reading,house_number}', ' ', t.name)
            else concat(t.name, i.geocoding #>> '{reading,house_number}', '号') end
        else t.name end as address,
    array_to_string(i.flags, ',') as flags,
    i.occurred_at, i.reported_at, i.filed_at, i.dispatched_at, i.disposed_at, i.ended_at,
    (jsonb_path_query_first(i.clocks, '$[*] ? (@.kind == "check").stopped_at') #>> '{}')::timestamptz as checked_at,
    i.due_at, i.amber_at, i.reply_due_at,
    i.due_at < gis.moment() and i.disposed_at is null and i.ended_at is null as overdue,
    coalesce(i.disposed_at, i.ended_at) <= i.due_at as on_time,
    coalesce((i.facts ->> 'reworks')::int, 0) as reworks,
    coalesce((jsonb_path_query_first(i.clocks, '$[*] ? (@.kind == "disposal").extensions'))::int, 0) as extensions,
    coalesce((i.facts ->> 'suspensions')::int, 0) as suspensions,
    coalesce((i.facts ->> 'reopened')::int, 0) as reopened,
    coalesce((i.facts ->> 'forced')::bool, false) as forced,
    i.facts ->> 'merged_into' as merged_into, i.repeats, i.last_repeat_at,
    -- A hundred metres: enough to see a wrong datum, not whose door somebody stood at.
    case when abs(i.given_lon) <= 180 then round(i.given_lon * 1000) / 1000 else round(i.given_lon / 100) * 100 end as given_lon,
    case when abs(i.given_lat) <= 90 then round(i.given_lat * 1000) / 1000 else round(i.given_lat / 100) * 100 end as given_lat,
    i.given_datum, i.match, i.confidence, i.spread_m,
    i.segment_id, t.name as street, i.side, i.distance_m, i.cell_code as cell,
    e.community,
    i.grid_id, g.code as grid_code, g.name as grid_name, n.code as neighbour_grid,
    a.post, a.assignee_id, a.status as task_status, a.assigned_at, a.accepted_at, a.done_at,
    i.point::geometry(Point, 4326) as geom
from public.incident i
left join public.category k on k.code = i.category_code
left join public.filing_condition f on f.id = i.condition_id
left join public.segment s on s.id = i.segment_id
left join public.street t on t.id = s.street_id
left join public.grid g on g.id = i.grid_id
left join public.grid n on n.id = i.neighbour_grid_id
left join public.cell e on e.code = i.cell_code
-- An aggregate is one row for certain, so a query that asks for none of these columns never looks.
left join lateral (
    select coalesce(max(d.id) filter (where d.lead), max(d.id)) as task_id
    from public.task d where d.incident_id = i.id
) b on true
left join public.task a on a.id = b.task_id
where i.point is not null;

-- The same columns of those that have no place: the geometry is null. One text for both.
do $$
declare
    placed text := pg_get_viewdef('gis.incidents'::regclass);
    others text := replace(placed, 'i.point IS NOT NULL', 'i.point IS NULL');
begin
    if placed = others then
        raise exception 'gis.incidents has another condition';
    end if;
    execute 'create view gis.incidents_unplaced as ' || others;
end $$;

create view gis.places as
select p.id, p.source_key as source, p.name, p.names ->> 'en' as name_en, p.kind, p.address,
    p.point::geometry(Point, 4326) as geom
from public.place p;

create view gis.place_areas as
select p.id, p.source_key as source, p.name, p.names ->> 'en' as name_en, p.kind, p.address,
    st_area(p.area::geography) as area_m2, p.area::geometry(MultiPolygon, 4326) as geom
from public.place p where p.area is not null;

create view gis.boundaries as
select b.id, 'boundary/' || b.id as source, b.level, b.name, b.names ->> 'en' as name_en, b.code,
    a.id as within_id, a.name as within, st_area(b.area::geography) as area_m2,
    b.area::geometry(MultiPolygon, 4326) as geom
from public.boundary b
left join lateral (
    select w.id, w.name from public.boundary w
    where (b.level, w.level) in (('community', 'township'), ('community', 'town'), ('township', 'town'))
        and st_covers(w.area, st_pointonsurface(b.area))
    order by w.level = 'township' desc, w.id limit 1
) a on true;

create view gis.cells as
select c.id, c.code, nullif(c.community, '') as community, b.code as community_code,
    c.area::geometry(MultiPolygon, 4326) as geom
from public.cell c left join public.boundary b on b.level = 'community' and b.name = c.community;

create view gis.door_plates as
select d.id, d.source_key as source, d.street_id, d.street_name as street, d.house_number, d.community,
    d.segment_id, d.side, d.point::geometry(Point, 4326) as geom
from public.door_plate d;

create view gis.crews as
select p.id, g.id as grid_id, g.code as grid_code, g.name as grid_name, p.segment_id, p.post,
    p.staff_id, u.name as unit, a.id is not null as away, a.substitute_id,
    lower(p.valid) as valid_from, upper(p.valid) as valid_to,
    st_pointonsurface(coalesce(s.line, b.geom))::geometry(Point, 4326) as geom
from public.post_holding p
left join public.segment s on s.id = p.segment_id
left join public.grid_segment h
    on h.segment_id = p.segment_id and h.side = 'left' and h.valid @> gis.moment()
join public.grid g on g.id = coalesce(p.grid_id, h.grid_id) and g.valid @> gis.moment()
join public.staff m on m.id = p.staff_id
left join public.unit u on u.id = m.unit_id
left join public.absence a on a.staff_id = p.staff_id and a.valid @> gis.moment()
left join (
    select e.grid_id, st_collect(x.line order by x.id) as geom
    from public.grid_segment e join public.segment x on x.id = e.segment_id
    where e.valid @> gis.moment() and e.side = 'left' group by e.grid_id
) b on b.grid_id = p.grid_id
where p.valid @> gis.moment();

-- The share of a standard normal law beyond z: Chebyshev fitting of erfc, off by at most 1.2e-7 of itself
-- (Press et al., Numerical Recipes, 6.2).
create function gis.beyond(z float8) returns float8 language sql immutable strict as $$
select case when z < 0 then 1 - e / 2 else e / 2 end from (
    select t * exp(-z * z / 2 - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (
        -0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))))) as e
    from (select 1 / (1 + abs(z) / sqrt(8.0)) as t) a
) b
$$;

-- Where incidents gather, by squares of the town's plane: Getis and Ord's Gi* with binary weights on the
-- square and its eight neighbours (Ord & Getis 1995, eq. 14). The study area is every square with a street.
create function gis.hotspots_of(
    since timestamptz, until timestamptz, only_category text default null, square_m float8 default 200
) returns table (
    id bigint, from_at timestamptz, to_at timestamptz, category text, side_m float8, incidents bigint,
    around bigint, gi_star float8, level int, p float8, level_corrected int, top_category text, top_count bigint,
    geom geometry(Polygon, 4326)
) language sql stable security definer set search_path = pg_catalog, public as $$
with plane as (select plane_epsg as epsg from town),
found as (
    select floor(st_x(p) / square_m)::int as cx, floor(st_y(p) / square_m)::int as cy, i.category_code
    from plane cross join incident i cross join lateral st_transform(i.point, plane.epsg) p
    where i.reported_at >= since and i.reported_at < until and i.point is not null
      and i.status not in ('voided', 'merged')
      and (only_category is null or i.category_code = only_category)
),
by_category as (select cx, cy, category_code, count(*) as n from found group by 1, 2, 3),
top as (
    select distinct on (cx, cy) cx, cy, category_code, n from by_category
    where category_code is not null order by cx, cy, n desc, category_code
),
counted as (select cx, cy, sum(n)::bigint as x from by_category group by 1, 2),
ground as (
    select floor(st_x(p) / square_m)::int as cx, floor(st_y(p) / square_m)::int as cy
    from segment s cross join lateral (values
        (st_startpoint(s.line_plane)), (st_lineinterpolatepoint(s.line_plane, 0.5)),
        (st_endpoint(s.line_plane))) e (p)
    where s.gone_at is null
    union select cx, cy from counted
),
cells as (
    select g.cx, g.cy, coalesce(c.x, 0) as x from ground g left join counted c using (cx, cy)
),
whole as (
    select count(*)::float8 as n, avg(x)::float8 as mean, stddev_pop(x)::float8 as deviation from cells
),
near as (
    select c.cx, c.cy, c.x, count(*)::float8 as w, sum(o.x)::bigint as around
    from cells c
    cross join (values (-1), (0), (1)) dx (d) cross join (values (-1), (0), (1)) dy (d)
    join cells o on o.cx = c.cx + dx.d and o.cy = c.cy + dy.d
    group by c.cx, c.cy, c.x
),
scored as (
    select near.*, n, (around - mean * w)
        / nullif(deviation * sqrt(greatest(n * w - w * w, 0) / nullif(n - 1, 0)), 0) as gi_star
    from near cross join whole
),
-- One-sided and corrected for all squares, those without an incident too, as the map does (maps/hotspots.py):
-- Benjamini & Hochberg (1995), the least of n p / rank from the largest p down.
tested as (select scored.*, gis.beyond(coalesce(gi_star, 0)) as p from scored),
ranked as (select tested.*, rank() over (order by p) + count(*) over (partition by p) - 1 as place from tested),
corrected as (select ranked.*, min(n * p / place) over (order by p desc) as q from ranked)
select s.cx::bigint * 10000000 + s.cy, since, until, only_category, square_m, s.x, s.around, s.gi_star,
    case when abs(s.gi_star) >= 2.576 then 99 when abs(s.gi_star) >= 1.960 then 95
         when abs(s.gi_star) >= 1.645 then 90 else 0 end * sign(s.gi_star)::int,
    s.p, case when s.q <= 0.01 then 99 when s.q <= 0.05 then 95 when s.q <= 0.10 then 90 else 0 end,
    t.category_code, t.n,
    st_transform(st_makeenvelope(s.cx * square_m, s.cy * square_m, (s.cx + 1) * square_m, (s.cy + 1) * square_m,
        plane.epsg), 4326)::geometry(Polygon, 4326)
from corrected s cross join plane left join top t using (cx, cy)
where s.x > 0
$$;

create view gis.hotspots as
select id, from_at, to_at, category, side_m, incidents, around, gi_star, level, p, level_corrected,
    top_category, top_count, geom::geometry(Polygon, 4326) as geom
from gis.hotspots_of(gis.moment() - interval '90 days', gis.moment());

-- Counts by grid of the incidents reported in a period, by the rules of dispatch/indicators.py as of `until`
-- (or now, if that is earlier). A rate without a denominator is null.
create function gis.evaluation_of(
    since timestamptz, until timestamptz, only_category text default null
) returns table (
    id bigint, code text, name text, from_at timestamptz, to_at timestamptz, category text,
    reported bigint, on_the_spot bigint, merged bigint, filed_with_void bigint, filed bigint, due bigint,
    due_without_appeal bigint, closed bigint, closed_on_time bigint, closed_late bigint, disposed bigint,
    disposed_on_time bigint, overdue bigint, overdue_open bigint, reworked bigint,
    reopened bigint, rated bigint, rated_satisfied bigint,
    accurate_filing_rate float8, disposal_rate float8, on_time_disposal_rate float8, closing_rate float8,
    on_time_closing_rate float8, late_closing_rate float8, overdue_rate float8, rework_rate float8,
    incidents bigint, length_m float8, incidents_per_km float8, mean_disposal_minutes float8,
    median_disposal_minutes float8, leader_id bigint,
    geom geometry(MultiLineString, 4326)
) language sql stable security definer set search_path = pg_catalog, public as $$
with clock as (select least(until, gis.moment()) as at),
facts as (
    select i.grid_id,
        i.status = 'fixed_on_spot' as on_the_spot, i.status = 'merged' as merged,
        i.filed_at <= at and i.status not in ('fixed_on_spot', 'merged') as filed_with_void,
        i.filed_at <= at and i.status not in ('fixed_on_spot', 'merged', 'voided') as filed,
        coalesce(i.facts ->> 'appeal' = 'granted', false) as appealed,
        i.status = 'suspended' as suspended, i.status = 'voided' as voided, i.due_at, i.dispatched_at,
        coalesce(case when i.disposed_at <= at then i.disposed_at end,
                 case when i.status = 'closed' and i.ended_at <= at then i.ended_at end) as disposed_at,
        i.status = 'closed' and i.ended_at <= at as closed,
        coalesce((i.facts ->> 'reworks')::int, 0) > 0 as reworked,
        coalesce((i.facts ->> 'reopened')::int, 0) > 0 as reopened,
        coalesce(i.facts ->> 'solved_said', '') as said, at
    from incident i cross join clock
    where i.reported_at >= since and i.reported_at < until and i.grid_id is not null
      and (only_category is null or i.category_code = only_category)
),
judged as (
    select f.*, coalesce(filed and disposed_at is not null, false) as done,
        coalesce(filed and disposed_at is null and due_at < at, false) as open_late,
        coalesce(disposed_at > due_at, false) as late
    from facts f
),
weighed as (
    select j.*, (done or open_late) and not suspended as is_due,
        case when done then extract(epoch from disposed_at - dispatched_at)::float8 / 60 end as minutes
    from judged j
),
counted as (
    select grid_id, count(*) as reported,
        count(*) filter (where on_the_spot) as on_the_spot, count(*) filter (where merged) as merged,
        count(*) filter (where filed_with_void) as filed_with_void,
        count(*) filter (where filed) as filed, count(*) filter (where is_due) as due,
        count(*) filter (where is_due and not appealed) as due_without_appeal,
        count(*) filter (where is_due and closed) as closed,
        count(*) filter (where is_due and closed and not late) as closed_on_time,
        count(*) filter (where is_due and closed and late) as closed_late,
        count(*) filter (where is_due and done) as disposed,
        count(*) filter (where is_due and done and not late) as disposed_on_time,
        count(*) filter (where is_due and (done and late or open_late) and not appealed) as overdue,
        count(*) filter (where is_due and open_late) as overdue_open,
        count(*) filter (where is_due and reworked) as reworked,
        -- Beside the published formulas, which know neither.
        count(*) filter (where filed and reopened) as reopened,
        count(*) filter (where filed and said <> '') as rated,
        count(*) filter (where filed and said = 'satisfied') as rated_satisfied,
        count(*) filter (where not merged and not voided) as incidents,
        avg(minutes) as mean_minutes, percentile_cont(0.5) within group (order by minutes) as median_minutes
    from weighed group by grid_id
),
held as (
    select h.grid_id, sum(s.length_m) as length_m, st_multi(st_collect(s.line order by s.id)) as geom
    from (select distinct h.grid_id, h.segment_id from grid_segment h join grid g on g.id = h.grid_id
          where h.valid @> least((select at from clock), upper(g.valid) - interval '1 microsecond')) h
    join segment s on s.id = h.segment_id group by h.grid_id
)
select g.id, g.code, g.name, since, until, only_category,
    coalesce(c.reported, 0), coalesce(c.on_the_spot, 0), coalesce(c.merged, 0),
    coalesce(c.filed_with_void, 0), coalesce(c.filed, 0), coalesce(c.due, 0),
    coalesce(c.due_without_appeal, 0), coalesce(c.closed, 0), coalesce(c.closed_on_time, 0),
    coalesce(c.closed_late, 0), coalesce(c.disposed, 0), coalesce(c.disposed_on_time, 0),
    coalesce(c.overdue, 0), coalesce(c.overdue_open, 0), coalesce(c.reworked, 0),
    coalesce(c.reopened, 0), coalesce(c.rated, 0), coalesce(c.rated_satisfied, 0),
    c.filed / nullif(c.filed_with_void, 0)::float8, c.disposed / nullif(c.due, 0)::float8,
    c.disposed_on_time / nullif(c.due, 0)::float8, c.closed / nullif(c.due, 0)::float8,
    c.closed_on_time / nullif(c.due, 0)::float8, c.closed_late / nullif(c.due, 0)::float8,
    c.overdue / nullif(c.due_without_appeal, 0)::float8, c.reworked / nullif(c.due, 0)::float8,
    coalesce(c.incidents, 0), held.length_m, coalesce(c.incidents, 0) / nullif(held.length_m / 1000, 0),
    c.mean_minutes, c.median_minutes, p.staff_id, held.geom::geometry(MultiLineString, 4326)
from grid g
left join counted c on c.grid_id = g.id
left join held on held.grid_id = g.id
left join post_holding p on p.grid_id = g.id and p.post = 'leader' and p.valid @> gis.moment()
where g.valid @> (select at from clock) or c.reported > 0
$$;

create view gis.evaluation_by_grid as
select id, code, name, from_at, to_at, category, reported, on_the_spot, merged, filed_with_void, filed, due,
    due_without_appeal, closed, closed_on_time, closed_late, disposed, disposed_on_time, overdue, overdue_open,
    reworked, reopened, rated, rated_satisfied, accurate_filing_rate, disposal_rate, on_time_disposal_rate,
    closing_rate, on_time_closing_rate, late_closing_rate, overdue_rate, rework_rate, incidents, length_m,
    incidents_per_km, mean_disposal_minutes, median_disposal_minutes, leader_id,
    geom::geometry(MultiLineString, 4326) as geom
from gis.evaluation_of(gis.moment() - interval '90 days', gis.moment());
