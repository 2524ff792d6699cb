-- +goose Up
-- +goose StatementBegin

-- Ends up to batch expired entries and answers how many. It never waits: a list
-- that somebody is writing is skipped, that writer ends its expired entries.
create function sidegate.expire(batch int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  at    timestamptz := clock_timestamp();
  l     record;
  ended int;
  total int := 0;
begin
  lock table sidegate.block in row exclusive mode;
  for l in
    select distinct app, kind, owner_hash, owner
      from (select app, kind, owner_hash, owner from sidegate.block
             where expires_at <= at order by expires_at limit batch) due
     order by 1, 2, 3, 4
  loop
    perform from sidegate.owner o
      where (o.app, o.kind, o.owner_hash, o.owner) = (l.app, l.kind, l.owner_hash, l.owner)
        for no key update skip locked;
    continue when not found;
    delete from sidegate.block where ctid = any (array(
      select b.ctid from sidegate.block b
       where (b.app, b.kind, b.owner_hash, b.owner) = (l.app, l.kind, l.owner_hash, l.owner)
         and b.expires_at <= at for update skip locked));
    get diagnostics ended = row_count;
    total := total + ended;
  end loop;
  return total;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Removes changes older than keep from the feed, about batch of them at most, and
-- answers how many. min_xid moves just above the newest that went: whoever had
-- not seen that one finds out in the statement that reads it. Changes of
-- transactions that may still be running for somebody stay whatever their age.
create function sidegate.trim(keep interval, batch int) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  since  timestamptz := clock_timestamp() - keep;
  newest xid8;
  n      bigint;
begin
  -- Held to the end of the transaction: a session lock would be lost in a pooler.
  if not pg_try_advisory_xact_lock(hashtextextended('sidegate.trim', 0)) then
    return 0;
  end if;
  with oldest as materialized (
    select c.x, c.at from sidegate.change c
     where c.x < pg_snapshot_xmin(pg_current_snapshot()) order by c.x limit batch)
  select o.x into newest from oldest o
   where o.x < coalesce((select y.x from oldest y where y.at >= since order by y.x limit 1),
                        '18446744073709551615'::xid8)
   order by o.x desc limit 1;
  if not found then
    return 0;
  end if;
  update sidegate.meta set min_xid = greatest(min_xid, (newest::text::numeric + 1)::text::xid8);
  delete from sidegate.change where x <= newest;
  get diagnostics n = row_count;
  return n;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Counts a list again and answers whether its header was wrong, which it can
-- only be if the triggers were bypassed. Everyone reads the list again then.
create function sidegate.repair(in_app text, in_kind text, in_owner text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '900ms' as $$
declare
  hash bigint := sidegate.owner_hash(in_owner);
  was  sidegate.owner;
  n    int;
  d    bigint;
begin
  lock table sidegate.block in row exclusive mode;
  perform sidegate.make_durable();
  if exists (select from sidegate.block where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner)) then
    insert into sidegate.owner (app, kind, owner) values (in_app, in_kind, in_owner) on conflict do nothing;
  end if;
  select o.* into was from sidegate.owner o
   where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, in_kind, hash, in_owner) for no key update;
  if not found then
    return false;
  end if;
  select count(*), coalesce(bit_xor(sidegate.entry_digest(target, expires_at)), 0) # sidegate.mode_digest(was.allowlist)
    into n, d
    from sidegate.block where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner);
  if (n, d) = (was.size, was.digest) then
    return false;
  end if;
  with fixed as (
    update sidegate.owner
       set version = greatest(version, (select version_floor from sidegate.meta)) + 1, size = n, digest = d
     where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner)
    returning *)
  insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op)
    select app, kind, owner, was.version, version, size, digest, allowlist, 'L' from fixed;
  return true;
end $$;
-- +goose StatementEnd

update sidegate.meta set schema_version = 7;

-- +goose Down
drop function sidegate.repair(text, text, text);
drop function sidegate.trim(interval, int);
drop function sidegate.expire(int);
update sidegate.meta set schema_version = 6;
