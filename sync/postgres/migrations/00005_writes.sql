-- The writes of the service: one call each, one list each, all or nothing. They
-- add to what the triggers guarantee: the answer tells exactly what happened.
--
-- Whoever calls needs no right on any table. lock_timeout is set on the
-- functions because that works through every pooler: a list that somebody holds
-- for long costs a second and an error, and no other list anything. It is a
-- little shorter than deadlock_timeout, whose default is a second: a DELETE by
-- hand takes its row before the header and we the header before the row, and the
-- one who can try again should be the one to give way.

-- +goose Up
-- +goose StatementBegin
create function sidegate.block_json(b sidegate.block) returns json
language sql stable as $$
  select json_build_object('target', b.target, 'created', sidegate.micros(b.created_at),
         'expires', coalesce(sidegate.micros(b.expires_at), 0), 'note', coalesce(b.note, ''),
         'source', b.source, 'actor', b.actor, 'place', b.place)
$$;
-- +goose StatementEnd

-- +goose StatementBegin

-- The steps that this transaction added to the history of a list since a version.
create function sidegate.changes_json(in_app text, in_kind text, in_owner text, since bigint) returns json
language plpgsql set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off as $$
begin
  return (
    select coalesce(json_agg(json_build_object(
             'prev', c.prev, 'version', c.version, 'size', c.size, 'digest', c.digest,
             'allowlist', c.allowlist, 'op', c.op, 'at', sidegate.micros(c.at),
             'targets', c.targets, 'expires', c.expires) order by c.version), '[]')
      from sidegate.change c
     where c.x = pg_current_xact_id_if_assigned() and c.version > since
       and (c.app, c.kind, c.owner) = (in_app, in_kind, in_owner));
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Edits one list: first the entries of remove_targets go, then those of
-- add_targets come or, unless add_keep says otherwise, take the new expiry and
-- note. The four add arrays are parallel. Answers with the list's version and
-- size, every step made, the added entries in the order asked for, which of them
-- are new, and the removed entries as they were.
create function sidegate.edit(
  in_app text, in_kind text, in_owner text,
  add_targets text[], add_expires timestamptz[], add_notes text[], add_keep boolean[],
  remove_targets text[], in_source text, in_actor text) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set jit = off set enable_seqscan = off as $$
declare
  hash    bigint := sidegate.owner_hash(in_owner);
  at      timestamptz;
  since   bigint;
  head    record;
  removed json := '[]';
  fresh   text[] := '{}';
begin
  -- Before the header, as every plain statement does: or a TRUNCATE, which holds
  -- the table and wants the headers, would meet us in a deadlock.
  lock table sidegate.block in row exclusive mode;
  if cardinality(add_targets) > 0 then
    insert into sidegate.owner (app, kind, owner) values (in_app, in_kind, in_owner) on conflict do nothing;
  end if;
  select o.version into since from sidegate.owner o
   where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, in_kind, hash, in_owner) for no key update;
  if found then
    -- Read under the lock, so that "newest first" is the order of versions.
    at := clock_timestamp();
    perform sidegate.end_expired(in_app, in_kind, in_owner, at);
    perform set_config('sidegate.source', in_source, true), set_config('sidegate.actor', in_actor, true),
            set_config('sidegate.held', (select o.size::text from sidegate.owner o
              where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, in_kind, hash, in_owner)), true);
    if cardinality(remove_targets) > 0 then
      with gone as (
        delete from sidegate.block b using unnest(remove_targets) with ordinality r(target, n)
         where (b.app, b.kind, b.owner_hash, b.owner, b.target) = (in_app, in_kind, hash, in_owner, r.target)
        returning b, r.n)
      select coalesce(json_agg(sidegate.block_json(g.b) order by g.n), '[]') into removed from gone g;
    end if;
    if cardinality(add_targets) > 0 then
      with added as (
        insert into sidegate.block (app, kind, owner, target, created_at, expires_at, note, source, actor, place)
          select in_app, in_kind, in_owner, t.target, at, t.expires_at, nullif(t.note, ''), in_source, in_actor, t.n
            from unnest(add_targets, add_expires, add_notes) with ordinality t(target, expires_at, note, n)
        on conflict do nothing returning target)
      select coalesce(array_agg(a.target), '{}') into fresh from added a;
      if cardinality(fresh) < cardinality(add_targets) and false = any (add_keep) then
        update sidegate.block b set expires_at = t.expires_at, note = nullif(t.note, '')
          from unnest(add_targets, add_expires, add_notes, add_keep) t(target, expires_at, note, keep)
         where (b.app, b.kind, b.owner_hash, b.owner, b.target) = (in_app, in_kind, hash, in_owner, t.target)
           and not t.keep
           and (b.expires_at, coalesce(b.note, '')) is distinct from (t.expires_at, t.note);
      end if;
    end if;
    perform set_config('sidegate.source', '', true), set_config('sidegate.actor', '', true),
            set_config('sidegate.held', '', true);
  end if;
  select coalesce(max(o.version), 0) as version, coalesce(max(o.size), 0) as size into head
    from sidegate.owner o where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, in_kind, hash, in_owner);
  return json_build_object(
    'identity', sidegate.identity(), 'version', head.version, 'size', head.size,
    'changes', sidegate.changes_json(in_app, in_kind, in_owner, coalesce(since, 0)),
    'removed', removed,
    'added', (select coalesce(json_agg(sidegate.block_json(b) order by t.n), '[]')
                from unnest(add_targets) with ordinality t(target, n) join sidegate.block b
                  on (b.app, b.kind, b.owner_hash, b.owner, b.target) = (in_app, in_kind, hash, in_owner, t.target)),
    'created', (select coalesce(json_agg(t.target = any (fresh) order by t.n), '[]')
                  from unnest(add_targets) with ordinality t(target, n)));
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Switches allowlist mode of a user: a bit of the header of their block list, and
-- a change like any other. Answers like edit.
create function sidegate.set_allowlist_mode(in_app text, in_owner text, in_on boolean) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set jit = off set enable_seqscan = off as $$
declare
  hash bigint := sidegate.owner_hash(in_owner);
  was  sidegate.owner;
  now_ sidegate.owner;
begin
  if not (sidegate.valid_id(in_app) and sidegate.valid_id(in_owner)) then
    raise exception using errcode = '23514', message = 'not an id';
  end if;
  perform sidegate.make_durable();
  insert into sidegate.owner (app, kind, owner) values (in_app, 'block', in_owner) on conflict do nothing;
  select o.* into was from sidegate.owner o
   where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, 'block', hash, in_owner) for no key update;
  now_ := was;
  if was.allowlist <> in_on then
    update sidegate.owner o
       set version = greatest(o.version, (select m.version_floor from sidegate.meta m)) + 1,
           allowlist = in_on, digest = o.digest # sidegate.mode_digest(true)
     where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, 'block', hash, in_owner)
    returning o.* into now_;
    insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op)
      values (in_app, 'block', in_owner, was.version, now_.version, now_.size, now_.digest, in_on, 'M');
  end if;
  return json_build_object(
    'identity', sidegate.identity(), 'version', now_.version, 'size', now_.size,
    'changes', sidegate.changes_json(in_app, 'block', in_owner, was.version),
    'removed', '[]'::json, 'added', '[]'::json, 'created', '[]'::json);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Sets an app's limit and answers with the one that held before.
create function sidegate.set_limit(in_app text, in_limit int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '900ms' as $$
declare
  was int;
begin
  insert into sidegate.app (app, max_entries) values (in_app, in_limit) on conflict do nothing;
  if found then
    return 3000;
  end if;
  select a.max_entries into was from sidegate.app a where a.app = in_app for no key update;
  update sidegate.app set max_entries = in_limit where app = in_app and max_entries <> in_limit;
  return was;
end $$;
-- +goose StatementEnd

update sidegate.meta set schema_version = 5;

-- +goose Down
drop function sidegate.set_limit(text, int);
drop function sidegate.set_allowlist_mode(text, text, boolean);
drop function sidegate.edit(text, text, text, text[], timestamptz[], text[], boolean[], text[], text, text);
drop function sidegate.changes_json(text, text, text, bigint);
drop function sidegate.block_json(sidegate.block);
update sidegate.meta set schema_version = 4;
