-- Four roles that a deployer grants to the users who log in:
--
--   sidegate_ddl    owns everything; for migrations
--   sidegate_write  may call the functions that write, and touch no table
--   sidegate_read   may read every table; what follows and loads needs no more
--   sidegate_sql    may write block lists with plain SQL
--
-- A process that serves the api listener needs sidegate_write and sidegate_read.

-- +goose Up
-- +goose StatementBegin

-- Makes the roles if the caller may, and grants what they are for to those that
-- exist. Safe to repeat: "migrate up" does so each time, for the case that an
-- administrator made the roles later. Roles belong to the whole cluster, so
-- another database may be doing the same at this moment.
create function sidegate.grant_roles() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  r     text;
  calls text := 'sidegate.edit, sidegate.set_allowlist_mode, sidegate.set_limit, sidegate.expire, sidegate.trim, sidegate.repair';
  -- Run by constraints, generated columns and reads, with the rights of whoever reads or writes.
  helps text := 'sidegate.owner_hash, sidegate.valid_id, sidegate.micros, sidegate.entry_digest, sidegate.mode_digest, sidegate.identity, sidegate.block_json, sidegate.changes_since, sidegate.page';
begin
  -- Two grants of the same thing at once fail: "tuple concurrently updated".
  perform pg_advisory_xact_lock(hashtextextended('sidegate.grant_roles', 0));
  foreach r in array array['sidegate_ddl', 'sidegate_write', 'sidegate_read', 'sidegate_sql'] loop
    continue when to_regrole(r) is not null;
    begin
      execute format('create role %I nologin', r);
    exception when insufficient_privilege or duplicate_object or unique_violation then null;
    end;
  end loop;
  execute 'revoke all on all functions in schema sidegate from public';
  if to_regrole('sidegate_ddl') is not null then
    perform sidegate.hand_over();
  end if;
  if to_regrole('sidegate_write') is not null then
    grant usage on schema sidegate to sidegate_write;
    execute format('grant execute on function %s to sidegate_write', calls);
  end if;
  if to_regrole('sidegate_read') is not null then
    grant usage on schema sidegate to sidegate_read;
    grant select on all tables in schema sidegate to sidegate_read;
    revoke select on sidegate.nonce from sidegate_read;
    execute format('grant execute on function %s to sidegate_read', helps);
  end if;
  if to_regrole('sidegate_sql') is not null then
    grant usage on schema sidegate to sidegate_sql;
    grant select, insert, delete, update (expires_at, note) on sidegate.block to sidegate_sql;
    execute format('grant execute on function %s to sidegate_sql', helps);
  end if;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Gives everything to sidegate_ddl, so that the functions that run with their
-- owner's rights do not run with those of the superuser who migrated. Whoever
-- may not give it away keeps it.
create function sidegate.hand_over() returns void
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

select sidegate.grant_roles();
update sidegate.meta set schema_version = 8;

-- +goose Down
-- The roles stay: other databases of the cluster may use them.
drop function sidegate.hand_over();
drop function sidegate.grant_roles();
update sidegate.meta set schema_version = 7;
