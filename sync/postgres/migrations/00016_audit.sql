-- What mends a database that somebody has written past the triggers: an audit that
-- compares headers with rows and with the feed, a repair, a new incarnation. And
-- what lets go of data: the erasure of a user, and the retention of history.

-- +goose Up

-- The state of the audit, so that of several processes one works at a time, that a
-- crash loses nothing, and that each of them knows when the last round ended. The
-- cursor is the last list that was compared; began_at is null between two rounds.
create table sidegate.audit_round (
  one           boolean primary key default true check (one),
  began_at      timestamptz,
  stage         text    not null default 'lists' check (stage in ('lists', 'feed')),
  app           text collate "C" not null default '',
  kind          text collate "C" not null default '',
  owner_hash    bigint  not null default 0,
  owner         text collate "C" not null default '',
  x             xid8    not null default '0',
  expected      bigint  not null default 0,
  lists         bigint  not null default 0,
  entries       bigint  not null default 0,
  damaged       bigint  not null default 0,
  repaired      bigint  not null default 0,
  oversize      bigint  not null default 0,
  last_began_at timestamptz,
  last_ended_at timestamptz,
  last_lists    bigint  not null default 0,
  last_entries  bigint  not null default 0,
  last_damaged  bigint  not null default 0,
  last_repaired bigint  not null default 0,
  last_oversize bigint  not null default 0
);
insert into sidegate.audit_round default values;
comment on table  sidegate.audit_round is 'One row: how far the audit has come, and how its last complete round ended.';
comment on column sidegate.audit_round.expected is 'How many lists the round will meet, by the one before; it sets the pace.';
comment on column sidegate.audit_round.oversize is 'Lists with more than 3000 entries. They are enforced and never cut.';

-- +goose StatementBegin

-- Compares a run of lists with their headers, in the order of the key, behind a
-- cursor: about as many lists and entries as are asked for, and at least one list
-- however long it is. Answers with where to go on (null at the end), how much was
-- compared, and what differs.
--
-- It is STABLE, so all of its queries see the snapshot of the calling statement,
-- in which each transaction has either written header and rows or neither: a
-- concurrent write is never reported. Like a page it reads the primary key and the
-- index of the entries that expire, not the table: what is compared is what is
-- served. An entry that expires is corrected for: its digest without an expiry
-- goes, the one with it comes.
--
-- App and kind are compared by equality, one pair after the other: an index scan
-- ends early only where the first column of a row comparison decides.
create function sidegate.audit(
  after_app text, after_kind text, after_hash bigint, after_owner text, only_app text, lists int, entries int)
returns json language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set jit = off
set enable_seqscan = off set enable_bitmapscan = off set enable_hashagg = off
set enable_hashjoin = off set enable_nestloop = off as $$
declare
  last_hash  constant bigint := 9223372036854775807;
  top        constant text   := repeat(U&'\+10FFFF', 65); -- behind every id
  upto_hash  bigint;
  upto_owner text;
  bound      record;
  piece      record;
  compared   bigint := 0;
  counted    bigint := 0;
  found_     json[] := '{}';
begin
  if after_app = '' and only_app is not null then
    after_app := only_app;
  end if;
  loop
    if after_kind = '' or after_hash = last_hash then -- this pair is done
      select p.app, p.kind into bound from (
        (select o.app, o.kind from sidegate.owner o where (o.app, o.kind) > (after_app, after_kind)
          order by o.app, o.kind limit 1)
        union all
        (select b.app, b.kind from sidegate.block b where (b.app, b.kind) > (after_app, after_kind)
          order by b.app, b.kind limit 1)) p
       order by 1, 2 limit 1;
      exit when not found or bound.app <> only_app;
      after_app := bound.app; after_kind := bound.kind; after_hash := -9223372036854775808; after_owner := '';
    end if;
    exit when lists <= compared or entries <= counted;

    upto_hash := last_hash; upto_owner := top;
    select o.owner_hash, o.owner into bound from sidegate.owner o
     where o.app = after_app and o.kind = after_kind and (o.owner_hash, o.owner) > (after_hash, after_owner)
     order by o.owner_hash, o.owner offset lists - compared - 1 limit 1;
    if found then
      upto_hash := bound.owner_hash; upto_owner := bound.owner;
    end if;
    -- The list of the last entry is compared whole.
    select b.owner_hash, b.owner into bound from sidegate.block b
     where b.app = after_app and b.kind = after_kind and (b.owner_hash, b.owner) > (after_hash, after_owner)
       and (b.owner_hash, b.owner) <= (upto_hash, upto_owner)
     order by b.owner_hash, b.owner offset entries - counted - 1 limit 1;
    if found then
      upto_hash := bound.owner_hash; upto_owner := bound.owner;
    end if;

    select count(*) as lists, coalesce(sum(v.rows), 0) as entries,
           array_agg(json_build_object('app', after_app, 'kind', after_kind, 'owner', v.owner, 'reason', v.reason,
                     'size', coalesce(v.size, 0), 'rows', v.rows)) filter (where v.reason is not null) as found
      into piece
      from (
        select owner, h.size, coalesce(r.n, 0) as rows,
               case when h.version is null then 'header'
                    when h.size <> coalesce(r.n, 0) then 'size'
                    when h.digest <> (coalesce(r.digest, 0) # coalesce(e.digest, 0) # sidegate.mode_digest(h.allowlist)) then 'digest'
                    when r.n > 3000 then 'limit' end as reason
          from (
            select o.owner_hash, o.owner, o.version, o.size, o.digest, o.allowlist from sidegate.owner o
             where o.app = after_app and o.kind = after_kind and (o.owner_hash, o.owner) > (after_hash, after_owner)
               and (o.owner_hash, o.owner) <= (upto_hash, upto_owner)) h
          full join (
            select b.owner_hash, b.owner, count(*)::int as n, bit_xor(sidegate.entry_digest(b.target, null)) as digest
              from sidegate.block b
             where b.app = after_app and b.kind = after_kind and (b.owner_hash, b.owner) > (after_hash, after_owner)
               and (b.owner_hash, b.owner) <= (upto_hash, upto_owner)
             group by 1, 2) r using (owner_hash, owner)
          left join (
            select b.owner_hash, b.owner,
                   bit_xor(sidegate.entry_digest(b.target, null) # sidegate.entry_digest(b.target, b.expires_at)) as digest
              from sidegate.block b
             where b.app = after_app and b.kind = after_kind and (b.owner_hash, b.owner) > (after_hash, after_owner)
               and (b.owner_hash, b.owner) <= (upto_hash, upto_owner) and b.expires_at is not null
             group by 1, 2) e using (owner_hash, owner)) v;
    compared := compared + piece.lists;
    counted := counted + piece.entries;
    found_ := found_ || piece.found;
    after_hash := upto_hash;
    after_owner := case when after_hash = last_hash then '' else upto_owner end;
  end loop;
  -- It ended with a cursor that waits, or because there is no further pair.
  return json_build_object(
    'next', case when lists <= compared or entries <= counted then
              json_build_object('app', after_app, 'kind', after_kind, 'hash', after_hash, 'owner', after_owner) end,
    'lists', compared, 'entries', counted, 'found', to_json(found_));
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Compares a run of the feed with the headers, behind a transaction: a header that
-- is older than a change of its list, or of the same version and other content, was
-- set back, as a restore of data alone does. That such a list agrees with itself
-- does not help: sidecars hold what it was. Answers like audit; above is the version
-- that was given out already. A header without a version is as good as none: it has
-- told nothing to anybody since the list was forgotten.
create function sidegate.audit_feed(after xid8, changes int) returns json
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set jit = off
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  upto   xid8;
  answer json;
begin
  select c.x into upto from sidegate.change c where c.x > after order by c.x offset changes - 1 limit 1;
  select json_build_object('next', upto::text, 'found', coalesce(json_agg(json_build_object(
           'app', v.app, 'kind', v.kind, 'owner', v.owner, 'reason', 'feed', 'size', v.size, 'rows', v.size,
           'above', v.above)), '[]'))
    into answer
    from (
      select c.app, c.kind, c.owner, coalesce(max(o.size), 0) as size, max(c.version) as above
        from sidegate.change c cross join sidegate.meta m
        left join sidegate.owner o
          on (o.app, o.kind, o.owner_hash, o.owner) = (c.app, c.kind, sidegate.owner_hash(c.owner), c.owner)
       where c.x > after and c.x <= coalesce(upto, '18446744073709551615'::xid8)
         and (c.version > coalesce(nullif(o.version, 0), m.version_floor)
              or c.version = o.version and (c.size, c.digest) <> (o.size, o.digest))
       group by 1, 2, 3) v;
  return answer;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Counts a list again and, if its header is wrong, corrects it: the rows are the
-- truth, however many they are, and so is the mode. Answers whether it was wrong. A
-- list of which a version above has been given out already is wrong in any case.
--
-- Everyone reads the list again then. The new version is far beyond the old one:
-- whoever bypassed the triggers may have set the version back, and a sidecar that
-- holds a higher one would take the correction for old news.
create function sidegate.mend(in_app text, in_kind text, in_owner text, above bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set jit = off set enable_seqscan = off as $$
declare
  hash bigint := sidegate.owner_hash(in_owner);
  was  sidegate.owner;
  n    int;
  d    bigint;
begin
  lock table sidegate.block in row exclusive mode;
  perform sidegate.make_durable();
  if above is not null
     or exists (select from sidegate.block where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner)) then
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
  if (n, d) = (was.size, was.digest) and (above is null or above < was.version) then
    return false;
  end if;
  with fixed as (
    update sidegate.owner
       set version = greatest(version, above, (select version_floor from sidegate.meta)) + x'100000000'::bigint,
           size = n, digest = d
     where (app, kind, owner_hash, owner) = (in_app, in_kind, hash, in_owner)
    returning *)
  insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op)
    select app, kind, owner, was.version, version, size, digest, allowlist, 'L' from fixed;
  return true;
end $$;
-- +goose StatementEnd

create or replace function sidegate.repair(in_app text, in_kind text, in_owner text) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp
as $$ select sidegate.mend(in_app, in_kind, in_owner, null) $$;

-- +goose StatementBegin

-- Removes up to batch changes of transactions that have not begun yet, and answers
-- how many: they came with a dump of another cluster, whose numbers were higher.
-- Every poll would find them again, until the numbers of this one have come so far;
-- and every one would start over, if min_xid is from there too. In one snapshot no
-- change of this cluster has a number at or above xmax.
create function sidegate.trim_foreign(batch int) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off as $$
declare
  n bigint;
begin
  update sidegate.meta set min_xid = pg_snapshot_xmax(pg_current_snapshot())
   where min_xid > pg_snapshot_xmax(pg_current_snapshot());
  delete from sidegate.change where ctid = any (array(
    select c.ctid from sidegate.change c where c.x >= pg_snapshot_xmax(pg_current_snapshot()) limit batch));
  get diagnostics n = row_count;
  return n;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Makes everyone who follows start over and read everything again, as after a
-- TRUNCATE: for a database that was restored, of which nobody can tell what was
-- set back. Headers stay, so that no version is given out twice within an
-- incarnation. Answers with the new one.
create function sidegate.bump_incarnation() returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '900ms' as $$
declare
  fresh uuid;
begin
  perform sidegate.make_durable();
  update sidegate.meta set incarnation = gen_random_uuid() returning incarnation into fresh;
  return fresh;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Does the next piece of the audit, if it is due and nobody else is at it. A round
-- begins every period, compares the lists and then the feed, and is spread over
-- nine tenths of the period by what the last round has counted; a list is thus
-- visited once a period. With fix, what differs is mended, and everyone starts over
-- if headers were set back. A list that somebody holds locked is left to the next
-- round, and so are those behind it in the piece: waiting for each would take long.
--
-- Answers with what was found, how long there is nothing to do (wait, in
-- microseconds), and how the rounds stand.
create function sidegate.audit_turn(period interval, fix boolean, lists int, entries int) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set jit = off as $$
#variable_conflict use_column
declare
  at      timestamptz := clock_timestamp();
  due     timestamptz;
  now_    sidegate.audit_round;
  run     json;
  f       record;
  fixed   boolean;
  held    boolean := false;
  back    boolean := false; -- a header was set back
  damage  int := 0;
  mended  int := 0;
  large   int := 0;
  found_  json[] := '{}';
begin
  -- Held to the end of the transaction: a session lock would be lost in a pooler.
  if not pg_try_advisory_xact_lock(hashtextextended('sidegate.audit', 0)) then
    return json_build_object('wait', 1000000);
  end if;
  select * into now_ from sidegate.audit_round;
  if now_.began_at is null then
    due := now_.last_began_at + period;
  elsif now_.stage = 'lists' and now_.lists < now_.expected then
    due := now_.began_at + period * (0.9 * now_.lists / now_.expected);
  end if;
  if due > at and due <= at + period then -- any later, and the clock was set back
    return json_build_object('wait', sidegate.micros(due) - sidegate.micros(at), 'round', sidegate.round_json(now_));
  end if;
  if now_.began_at is null then
    update sidegate.audit_round
       set began_at = at, stage = 'lists', app = '', kind = '', owner_hash = 0, owner = '', x = '0',
           expected = coalesce(nullif(last_lists, 0), (select c.reltuples::bigint from pg_class c where c.oid = 'sidegate.owner'::regclass)),
           lists = 0, entries = 0, damaged = 0, repaired = 0, oversize = 0
    returning * into now_;
  end if;

  if now_.stage = 'lists' then
    run := sidegate.audit(now_.app, now_.kind, now_.owner_hash, now_.owner, null, $3, $4);
  else
    run := sidegate.audit_feed(now_.x, $4);
  end if;
  for f in select * from json_to_recordset(run -> 'found')
             as d(app text, kind text, owner text, reason text, size int, rows int, above bigint)
  loop
    fixed := false;
    if f.reason = 'limit' then
      large := large + 1;
    else
      damage := damage + 1;
      if fix and not held then
        begin
          fixed := sidegate.mend(f.app, f.kind, f.owner, f.above);
        exception when lock_not_available then held := true;
        end;
      end if;
    end if;
    mended := mended + fixed::int;
    back := back or fixed and f.reason = 'feed';
    found_ := found_ || json_build_object('app', f.app, 'kind', f.kind, 'owner', f.owner, 'reason', f.reason,
                                          'size', f.size, 'rows', f.rows, 'repaired', fixed);
  end loop;
  if back then
    perform sidegate.bump_incarnation();
  end if;

  update sidegate.audit_round
     set lists = lists + coalesce((run ->> 'lists')::bigint, 0), entries = entries + coalesce((run ->> 'entries')::bigint, 0),
         damaged = damaged + damage, repaired = repaired + mended, oversize = oversize + large;
  if now_.stage = 'lists' and run ->> 'next' is null then
    update sidegate.audit_round set stage = 'feed', app = '', kind = '', owner_hash = 0, owner = '' returning * into now_;
  elsif now_.stage = 'lists' then
    update sidegate.audit_round
       set app = run -> 'next' ->> 'app', kind = run -> 'next' ->> 'kind',
           owner_hash = (run -> 'next' ->> 'hash')::bigint, owner = run -> 'next' ->> 'owner'
    returning * into now_;
  elsif run ->> 'next' is not null then
    update sidegate.audit_round set x = (run ->> 'next')::xid8 returning * into now_;
  else
    update sidegate.audit_round
       set began_at = null, last_began_at = began_at, last_ended_at = clock_timestamp(), last_lists = lists,
           last_entries = entries, last_damaged = damaged, last_repaired = repaired, last_oversize = oversize
    returning * into now_;
  end if;
  return json_build_object('wait', 0, 'lists', coalesce((run ->> 'lists')::bigint, 0), 'found', to_json(found_),
                           'started_over', back, 'round', sidegate.round_json(now_));
end $$;
-- +goose StatementEnd

-- How the rounds of the audit stand, as the program reads it.
create function sidegate.round_json(r sidegate.audit_round) returns json
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select json_build_object(
    'began', coalesce(sidegate.micros(coalesce(r.began_at, r.last_began_at)), 0), 'under_way', r.began_at is not null,
    'ended', coalesce(sidegate.micros(r.last_ended_at), 0), 'lists', r.last_lists, 'entries', r.last_entries,
    'damaged', r.last_damaged, 'repaired', r.last_repaired, 'oversize', r.last_oversize)
$$;

-- From here on a header can go while somebody waits for its lock, which nobody had
-- to reckon with before. Who finds it gone begins anew instead of going on without
-- it, and a new header starts above the floor as it is then: whoever has read the
-- floor before reads it again. A line or two in each function are new; they are put
-- in by name, so that the rest is seen to be as it was.
-- +goose StatementBegin
create function sidegate.rewrite(routine text, was text, becomes text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  definition text := pg_get_functiondef(('sidegate.' || routine)::regproc);
begin
  if array_length(string_to_array(definition, was), 1) <> 2 then
    raise exception 'sidegate.% is not what the migrations before have made', routine;
  end if;
  execute replace(definition, was, becomes);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
select sidegate.rewrite('block_edited',
'    continue when not found; --',
'    if not found and step > 0 then
      raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
    end if;
    continue when not found; --');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('block_edited',
'if floor is null then',
'if floor is null or was = 0 then -- the list may have been forgotten and made again');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('edit',
'  if found then
    -- Read under the lock',
'  if not found and cardinality(add_targets) > 0 then
    raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
  end if;
  if found then
    -- Read under the lock');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('set_allowlist_mode',
'for no key update;
  now_ := was;',
'for no key update;
  if not found then
    raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
  end if;
  now_ := was;');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('lock_lists',
'for no key update;
  end loop;',
'for no key update;
    if not found then
      raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
    end if;
  end loop;');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('add_each',
'    end loop;
  end if;
  if places is not null then',
'    end loop;
    if floor < (select m.version_floor from sidegate.meta m) then
      raise exception using errcode = ''40001'', message = ''a list was forgotten meanwhile; try again'';
    end if;
  end if;
  if places is not null then');
-- +goose StatementEnd
drop function sidegate.rewrite(text, text, text);

-- Who made an entry may be forgotten, and nothing else of it be changed. A trigger
-- that was dropped would keep readers away until the indices below are built.
create or replace trigger block_refuse_update
  before update of app, kind, owner, target, created_at, source, place on sidegate.block
  for each statement execute function sidegate.block_refuse_update();
create trigger block_refuse_actor
  before update of actor on sidegate.block
  for each row when (new.actor <> '') execute function sidegate.block_refuse_update();

-- What erasure and retention look for. A migration of a large database need not
-- build them: who has made them before by CREATE INDEX CONCURRENTLY keeps them.
create index if not exists history_target on sidegate.history (app, target);
create index if not exists history_ended on sidegate.history (app, unblocked_at);
create index if not exists history_room_actor on sidegate.history (app, actor) where kind = 'room';
create index if not exists history_room_ended_actor on sidegate.history (app, ended_actor) where kind = 'room';
create index if not exists room_b on sidegate.room (app, b);

-- +goose StatementBegin

-- How often a user is named, by what forget takes away; nothing else keeps an id
-- for longer than the feed.
create function sidegate.mentions(in_app text, in_user text) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  select json_build_object(
    'own', (select count(*) from sidegate.block where (app, owner_hash, owner) = (in_app, sidegate.owner_hash(in_user), in_user)
              and kind in ('block', 'allow')),
    'named', (select count(*) from sidegate.block where (app, target) = (in_app, in_user) and kind in ('block', 'allow', 'room')),
    'headers', (select count(*) from sidegate.owner where (app, owner_hash, owner) = (in_app, sidegate.owner_hash(in_user), in_user)
                  and kind in ('block', 'allow')),
    'history', (select count(*) from sidegate.history where (app, owner) = (in_app, in_user) and kind in ('block', 'allow'))
             + (select count(*) from sidegate.history where (app, target) = (in_app, in_user)),
    'rooms', (select count(*) from sidegate.room where (app, a) = (in_app, in_user))
           + (select count(*) from sidegate.room where (app, b) = (in_app, in_user)),
    'users', (select count(*) from sidegate.directory where (app, id) = (in_app, in_user)),
    'actors', (select count(*) from sidegate.block where (app, actor) = (in_app, in_user) and kind = 'room')
            + (select count(*) from sidegate.history where (app, actor) = (in_app, in_user) and kind = 'room')
            + (select count(*) from sidegate.history where (app, ended_actor) = (in_app, in_user) and kind = 'room'))
$$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Forgets a user, about batch rows in a call, and answers how many of what went;
-- nothing of anything means that nothing is left. Entries go first, theirs and those
-- of others about them, as removals that everyone learns of. Then the headers of
-- their lists: sidecars are told to read the list again, and the floor rises to what
-- was given out last, so that no version is ever given out twice. Then what nobody
-- follows. A room that is called like the user is no user.
create function sidegate.forget(in_app text, in_user text, batch int) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set jit = off set enable_seqscan = off as $$
declare
  l       record;
  hash    bigint := sidegate.owner_hash(in_user);
  n       int;
  own     int := 0;
  named   int := 0;
  headers int := 0;
  history int := 0;
  rooms   int := 0;
  users   int := 0;
  actors  int := 0;
begin
  lock table sidegate.block in row exclusive mode;
  perform sidegate.make_durable(), set_config('sidegate.source', 'forget', true), set_config('sidegate.actor', '', true);
  -- List by list: the header, then its rows; the lists in the order of their key, as
  -- everybody does.
  for l in
    select d.kind, d.owner_hash, d.owner, bool_or(d.theirs) as theirs from (
      (select b.kind, b.owner_hash, b.owner, true as theirs from sidegate.block b
        where (b.app, b.owner_hash, b.owner) = (in_app, hash, in_user) and b.kind in ('block', 'allow') limit batch)
      union all
      (select b.kind, b.owner_hash, b.owner, false from sidegate.block b
        where (b.app, b.target) = (in_app, in_user) and b.kind in ('block', 'allow', 'room') limit batch)) d
     group by 1, 2, 3 order by 1, 2, 3
  loop
    perform from sidegate.owner o
      where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, l.kind, l.owner_hash, l.owner) for no key update;
    if l.theirs then
      delete from sidegate.block b
       where (b.app, b.kind, b.owner_hash, b.owner) = (in_app, l.kind, l.owner_hash, l.owner);
      get diagnostics n = row_count;
      own := own + n;
    else
      delete from sidegate.block b
       where (b.app, b.kind, b.owner_hash, b.owner, b.target) = (in_app, l.kind, l.owner_hash, l.owner, in_user);
      get diagnostics n = row_count;
      named := named + n;
    end if;
  end loop;

  if own + named = 0 then
    for l in
      select o.kind, o.version from sidegate.owner o
       where (o.app, o.owner_hash, o.owner) = (in_app, hash, in_user) and o.kind in ('block', 'allow')
       order by o.kind for update
    loop
      -- Asked under the lock: who writes now waits for it, and begins anew.
      continue when exists (select from sidegate.block b
        where (b.app, b.kind, b.owner_hash, b.owner) = (in_app, l.kind, hash, in_user));
      if l.version > 0 then -- or it has told nobody anything
        update sidegate.meta set version_floor = greatest(version_floor, l.version + 1);
        insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op)
          values (in_app, l.kind, in_user, l.version, l.version + 1, 0, 0, false, 'L');
      end if;
      delete from sidegate.owner o where (o.app, o.kind, o.owner_hash, o.owner) = (in_app, l.kind, hash, in_user);
      headers := headers + 1;
    end loop;

    delete from sidegate.history where ctid = any (array(
      (select h.ctid from sidegate.history h where (h.app, h.owner) = (in_app, in_user) and h.kind in ('block', 'allow') limit batch)
      union all
      (select h.ctid from sidegate.history h where (h.app, h.target) = (in_app, in_user) limit batch)));
    get diagnostics history = row_count;
    delete from sidegate.room where ctid = any (array(
      (select r.ctid from sidegate.room r where (r.app, r.a) = (in_app, in_user) limit batch)
      union all
      (select r.ctid from sidegate.room r where (r.app, r.b) = (in_app, in_user) limit batch)));
    get diagnostics rooms = row_count;
    delete from sidegate.directory d where (d.app, d.id) = (in_app, in_user);
    get diagnostics users = row_count;

    update sidegate.block set actor = '' where ctid = any (array(
      select b.ctid from sidegate.block b where (b.app, b.actor) = (in_app, in_user) and b.kind = 'room' limit batch));
    get diagnostics actors = row_count;
    update sidegate.history set actor = '' where ctid = any (array(
      select h.ctid from sidegate.history h where (h.app, h.actor) = (in_app, in_user) and h.kind = 'room' limit batch));
    get diagnostics n = row_count;
    actors := actors + n;
    update sidegate.history set ended_actor = '' where ctid = any (array(
      select h.ctid from sidegate.history h where (h.app, h.ended_actor) = (in_app, in_user) and h.kind = 'room' limit batch));
    get diagnostics n = row_count;
    actors := actors + n;
  end if;
  return json_build_object('own', own, 'named', named, 'headers', headers, 'history', history,
                           'rooms', rooms, 'users', users, 'actors', actors);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Removes up to batch intervals of an app that ended longer ago than keep, the
-- oldest first, and answers how many.
create function sidegate.trim_history(in_app text, keep interval, batch int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off as $$
declare
  n int;
begin
  delete from sidegate.history where ctid = any (array(
    select h.ctid from sidegate.history h
     where h.app = in_app and h.unblocked_at < clock_timestamp() - keep
     order by h.app, h.unblocked_at limit batch for update skip locked));
  get diagnostics n = row_count;
  return n;
end $$;
-- +goose StatementEnd

insert into sidegate.callable values
  ('audit', 'sidegate_read'), ('audit_feed', 'sidegate_read'), ('mentions', 'sidegate_read'),
  ('audit_turn', 'sidegate_write'), ('mend', 'sidegate_write'), ('bump_incarnation', 'sidegate_write'),
  ('forget', 'sidegate_write'), ('trim_history', 'sidegate_write'), ('trim_foreign', 'sidegate_write');
select sidegate.grant_roles();

update sidegate.meta set schema_version = 16;

-- +goose Down
delete from sidegate.callable where function in
  ('audit', 'audit_feed', 'mentions', 'audit_turn', 'mend', 'bump_incarnation', 'forget', 'trim_history', 'trim_foreign');
drop function sidegate.trim_history(text, interval, int);
drop function sidegate.forget(text, text, int);
drop function sidegate.mentions(text, text);
drop index sidegate.room_b;
drop index sidegate.history_room_ended_actor;
drop index sidegate.history_room_actor;
drop index sidegate.history_ended;
drop index sidegate.history_target;
drop trigger block_refuse_actor on sidegate.block;
drop trigger block_refuse_update on sidegate.block;
create trigger block_refuse_update
  before update of app, kind, owner, target, created_at, source, actor, place on sidegate.block
  for each statement execute function sidegate.block_refuse_update();
drop function sidegate.round_json(sidegate.audit_round);
drop function sidegate.audit_turn(interval, boolean, int, int);
drop function sidegate.bump_incarnation();
drop function sidegate.trim_foreign(int);

-- +goose StatementBegin
create function sidegate.rewrite(routine text, was text, becomes text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  definition text := pg_get_functiondef(('sidegate.' || routine)::regproc);
begin
  if array_length(string_to_array(definition, was), 1) <> 2 then
    raise exception 'sidegate.% is not what the migrations before have made', routine;
  end if;
  execute replace(definition, was, becomes);
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('block_edited',
'    if not found and step > 0 then
      raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
    end if;
    continue when not found; --',
'    continue when not found; --');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('block_edited',
'if floor is null or was = 0 then -- the list may have been forgotten and made again',
'if floor is null then');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('edit',
'  if not found and cardinality(add_targets) > 0 then
    raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
  end if;
  if found then
    -- Read under the lock',
'  if found then
    -- Read under the lock');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('set_allowlist_mode',
'for no key update;
  if not found then
    raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
  end if;
  now_ := was;',
'for no key update;
  now_ := was;');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('lock_lists',
'for no key update;
    if not found then
      raise exception using errcode = ''40001'', message = ''the list was forgotten meanwhile; try again'';
    end if;
  end loop;',
'for no key update;
  end loop;');
-- +goose StatementEnd
-- +goose StatementBegin
select sidegate.rewrite('add_each',
'    end loop;
    if floor < (select m.version_floor from sidegate.meta m) then
      raise exception using errcode = ''40001'', message = ''a list was forgotten meanwhile; try again'';
    end if;
  end if;
  if places is not null then',
'    end loop;
  end if;
  if places is not null then');
-- +goose StatementEnd
drop function sidegate.rewrite(text, text, text);

-- +goose StatementBegin
create or replace function sidegate.repair(in_app text, in_kind text, in_owner text) returns boolean
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
drop function sidegate.mend(text, text, text, bigint);
drop function sidegate.audit_feed(xid8, int);
drop function sidegate.audit(text, text, bigint, text, text, int, int);
drop table sidegate.audit_round;

update sidegate.meta set schema_version = 15;
