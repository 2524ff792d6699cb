-- What the vendors' APIs need beside lists: requests that count once, the mode of
-- several users at once, direct rooms by request, and the bans that a user made.

-- +goose Up
-- +goose StatementBegin

-- Takes a key, for as long as keep, or refuses the statement if somebody has it.
-- Called in the statement of a write, it is stored with that write or not at all;
-- of two at once, the later waits for the earlier to end.
create function sidegate.once(in_app text, in_key bytea, keep interval) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '900ms' as $$
begin
  insert into sidegate.nonce as n (app, hash, until)
    values (in_app, sha256(in_key), clock_timestamp() + keep)
  on conflict (app, hash) do update set until = excluded.until where n.until <= clock_timestamp();
  if not found then
    raise exception using errcode = 'SG002', message = 'the request has been made before';
  end if;
  return true;
end $$;
-- +goose StatementEnd

alter table sidegate.nonce add column until timestamptz not null default 'infinity';
alter table sidegate.nonce drop column at;
create index nonce_until on sidegate.nonce (until);

-- +goose StatementBegin

-- Forgets up to batch keys whose time is over and answers how many.
create function sidegate.forget_keys(batch int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  n int;
begin
  delete from sidegate.nonce where ctid = any (array(
    select ctid from sidegate.nonce where until <= clock_timestamp()
     order by until limit batch for update skip locked));
  get diagnostics n = row_count;
  return n;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Switches allowlist mode of several users, all or nothing. Headers are locked in
-- the order of their key. Answers with what each call did, in the order asked for.
create function sidegate.set_allowlist_modes(in_app text, owners text[], in_on boolean) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  o      record;
  edited json[] := array_fill(null::json, array[cardinality(owners)]);
begin
  for o in
    select t.owner, t.n from unnest(owners) with ordinality t(owner, n)
     order by sidegate.owner_hash(t.owner), t.owner collate "C"
  loop
    edited[o.n] := sidegate.set_allowlist_mode(in_app, o.owner, in_on);
  end loop;
  return to_json(edited);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- The direct room of a pair, made if there is none. A and b are in order.
create function sidegate.direct_room(in_app text, in_a text, in_b text) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '900ms' as $$
begin
  insert into sidegate.room (app, a, b, id)
    values (in_app, in_a, in_b, sidegate.room_id(in_app, in_a, in_b)) on conflict do nothing;
  return (select json_build_object('id', r.id, 'created', sidegate.micros(r.created_at))
            from sidegate.room r where (r.app, r.a, r.b) = (in_app, in_a, in_b));
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Gives the direct room of a pair another id. A and b are in order.
create function sidegate.set_direct_room(in_app text, in_a text, in_b text, in_id text) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '900ms' as $$
declare
  answer json;
begin
  insert into sidegate.room as r (app, a, b, id) values (in_app, in_a, in_b, in_id)
    on conflict (app, a, b) do update set id = excluded.id
  returning json_build_object('id', r.id, 'created', sidegate.micros(r.created_at)) into answer;
  return answer;
end $$;
-- +goose StatementEnd

-- Whom somebody has banned from rooms. Bans are few beside blocks.
create index block_room_actor on sidegate.block (app, actor, created_at) where kind = 'room';

-- From here on what a role may call is a row, so that a migration which adds a
-- function does not repeat all grants before it.
create table sidegate.callable (
  function text collate "C" not null, -- by its name in schema sidegate
  role     text collate "C" not null,
  primary key (function, role)
);
comment on table sidegate.callable is 'Which functions the roles may call, besides those of grant_first_roles.';
insert into sidegate.callable
  select f, 'sidegate_write' from unnest(array['once', 'forget_keys', 'set_allowlist_modes', 'direct_room', 'set_direct_room']) f;

alter function sidegate.grant_roles() rename to grant_first_roles;
-- +goose StatementBegin

-- Makes the roles and grants them what they are for; see 00008.
create function sidegate.grant_roles() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c sidegate.callable;
begin
  perform sidegate.grant_first_roles();
  for c in select * from sidegate.callable loop
    if to_regrole(c.role) is not null then
      execute format('grant execute on function sidegate.%I to %I', c.function, c.role);
    end if;
  end loop;
end $$;
-- +goose StatementEnd

select sidegate.grant_roles();
update sidegate.meta set schema_version = 10;

-- +goose Down
drop function sidegate.grant_roles();
alter function sidegate.grant_first_roles() rename to grant_roles;
drop table sidegate.callable;
drop index sidegate.block_room_actor;
drop function sidegate.set_direct_room(text, text, text, text);
drop function sidegate.direct_room(text, text, text);
drop function sidegate.set_allowlist_modes(text, text[], boolean);
drop function sidegate.forget_keys(int);
drop index sidegate.nonce_until;
alter table sidegate.nonce drop column until;
alter table sidegate.nonce add column at timestamptz not null default now();
drop function sidegate.once(text, bytea, interval);
update sidegate.meta set schema_version = 9;
