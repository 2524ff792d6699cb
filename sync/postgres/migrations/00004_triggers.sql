-- Statement triggers keep header, feed, history and rooms right, whoever writes
-- sidegate.block and however. Three habits hold throughout:
--
--  * Insert, lock, then read are separate statements: each sees what the lock
--    before it made stable. A single statement reads with a snapshot that is
--    older than its lock, and the chain of versions breaks.
--  * Headers are locked in the order of their key, so that writers of several
--    lists wait for each other instead of deadlocking.
--  * The functions run with their owner's rights, so that a role that may only
--    insert keeps the books too; names are qualified and the path is pinned, so
--    that no object of the caller is ever called.
--
-- Plans are cached per session. One that was made while there were few lists must
-- not scan all headers when there are many, hence the settings.

-- +goose Up
-- +goose StatementBegin

-- What has become visible must be durable: otherwise a crash takes back a version
-- that was seen, and the same number is given again to other content.
create function sidegate.make_durable() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Ends the entries of a list that have expired. An expired entry does not count,
-- so whoever counts calls this first. The header is locked by the caller.
create function sidegate.end_expired(in_app text, in_kind text, in_owner text, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  hash bigint := sidegate.owner_hash(in_owner);
begin
  -- A DELETE calls its trigger even if it deletes nothing, which costs five times
  -- this look.
  if exists (select from sidegate.block
              where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner) and expires_at <= at) then
    delete from sidegate.block
     where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner) and expires_at <= at;
  end if;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Refuses the statement if it left a list with more entries than its app allows.
-- The header is locked and counts them already. No user id is named: the text
-- may end up in anybody's log. The detail is read by the program.
create function sidegate.hold_limit(in_app text, in_kind text, in_owner text, added int) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held int;
  was  int;
  cap  int := coalesce((select a.max_entries from sidegate.app a where a.app = in_app), 3000);
begin
  perform sidegate.end_expired(in_app, in_kind, in_owner, clock_timestamp());
  select o.size into held from sidegate.owner o
   where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, in_kind, sidegate.owner_hash(in_owner), in_owner);
  if held > cap then
    -- An edit has told what the list held before it, which a removal in the same
    -- edit has made less by now.
    was := coalesce(nullif(current_setting('sidegate.held', true), '')::int, held - added);
    raise exception using errcode = 'SG001',
      message = format('the list is full: app "%s" allows %s entries, this list holds %s and would get %s more',
                       in_app, cap, was, added),
      detail = format('limit=%s size=%s', cap, was),
      hint = 'Nothing was stored. Remove entries first, or raise the limit of the app.';
  end if;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function sidegate.block_edited() returns trigger
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

-- Follows an UPDATE of expires_at or note. Old and new rows are not joined but
-- stacked and grouped: transition tables have no index. A new note alone moves
-- the version without entries, so that readers of the list see it has changed.
create function sidegate.block_updated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set jit = off set enable_seqscan = off as $$
declare
  g    record;
  was  sidegate.owner;
  head sidegate.owner;
begin
  if not exists (select from edited) then
    return null;
  end if;
  perform sidegate.make_durable();
  for g in
    with entry as (
      select app, kind, owner_hash, owner, target,
             bit_xor(sidegate.entry_digest(target, expires_at)) as digest,
             coalesce(max(sidegate.micros(expires_at)) filter (where fresh), 0) as expires,
             count(distinct coalesce(expires_at, '-infinity')) > 1 as moved,
             count(distinct coalesce(note, '')) > 1 as renoted
        from (select *, false as fresh from before union all select *, true from edited) v
       group by app, kind, owner_hash, owner, target
    )
    select app, kind, owner_hash, owner, bit_xor(digest) as digest,
           count(*) filter (where moved) > 200 as many,
           coalesce(array_agg(target) filter (where moved), '{}') as targets,
           coalesce(array_agg(expires) filter (where moved), '{}') as expires
      from entry where moved or renoted
     group by app, kind, owner_hash, owner order by app, kind, owner_hash, owner
  loop
    select o.* into was from sidegate.owner o
     where (o.app, o.kind, o.owner_hash, o.owner) = (g.app, g.kind, g.owner_hash, g.owner) for no key update;
    update sidegate.owner o
       set version = greatest(o.version, (select m.version_floor from sidegate.meta m)) + 1,
           digest = o.digest # g.digest
     where (o.app, o.kind, o.owner_hash, o.owner) = (g.app, g.kind, g.owner_hash, g.owner)
    returning o.* into head;
    continue when not found; -- the triggers were bypassed when its entries came
    insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op, targets, expires)
      values (g.app, g.kind, g.owner, was.version, head.version, head.size, head.digest, head.allowlist,
             (case when g.many then 'L' else 'U' end)::"char",
             case when g.many then '{}' else g.targets end,
             case when g.many then '{}' else g.expires end);
  end loop;
  return null;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function sidegate.block_refuse_update() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = '55000',
    message = 'only expires_at and note of sidegate.block can be updated',
    hint = 'To change anything else, DELETE the row and INSERT a new one.';
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- TRUNCATE has no rows to look at, so the open intervals are ended before it.
-- After it, everyone who follows starts over: the incarnation is new, and no
-- version that was ever given is given again. Owners in allowlist mode keep
-- their header, for the mode is not part of the table.
create function sidegate.block_truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  at timestamptz := clock_timestamp();
begin
  perform sidegate.make_durable();
  if tg_when = 'BEFORE' then
    insert into sidegate.history
      select app, kind, owner, target, created_at, greatest(created_at, least(at, expires_at)), expires_at,
             note, source, actor,
             case when expires_at <= at then 'expiry'
                  else coalesce(nullif(current_setting('sidegate.source', true), ''), 'sql') end,
             case when expires_at <= at then ''
                  else coalesce(current_setting('sidegate.actor', true), '') end
        from sidegate.block;
    return null;
  end if;
  update sidegate.meta
     set incarnation = gen_random_uuid(),
         version_floor = greatest(version_floor, coalesce((select max(version) from sidegate.owner), 0));
  delete from sidegate.owner where not allowlist;
  with emptied as (
    update sidegate.owner o
       set version = (select m.version_floor from sidegate.meta m) + 1,
           size = 0, digest = sidegate.mode_digest(true)
      from sidegate.owner was
     where (was.app, was.kind, was.owner_hash, was.owner) = (o.app, o.kind, o.owner_hash, o.owner)
    returning o.*, was.version as prev
  )
  insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op)
    select app, kind, owner, prev, version, size, digest, allowlist, 'L' from emptied;
  return null;
end $$;
-- +goose StatementEnd

create trigger block_inserted after insert on sidegate.block
  referencing new table as edited for each statement execute function sidegate.block_edited();
create trigger block_deleted after delete on sidegate.block
  referencing old table as edited for each statement execute function sidegate.block_edited();
create trigger block_updated after update on sidegate.block
  referencing old table as before new table as edited for each statement execute function sidegate.block_updated();
create trigger block_refuse_update
  before update of app, kind, owner, target, created_at, source, actor, place on sidegate.block
  for each statement execute function sidegate.block_refuse_update();
create trigger block_truncating before truncate on sidegate.block
  for each statement execute function sidegate.block_truncated();
create trigger block_truncated after truncate on sidegate.block
  for each statement execute function sidegate.block_truncated();

update sidegate.meta set schema_version = 4;

-- +goose Down
drop trigger block_truncated on sidegate.block;
drop trigger block_truncating on sidegate.block;
drop trigger block_refuse_update on sidegate.block;
drop trigger block_updated on sidegate.block;
drop trigger block_deleted on sidegate.block;
drop trigger block_inserted on sidegate.block;
drop function sidegate.block_truncated();
drop function sidegate.block_refuse_update();
drop function sidegate.block_updated();
drop function sidegate.block_edited();
drop function sidegate.hold_limit(text, text, text, int);
drop function sidegate.end_expired(text, text, text, timestamptz);
drop function sidegate.make_durable();
update sidegate.meta set schema_version = 3;
