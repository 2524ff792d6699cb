-- The directory of users gets its door. Everything is read through the view
-- sidegate.profile, which a deployer may replace by one over a table of their own;
-- sidegate never learns the difference, save that it then refuses to write.

-- +goose Up
create view sidegate.profile as
  select app, id, nickname, avatar_url, profile_url, is_online, last_login_at, last_seen_at, metadata, updated_at
    from sidegate.directory;
comment on view sidegate.profile is 'What is shown about a user. A contract: may be replaced by a view with the same columns; see the documentation.';

-- +goose StatementBegin

-- Whether what is written to the directory would be seen again. A view that is
-- gone, or that reads other tables only, would swallow it.
create function sidegate.directory_is_shown() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
     where w.ev_class = to_regclass('sidegate.profile')
       and d.refclassid = 'pg_class'::regclass and d.refobjid = 'sidegate.directory'::regclass)
$$;
-- +goose StatementEnd

-- +goose StatementBegin

-- One user as the program reads it, from the table or, made into a row of the
-- table, from the view. A view of a deployer may leave anything null and hold
-- times that have no number.
create function sidegate.user_json(u sidegate.directory) returns json
language sql stable as $$
  select json_build_object('id', u.id, 'nickname', coalesce(u.nickname, ''), 'avatar_url', coalesce(u.avatar_url, ''),
         'profile_url', coalesce(u.profile_url, ''), 'is_online', coalesce(u.is_online, false),
         'last_login', case when isfinite(u.last_login_at) then sidegate.micros(u.last_login_at) else 0 end,
         'last_seen', case when isfinite(u.last_seen_at) then sidegate.micros(u.last_seen_at) else 0 end,
         'updated', case when isfinite(u.updated_at) then sidegate.micros(u.updated_at) else 0 end,
         'metadata', u.metadata)
$$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Writes users and deletes others, all or nothing. in_put is an array of objects
-- with the columns of the directory; no id is named twice. Answers with the
-- written users in the order asked for, which of them are new, and the deleted
-- ones as they were.
--
-- One user after the other, in the order of the key: two edits of the same users
-- then wait for each other and never in a circle, whatever comes and goes between.
create function sidegate.edit_users(in_app text, in_put jsonb, in_delete text[]) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '900ms' set jit = off set enable_seqscan = off as $$
declare
  step    record;
  u       sidegate.directory;
  is_new  boolean;
  put     json[] := array_fill(null::json, array[jsonb_array_length(in_put)]);
  created boolean[] := array_fill(false, array[jsonb_array_length(in_put)]);
  deleted json[] := '{}';
begin
  if not sidegate.directory_is_shown() then
    raise exception using errcode = 'SG003',
      message = 'the directory is read only: the view sidegate.profile does not read sidegate.directory',
      hint = 'Write to the table that the view reads.';
  end if;
  perform sidegate.make_durable();
  for step in
    select * from (
      select p.n::int as n, p.row ->> 'id' as id, p.row from jsonb_array_elements(in_put) with ordinality p(row, n)
      union all
      select null, d, null from unnest(in_delete) d) both_parts
     order by id collate "C"
  loop
    if step.n is null then
      delete from sidegate.directory d where d.app = in_app and d.id = step.id returning d.* into u;
      if found then
        deleted := deleted || sidegate.user_json(u);
      end if;
      continue;
    end if;
    insert into sidegate.directory as d
           (app, id, nickname, avatar_url, profile_url, is_online, last_login_at, last_seen_at, metadata, updated_at)
      select in_app, r.id, r.nickname, r.avatar_url, r.profile_url, r.is_online, r.last_login_at, r.last_seen_at,
             r.metadata, clock_timestamp()
        from jsonb_populate_record(null::sidegate.directory, step.row) r
    on conflict (app, id) do update
      set (nickname, avatar_url, profile_url, is_online, last_login_at, last_seen_at, metadata, updated_at) =
          (excluded.nickname, excluded.avatar_url, excluded.profile_url, excluded.is_online, excluded.last_login_at,
           excluded.last_seen_at, excluded.metadata, excluded.updated_at)
    -- A row that was there has been locked before it was written; that is its xmax.
    returning d.*, d.xmax = 0 into u.app, u.id, u.nickname, u.avatar_url, u.profile_url, u.is_online, u.last_login_at,
              u.last_seen_at, u.metadata, u.updated_at, is_new;
    put[step.n] := sidegate.user_json(u);
    created[step.n] := is_new;
  end loop;
  return json_build_object('deleted', to_json(deleted), 'put', to_json(put), 'created', to_json(created));
end $$;
-- +goose StatementEnd

insert into sidegate.callable values ('edit_users', 'sidegate_write'), ('user_json', 'sidegate_read');

-- +goose StatementBegin

-- As before, and the view.
create or replace function sidegate.hand_over() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  o record;
begin
  grant create, usage on schema sidegate to sidegate_ddl;
  for o in
    select 'table' as class, c.oid::regclass::text as name from pg_class c
     where c.relnamespace = 'sidegate'::regnamespace and c.relkind in ('r', 'p')
       and c.relowner <> 'sidegate_ddl'::regrole
    union all
    -- What it reads, it reads with its owner's rights: one that a deployer made
    -- over tables of their own stays theirs.
    select 'view', c.oid::regclass::text from pg_class c
     where c.oid = to_regclass('sidegate.profile') and c.relkind = 'v'
       and c.relowner <> 'sidegate_ddl'::regrole and sidegate.directory_is_shown()
    union all
    select 'function', p.oid::regprocedure::text from pg_proc p
     where p.pronamespace = 'sidegate'::regnamespace and p.proowner <> 'sidegate_ddl'::regrole
  loop
    execute format('alter %s %s owner to sidegate_ddl', o.class, o.name);
  end loop;
exception when insufficient_privilege then null;
end $$;
-- +goose StatementEnd

select sidegate.grant_roles();
update sidegate.meta set schema_version = 11;

-- +goose Down
-- A view that a deployer put in the place of ours goes too: there would be nobody
-- to read it.
-- +goose StatementBegin
create or replace function sidegate.hand_over() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  o record;
begin
  grant create, usage on schema sidegate to sidegate_ddl;
  for o in
    select 'table' as class, c.oid::regclass::text as name from pg_class c
     where c.relnamespace = 'sidegate'::regnamespace and c.relkind in ('r', 'p')
       and c.relowner <> 'sidegate_ddl'::regrole
    union all
    select 'function', p.oid::regprocedure::text from pg_proc p
     where p.pronamespace = 'sidegate'::regnamespace and p.proowner <> 'sidegate_ddl'::regrole
  loop
    execute format('alter %s %s owner to sidegate_ddl', o.class, o.name);
  end loop;
exception when insufficient_privilege then null;
end $$;
-- +goose StatementEnd

delete from sidegate.callable where function in ('edit_users', 'user_json');
drop function sidegate.edit_users(text, jsonb, text[]);
drop function sidegate.user_json(sidegate.directory);
drop view sidegate.profile;
drop function sidegate.directory_is_shown();
update sidegate.meta set schema_version = 10;
