-- Writes cost less. Where the time of a block went: into reading the text of
-- expressions again in each statement (constraints with functions that are
-- inlined), into the many small statements of one write, and into the commit.

-- +goose Up
-- +goose StatementBegin

-- In PL/pgSQL, unlike before: what a constraint calls is otherwise read, inlined
-- and planned anew in every statement, 35 microseconds each time, and an entry
-- has three ids and its room one. Every name is qualified, for it runs with the
-- path of whoever writes.
create or replace function sidegate.valid_id(id text) returns boolean
language plpgsql immutable parallel safe as $$
begin
  return pg_catalog.octet_length(id) operator(pg_catalog.>=) 1 and pg_catalog.octet_length(id) operator(pg_catalog.<=) 256
     and id operator(pg_catalog.!~) '[\u0001-\u001f\u007f-\u009f]';
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- As before, but it asks for a right instead of catching the error: each catch is
-- a transaction within the transaction.
create or replace function sidegate.identity() returns json
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  recovery boolean := pg_is_in_recovery();
  system   bigint := 0;
  timeline bigint := 0;
  started  bigint := 0;
begin
  if has_function_privilege('pg_control_system()'::regprocedure, 'execute') then
    system := (pg_control_system()).system_identifier;
  end if;
  if not recovery and has_function_privilege('pg_walfile_name(pg_lsn)'::regprocedure, 'execute')
     and has_function_privilege('pg_current_wal_insert_lsn()'::regprocedure, 'execute') then
    timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint;
  end if;
  if has_function_privilege('pg_postmaster_start_time()'::regprocedure, 'execute') then
    started := sidegate.micros(pg_postmaster_start_time());
  end if;
  return (select json_build_object(
      'recovery', recovery, 'system', system, 'timeline', timeline, 'started', started,
      'incarnation', m.incarnation, 'relation', 'sidegate.owner'::regclass::oid::bigint,
      'salt', m.hash_salt)
    from sidegate.meta m);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- As before, but it makes a header only where there is none, and calls nothing to
-- learn that the commit is durable already.
create or replace function sidegate.block_edited() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set jit = off set enable_seqscan = off as $$
declare
  step    int := case tg_op when 'INSERT' then 1 else -1 end;
  at      timestamptz;
  floor   bigint;
  g       record;
  was     bigint;
  head    sidegate.owner;
  cap     int;
  cap_app text;
begin
  if not exists (select from edited) then
    return null;
  end if;
  if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
    perform sidegate.make_durable();
  end if;
  if tg_op = 'INSERT' then
    insert into sidegate.owner (app, kind, owner)
      select e.app, e.kind, e.owner
        from (select distinct app, kind, owner_hash, owner from edited order by 1, 2, 3, 4) e
       where not exists (select from sidegate.owner o
              where (o.app, o.kind, o.owner_hash, o.owner) = (e.app, e.kind, e.owner_hash, e.owner))
      on conflict do nothing;
  end if;
  -- One header after the other, each found by its key. Joined in one statement,
  -- headers and groups are at the mercy of a plan made for other numbers.
  for g in
    select app, kind, owner_hash, owner, count(*)::int as n,
           bit_xor(sidegate.entry_digest(target, expires_at)) as digest,
           array_agg(target) as targets,
           array_agg(coalesce(sidegate.micros(expires_at), 0)) as expires
      from edited group by app, kind, owner_hash, owner order by app, kind, owner_hash, owner
  loop
    select o.version into was from sidegate.owner o
     where (o.app, o.kind, o.owner_hash, o.owner) = (g.app, g.kind, g.owner_hash, g.owner) for no key update;
    -- Read after the lock: a TRUNCATE that just ended has raised it.
    if floor is null then
      select m.version_floor into floor from sidegate.meta m;
    end if;
    update sidegate.owner o
       set version = greatest(o.version, floor) + 1, size = o.size + step * g.n, digest = o.digest # g.digest
     where (o.app, o.kind, o.owner_hash, o.owner) = (g.app, g.kind, g.owner_hash, g.owner)
    returning o.* into head;
    continue when not found; -- the triggers were bypassed when its entries came
    insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op, targets, expires)
      values (g.app, g.kind, g.owner, was, head.version, head.size, head.digest, head.allowlist,
             (case when g.n > 200 then 'L' when step > 0 then 'A' else 'R' end)::"char",
             case when g.n > 200 then '{}' else g.targets end,
             case when g.n > 200 then '{}' else g.expires end);
    if step > 0 then
      if cap_app is distinct from g.app then
        cap_app := g.app;
        cap := coalesce((select a.max_entries from sidegate.app a where a.app = g.app), 3000);
      end if;
      if head.size > cap then
        perform sidegate.hold_limit(g.app, g.kind, g.owner, g.n);
      end if;
    end if;
  end loop;
  if tg_op = 'INSERT' then
    -- In the order of the key, for the same reason as the headers.
    insert into sidegate.room (app, a, b, id)
      select r.app, r.a, r.b, sidegate.room_id(r.app, r.a, r.b)
        from (select distinct app, least(owner, target) as a, greatest(owner, target) as b
                from edited where kind = 'block' order by 1, 2, 3) r
      on conflict do nothing;
  else
    at := clock_timestamp();
    insert into sidegate.history
      select app, kind, owner, target, created_at, greatest(created_at, least(at, expires_at)), expires_at,
             note, source, actor,
             case when expires_at <= at then 'expiry'
                  else coalesce(nullif(current_setting('sidegate.source', true), ''), 'sql') end,
             case when expires_at <= at then ''
                  else coalesce(current_setting('sidegate.actor', true), '') end
        from edited;
  end if;
  return null;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Whether the trigger has to keep the books of an INSERT, which is always, save
-- that of add_each. Four things together tell that one, and nobody else has all:
-- the setting, which anybody may make; the right to write the feed by hand, which
-- is the owner's, and an owner may switch triggers off anyway; the lock_timeout of
-- add_each, for edit and import_lines run with the owner's rights too, whoever
-- calls them and whatever the caller has set, but with a lock_timeout of their
-- own; and that no trigger is under way, for what a deployer's trigger adds to our
-- INSERT runs with the same rights and the same settings. A function that inserts
-- with its owner's rights must therefore have a lock_timeout, and not this one.
-- Names are qualified as in valid_id.
create function sidegate.books_are_open() returns boolean
language plpgsql stable as $$
begin
  return coalesce(pg_catalog.current_setting('sidegate.kept', true), '') operator(pg_catalog.<>) 'yes'
      or pg_catalog.current_setting('lock_timeout') operator(pg_catalog.<>) '50ms'
      or pg_catalog.pg_trigger_depth() operator(pg_catalog.>) 0
      or not pg_catalog.has_table_privilege('sidegate.change'::pg_catalog.regclass::pg_catalog.oid, 'insert');
end $$;
-- +goose StatementEnd

drop trigger block_inserted on sidegate.block;
create trigger block_inserted after insert on sidegate.block
  referencing new table as edited for each statement when (sidegate.books_are_open())
  execute function sidegate.block_edited();

-- +goose StatementBegin

-- Adds one entry to each of several lists in one transaction, the way of most
-- blocks. The arrays are parallel; ends are the expiries. Answers with the step
-- that each list made: place, prev, version, size, digest, allowlist, time. What
-- is not plain is left alone and not in the answer, for the caller to edit by
-- itself: a list that is full, one that holds the target or an entry that has
-- expired, a header older than the floor. An error undoes all of them.
--
-- It keeps the books itself, in the order of the arrays, which the caller has
-- sorted by hash and owner as every writer does. The version moves by one in the
-- statement that locks the header, so that prev is known without another look:
-- after a wait, an UPDATE computes with the row as it has become, and asks its
-- conditions about size and version again. That the target is not there yet was
-- asked of an older snapshot; if it has come meanwhile, the key refuses it.
--
-- It waits a twentieth of a second, no longer: whoever is held up by one list here
-- has nothing to do with it.
create function sidegate.add_each(
  in_app text, kinds text[], owners text[], targets text[], ends timestamptz[],
  notes text[], sources text[], actors text[]) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms' set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  floor  bigint;
  cap    int;
  hash   bigint;
  print  bigint;
  head   sidegate.owner;
  is_new boolean;
  places int[];
  steps  sidegate.change[];
  step   sidegate.change;
  stored int;
  answer json;
begin
  if pg_trigger_depth() = 0 then
    lock table sidegate.block in row exclusive mode;
    select m.version_floor, coalesce((select a.max_entries from sidegate.app a where a.app = in_app), 3000)
      into floor, cap from sidegate.meta m;
    for i in 1..cardinality(owners) loop
      hash := sidegate.owner_hash(owners[i]);
      print := sidegate.entry_digest(targets[i], ends[i]);
      update sidegate.owner o
         set version = o.version + 1, size = o.size + 1, digest = o.digest # print
       where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, kinds[i], hash, owners[i])
         and o.version >= floor and o.size < cap
         and not exists (select from sidegate.block b
              where (b.app, b.kind, b.owner_hash, b.owner, b.target) = (in_app, kinds[i], hash, owners[i], targets[i]))
         and not exists (select from sidegate.block b
              where (b.app, b.kind, b.owner_hash, b.owner) = (in_app, kinds[i], hash, owners[i])
                and b.expires_at <= clock_timestamp())
      returning o.* into head;
      is_new := not found;
      if is_new then
        insert into sidegate.owner as o (app, kind, owner, version, size, digest)
          select in_app, kinds[i], owners[i], floor + 1, 1, print
           where not exists (select from sidegate.owner e
                  where (e.app, e.kind, e.owner_hash, e.owner) = (in_app, kinds[i], hash, owners[i]))
        on conflict do nothing returning o.* into head;
        continue when not found;
      end if;
      places := places || i;
      step := row(pg_current_xact_id(), clock_timestamp(), in_app, head.kind, head.owner,
        case when is_new then 0 else head.version - 1 end, head.version, head.size, head.digest, head.allowlist,
        'A', array[targets[i]], array[coalesce(sidegate.micros(ends[i]), 0)]);
      steps := steps || step;
    end loop;
  end if;
  if places is not null then
    if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
      perform set_config('synchronous_commit', 'on', true);
    end if;
    perform set_config('sidegate.kept', 'yes', true);
    with made as materialized (select * from unnest(places, steps) s(i)),
    entry as (
      insert into sidegate.block as b (app, kind, owner, target, created_at, expires_at, note, source, actor, place)
        select m.app, m.kind, m.owner, m.targets[1], m.at, ends[m.i], nullif(notes[m.i], ''), sources[m.i], actors[m.i], 1
          from made m
      returning b.app, b.kind, b.owner, b.target, b.created_at, b.expires_at, b.note, b.source, b.actor),
    change as (
      insert into sidegate.change (x, at, app, kind, owner, prev, version, size, digest, allowlist, op, targets, expires)
        select m.x, m.at, m.app, m.kind, m.owner, m.prev, m.version, m.size, m.digest, m.allowlist, m.op, m.targets, m.expires
          from made m),
    room as (
      insert into sidegate.room (app, a, b, id)
        select r.app, r.a, r.b, sidegate.room_id(r.app, r.a, r.b)
          from (select distinct m.app, least(m.owner, m.targets[1]) as a, greatest(m.owner, m.targets[1]) as b
                  from made m where m.kind = 'block' order by 1, 2, 3) r
        on conflict do nothing)
    select count(*), json_agg(json_build_array(m.i, m.prev, m.version, m.size, m.digest, m.allowlist, sidegate.micros(m.at)))
      into stored, answer
      from entry e join made m on (e.app, e.kind, e.owner, e.target) = (m.app, m.kind, m.owner, m.targets[1])
       and (e.created_at, e.expires_at, e.note, e.source, e.actor) is not distinct from
           (m.at, ends[m.i], nullif(notes[m.i], ''), sources[m.i], actors[m.i]);
    perform set_config('sidegate.kept', '', true);
    if stored <> cardinality(places) then
      raise exception using errcode = 'SG004', message = 'a trigger of sidegate.block changed what was to be stored';
    end if;
  end if;
  return json_build_object('identity', sidegate.identity(), 'edits', answer);
end $$;
-- +goose StatementEnd

insert into sidegate.callable values
  ('add_each', 'sidegate_write'), ('books_are_open', 'sidegate_sql'), ('books_are_open', 'sidegate_read');
select sidegate.grant_roles();

update sidegate.meta set schema_version = 13;

-- +goose Down
delete from sidegate.callable where function in ('add_each', 'books_are_open');
drop function sidegate.add_each(text, text[], text[], text[], timestamptz[], text[], text[], text[]);
drop trigger block_inserted on sidegate.block;
create trigger block_inserted after insert on sidegate.block
  referencing new table as edited for each statement execute function sidegate.block_edited();
drop function sidegate.books_are_open();
-- +goose StatementBegin
create or replace function sidegate.block_edited() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set jit = off set enable_seqscan = off as $$
declare
  step    int := case tg_op when 'INSERT' then 1 else -1 end;
  at      timestamptz;
  floor   bigint;
  g       record;
  was     sidegate.owner;
  head    sidegate.owner;
  cap     int;
  cap_app text;
begin
  if not exists (select from edited) then
    return null;
  end if;
  perform sidegate.make_durable();
  if tg_op = 'INSERT' then
    insert into sidegate.owner (app, kind, owner)
      select e.app, e.kind, e.owner
        from (select distinct app, kind, owner_hash, owner from edited order by 1, 2, 3, 4) e
      on conflict do nothing;
  end if;
  -- One header after the other, each found by its key. Joined in one statement,
  -- headers and groups are at the mercy of a plan made for other numbers.
  for g in
    select app, kind, owner_hash, owner, count(*)::int as n,
           bit_xor(sidegate.entry_digest(target, expires_at)) as digest,
           array_agg(target) as targets,
           array_agg(coalesce(sidegate.micros(expires_at), 0)) as expires
      from edited group by app, kind, owner_hash, owner order by app, kind, owner_hash, owner
  loop
    select o.* into was from sidegate.owner o
     where (o.app, o.kind, o.owner_hash, o.owner) = (g.app, g.kind, g.owner_hash, g.owner) for no key update;
    -- Read after the lock: a TRUNCATE that just ended has raised it.
    if floor is null then
      select m.version_floor into floor from sidegate.meta m;
    end if;
    update sidegate.owner o
       set version = greatest(o.version, floor) + 1, size = o.size + step * g.n, digest = o.digest # g.digest
     where (o.app, o.kind, o.owner_hash, o.owner) = (g.app, g.kind, g.owner_hash, g.owner)
    returning o.* into head;
    continue when not found; -- the triggers were bypassed when its entries came
    insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op, targets, expires)
      values (g.app, g.kind, g.owner, was.version, head.version, head.size, head.digest, head.allowlist,
             (case when g.n > 200 then 'L' when step > 0 then 'A' else 'R' end)::"char",
             case when g.n > 200 then '{}' else g.targets end,
             case when g.n > 200 then '{}' else g.expires end);
    if step > 0 then
      if cap_app is distinct from g.app then
        cap_app := g.app;
        cap := coalesce((select a.max_entries from sidegate.app a where a.app = g.app), 3000);
      end if;
      if head.size > cap then
        perform sidegate.hold_limit(g.app, g.kind, g.owner, g.n);
      end if;
    end if;
  end loop;
  if tg_op = 'INSERT' then
    -- In the order of the key, for the same reason as the headers.
    insert into sidegate.room (app, a, b, id)
      select r.app, r.a, r.b, sidegate.room_id(r.app, r.a, r.b)
        from (select distinct app, least(owner, target) as a, greatest(owner, target) as b
                from edited where kind = 'block' order by 1, 2, 3) r
      on conflict do nothing;
  else
    at := clock_timestamp();
    insert into sidegate.history
      select app, kind, owner, target, created_at, greatest(created_at, least(at, expires_at)), expires_at,
             note, source, actor,
             case when expires_at <= at then 'expiry'
                  else coalesce(nullif(current_setting('sidegate.source', true), ''), 'sql') end,
             case when expires_at <= at then ''
                  else coalesce(current_setting('sidegate.actor', true), '') end
        from edited;
  end if;
  return null;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function sidegate.identity() returns json
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  recovery boolean := pg_is_in_recovery();
  system   bigint := 0;
  timeline bigint := 0;
  started  bigint := 0;
begin
  begin
    system := (pg_control_system()).system_identifier;
  exception when insufficient_privilege then null;
  end;
  if not recovery then
    begin
      timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint;
    exception when insufficient_privilege then null;
    end;
  end if;
  begin
    started := sidegate.micros(pg_postmaster_start_time());
  exception when insufficient_privilege then null;
  end;
  return (select json_build_object(
      'recovery', recovery, 'system', system, 'timeline', timeline, 'started', started,
      'incarnation', m.incarnation, 'relation', 'sidegate.owner'::regclass::oid::bigint,
      'salt', m.hash_salt)
    from sidegate.meta m);
end $$;
-- +goose StatementEnd

create or replace function sidegate.valid_id(id text) returns boolean
  language sql immutable parallel safe
  return octet_length(id) between 1 and 256
     and id !~ '[\u0001-\u001f\u007f-\u009f]';
update sidegate.meta set schema_version = 12;
