-- Many lines of an import in one call: the lists of a batch share a round trip, a
-- transaction and a statement of each kind, and still each of them takes all of
-- its lines or none.

-- +goose Up
-- +goose StatementBegin

-- Imports lines, which are parallel arrays; no list has a target twice. Of a line
-- without target, modes says whether its owner is in allowlist mode. What is null
-- is left as it is: created, which an entry has for ever anyway, expires, for
-- which infinity means never, and notes.
--
-- in_how is "lists" (each list by itself), "whole" (all or nothing) or "check",
-- which takes no lock and writes nothing. Answers with a letter for each line:
-- c created, u updated, = unchanged, l the list would have held more than the
-- limit, so that none of its lines is stored.
--
-- There is one order of locks for everybody: headers that are new, headers, rooms,
-- each sorted by its key. That no list is over its limit is therefore known before
-- the first room is made: taking a list back by a savepoint would mix the orders.
create function sidegate.import_lines(
  in_app text, kinds text[], owners text[], targets text[], created timestamptz[], expires timestamptz[],
  notes text[], modes boolean[], in_actor text, in_how text) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set enable_sort = off as $$
declare
  at       timestamptz := clock_timestamp();
  cap      int := coalesce((select a.max_entries from sidegate.app a where a.app = in_app), 3000);
  l        record;
  held     int;
  outcomes text[];
  refused  text[] := '{}';
begin
  if in_how <> 'check' then
    perform sidegate.make_durable();
    perform sidegate.lock_lists(in_app, kinds, owners);
    -- Read under the locks, as in edit.
    at := clock_timestamp();
    for l in select distinct t.kind, t.owner from unnest(kinds, owners) t(kind, owner) loop
      perform sidegate.end_expired(in_app, l.kind, l.owner, at);
    end loop;
  end if;

  select coalesce(array_agg(
           case when t.mode = coalesce((select o.allowlist from sidegate.owner o
                  where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, 'block', sidegate.owner_hash(t.owner), t.owner)
                    and t.mode is not null), false) then '='
                when t.mode is not null then 'u'
                when b.target is null then 'c'
                when coalesce(b.expires_at, 'infinity') <> t.expires or coalesce(b.note, '') <> t.note then 'u'
                else '=' end order by t.n), '{}') into outcomes
    from unnest(kinds, owners, targets, expires, notes, modes) with ordinality t(kind, owner, target, expires, note, mode, n)
    -- The first entry from there on, in the order of the primary key. Asked for by
    -- equality, an entry may be looked for by target, among all who have that one.
    left join lateral (
      select e.owner, e.target, e.expires_at, e.note from sidegate.block e
       where e.app = in_app and e.kind = t.kind
         and (e.owner_hash, e.owner, e.target) >= (sidegate.owner_hash(t.owner), t.owner, t.target)
       order by e.app, e.kind, e.owner_hash, e.owner, e.target limit 1) b
      on (b.owner, b.target) = (t.owner, t.target) and (b.expires_at is null or b.expires_at > at);

  for l in
    select t.kind, t.owner, sidegate.owner_hash(t.owner) as hash, count(*)::int as n
      from unnest(kinds, owners, outcomes) t(kind, owner, outcome) where t.outcome = 'c' group by 1, 2
  loop
    select o.size into held from sidegate.owner o
     where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, l.kind, l.hash, l.owner);
    continue when coalesce(held, 0) + l.n <= cap;
    if in_how = 'check' then -- has ended nothing, so that the header may count what is over
      select count(*) into held from sidegate.block b
       where (b.app, b.kind, b.owner_hash, b.owner) = (in_app, l.kind, l.hash, l.owner)
         and (b.expires_at is null or b.expires_at > at);
      continue when held + l.n <= cap;
    end if;
    refused := refused || (l.kind || ' ' || l.owner);
  end loop;
  if cardinality(refused) > 0 then
    select array_agg(case when t.kind || ' ' || t.owner = any (refused) then 'l' else t.outcome end order by t.n) into outcomes
      from unnest(kinds, owners, outcomes) with ordinality t(kind, owner, outcome, n);
  end if;
  if in_how = 'lists' or in_how = 'whole' and cardinality(refused) = 0 then
    if 'c' = any (outcomes) then
      insert into sidegate.block (app, kind, owner, target, created_at, expires_at, note, source, actor, place)
        select in_app, t.kind, t.owner, t.target, coalesce(t.created, at), nullif(t.expires, 'infinity'),
               nullif(t.note, ''), 'import', in_actor, t.n
          from unnest(kinds, owners, targets, created, expires, notes, outcomes)
               with ordinality t(kind, owner, target, created, expires, note, outcome, n)
         where t.outcome = 'c'
         order by t.kind collate "C", sidegate.owner_hash(t.owner), t.owner collate "C", t.target collate "C"
      on conflict do nothing;
    end if;
    if 'u' = any (outcomes) then
      perform sidegate.import_changes(in_app, kinds, owners, targets, expires, notes, modes, outcomes);
    end if;
  end if;
  return json_build_object('outcomes', array_to_string(outcomes, ''), 'limit', cap);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Makes the headers of lists and locks them, as every statement that writes
-- several lists does: the table, then what is new, then all, in order.
create function sidegate.lock_lists(in_app text, kinds text[], owners text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  l record;
begin
  lock table sidegate.block in row exclusive mode;
  insert into sidegate.owner (app, kind, owner)
    select in_app, e.kind, e.owner
      from (select distinct t.kind collate "C" as kind, sidegate.owner_hash(t.owner), t.owner collate "C" as owner
              from unnest(kinds, owners) t(kind, owner) order by 1, 2, 3) e
    on conflict do nothing;
  for l in
    select distinct t.kind collate "C" as kind, sidegate.owner_hash(t.owner) as hash, t.owner collate "C" as owner
      from unnest(kinds, owners) t(kind, owner) order by 1, 2, 3
  loop
    perform from sidegate.owner o
      where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, l.kind, l.hash, l.owner) for no key update;
  end loop;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- What an import changes of what was there: expiries, notes and modes. All lists
-- are locked by the caller.
create function sidegate.import_changes(
  in_app text, kinds text[], owners text[], targets text[], expires timestamptz[],
  notes text[], modes boolean[], outcomes text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off as $$
declare
  l    record;
  was  bigint;
  head sidegate.owner;
begin
  update sidegate.block b
     set expires_at = case when t.expires is null then b.expires_at else nullif(t.expires, 'infinity') end,
         note = case when t.note is null then b.note else nullif(t.note, '') end
    from unnest(kinds, owners, targets, expires, notes, outcomes) t(kind, owner, target, expires, note, outcome)
   cross join lateral (
      select e.ctid, e.owner, e.target from sidegate.block e
       where e.app = in_app and e.kind = t.kind
         and (e.owner_hash, e.owner, e.target) >= (sidegate.owner_hash(t.owner), t.owner, t.target)
       order by e.app, e.kind, e.owner_hash, e.owner, e.target limit 1) e
   where t.outcome = 'u' and (e.owner, e.target) = (t.owner, t.target) and b.ctid = e.ctid;
  for l in
    select t.owner, sidegate.owner_hash(t.owner) as hash, t.mode
      from unnest(owners, modes, outcomes) t(owner, mode, outcome) where t.mode is not null and t.outcome = 'u'
  loop
    select o.version into was from sidegate.owner o
     where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, 'block', l.hash, l.owner);
    update sidegate.owner o
       set version = greatest(o.version, (select m.version_floor from sidegate.meta m)) + 1,
           allowlist = l.mode, digest = o.digest # sidegate.mode_digest(true)
     where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, 'block', l.hash, l.owner)
    returning o.* into head;
    insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op)
      values (in_app, 'block', l.owner, was, head.version, head.size, head.digest, l.mode, 'M');
  end loop;
end $$;
-- +goose StatementEnd

-- Whoever may edit may import.
insert into sidegate.callable values ('import_lines', 'sidegate_write');
select sidegate.grant_roles();

update sidegate.meta set schema_version = 12;

-- +goose Down
delete from sidegate.callable where function = 'import_lines';
drop function sidegate.import_changes(text, text[], text[], text[], timestamptz[], text[], boolean[], text[]);
drop function sidegate.lock_lists(text, text[], text[]);
drop function sidegate.import_lines(text, text[], text[], text[], timestamptz[], timestamptz[], text[], boolean[], text, text);
update sidegate.meta set schema_version = 11;
