-- The two statements that run all the time. They are functions for their plans:
-- one generic plan for the session instead of planning each call, which took
-- three quarters of the time, and the same whether or not the tables have been
-- analyzed. They are STABLE, which means more here than a hint: their queries
-- run in the snapshot of the calling statement, and what else that statement
-- reads (the position, the identity, the count) fits to what they return.

-- +goose Up
-- +goose StatementBegin

-- The changes of transactions that a snapshot had not seen: from its xmax on,
-- which is first, and those that ran. Spelt this way it touches the entries that
-- are new; "not visible in the snapshot" reads everything since the oldest open
-- transaction.
create function sidegate.changes_since(first xid8, running xid8[], at_most bigint) returns setof sidegate.change
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off as $$
begin
  return query select c.* from sidegate.change c
    where c.x >= first or c.x = any (running) limit at_most;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin

-- Every list of a range of hashes, empty ones included. Both sides of the join
-- are scans of a range of a primary key, which begin with the hash and so come
-- in the same order; a nested loop would read the range once for each list, and
-- is chosen as long as there are no statistics. Targets are one text, separated by line feeds, which no id
-- holds: the reader makes one string of a list instead of one of each entry.
create function sidegate.page(in_app text, in_kind text, lo bigint, hi bigint)
returns table (owner text, version bigint, size int, digest bigint, allowlist boolean, targets text, expires bigint[])
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set jit = off
set enable_seqscan = off set enable_bitmapscan = off set enable_hashagg = off
set enable_hashjoin = off set enable_nestloop = off as $$
#variable_conflict use_column
begin
  return query
    select o.owner, o.version, o.size, o.digest, o.allowlist, coalesce(e.targets, ''), e.expires
      from sidegate.owner o
      left join (
        select b.owner_hash, b.owner, string_agg(b.target, e'\n') as targets,
               case when count(b.expires_at) > 0 then array_agg(coalesce(sidegate.micros(b.expires_at), 0)) end as expires
          from sidegate.block b
         where b.app = in_app and b.kind = in_kind and b.owner_hash between lo and hi
         group by b.owner_hash, b.owner) e using (owner_hash, owner)
     where o.app = in_app and o.kind = in_kind and o.owner_hash between lo and hi;
end $$;
-- +goose StatementEnd

update sidegate.meta set schema_version = 6;

-- +goose Down
drop function sidegate.page(text, text, bigint, bigint);
drop function sidegate.changes_since(xid8, xid8[], bigint);
update sidegate.meta set schema_version = 5;
