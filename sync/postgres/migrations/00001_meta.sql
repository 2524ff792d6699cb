-- The schema "sidegate" itself is made before the first step: the table that
-- records the steps lives in it.

-- +goose Up
create table sidegate.meta (
  one            boolean primary key default true check (one),
  schema_version int     not null,
  incarnation    uuid    not null default gen_random_uuid(),
  version_floor  bigint  not null default 0,
  min_xid        xid8    not null default '0',
  hash_salt      bigint  not null
);
comment on table  sidegate.meta is 'One row about the whole schema.';
comment on column sidegate.meta.schema_version is 'Number of the newest migration; programs state the one they understand.';
comment on column sidegate.meta.incarnation is 'Renewed by TRUNCATE, restore and mass repair: whoever follows starts over.';
comment on column sidegate.meta.version_floor is 'No version at or below it is issued again, although headers may be deleted.';
comment on column sidegate.meta.min_xid is 'Changes of older transactions may have been trimmed from the feed.';
comment on column sidegate.meta.hash_salt is 'Salt of owner_hash(), fixed for the life of the schema.';

-- The salt is a constant inside the function, so that the function is immutable
-- and may feed a generated column. It keeps outsiders from choosing ids that
-- all fall into one page.
-- +goose StatementBegin
do $do$
declare
  salt bigint := hashtextextended(gen_random_uuid()::text, 0);
begin
  insert into sidegate.meta (schema_version, hash_salt) values (1, salt);
  execute format($f$
    create function sidegate.owner_hash(owner text) returns bigint
      language sql immutable parallel safe
      return pg_catalog.hashtextextended(owner collate pg_catalog."C", %L::bigint)
  $f$, salt);
end $do$;
-- +goose StatementEnd

-- The helpers below are not STRICT and pin nothing: only such functions are
-- inlined into the statements that call them for every row.

-- Ids are opaque, but never empty, never longer than 256 bytes, and without
-- control characters: page reads separate ids by a line feed.
create function sidegate.valid_id(id text) returns boolean
  language sql immutable parallel safe
  return octet_length(id) between 1 and 256
     and id !~ '[\u0001-\u001f\u007f-\u009f]';

-- Microseconds since 1970: the resolution of a timestamp, so nothing is lost.
create function sidegate.micros(t timestamptz) returns bigint
  language sql stable parallel safe
  return (extract(epoch from t) * 1000000)::bigint;

-- What one entry contributes to the digest of its list: the expiry is the seed,
-- 1 stands for "never". cache.EntryDigest computes the same.
create function sidegate.entry_digest(target text, expires_at timestamptz) returns bigint
  language sql stable parallel safe
  return hashtextextended(target collate pg_catalog."C",
         case when expires_at is null then 1 else sidegate.micros(expires_at) end);

-- What allowlist mode contributes to the digest. cache.ListDigest has the same.
create function sidegate.mode_digest(allowlist boolean) returns bigint
  language sql immutable parallel safe
  return case when allowlist then x'05ca1ab1e0ddba11'::bigint else 0 end;

-- Which server this is. It runs with its owner's rights, so that every role
-- sees the same identity; a part that a provider forbids stays 0 for all. On a
-- standby the WAL functions fail, so they are not called there.
-- +goose StatementBegin
create function sidegate.identity() returns json
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

-- +goose Down
drop function sidegate.identity();
drop function sidegate.mode_digest(boolean);
drop function sidegate.entry_digest(text, timestamptz);
drop function sidegate.micros(timestamptz);
drop function sidegate.valid_id(text);
drop function sidegate.owner_hash(text);
drop table sidegate.meta;
