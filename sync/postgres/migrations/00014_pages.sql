-- A page read goes through the primary key of block alone: key and targets are all
-- it needs, and the table itself, where the rows of a list lie as far apart as
-- they were written, is not read as long as vacuum keeps the visibility map. What
-- is not in the key is the expiry, which few entries have: those have indices of
-- their own, and come beside the targets instead of with them.

-- +goose Up
drop function sidegate.page(text, text, bigint, bigint);

-- +goose StatementBegin

-- Every list of a range of hashes, empty ones included. All sides of the join
-- are scans of a range of an index that begins with the hash, and so come in the
-- same order; a nested loop would read the range once for each list, and is
-- chosen as long as there are no statistics. Targets are one text, separated by
-- line feeds, which no id holds: a row for each would cost more than what is in
-- it. soon names those of them that expire, until says when, in microseconds.
create function sidegate.page(in_app text, in_kind text, lo bigint, hi bigint)
returns table (owner text, version bigint, size int, digest bigint, allowlist boolean, targets text, soon text, until text)
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set jit = off
set enable_seqscan = off set enable_bitmapscan = off set enable_hashagg = off
set enable_hashjoin = off set enable_nestloop = off as $$
#variable_conflict use_column
begin
  return query
    select o.owner, o.version, o.size, o.digest, o.allowlist, coalesce(e.targets, ''),
           coalesce(x.soon, ''), coalesce(x.until, '')
      from sidegate.owner o
      left join (
        select b.owner_hash, b.owner, string_agg(b.target, e'\n') as targets
          from sidegate.block b
         where b.app = in_app and b.kind = in_kind and b.owner_hash between lo and hi
         group by b.owner_hash, b.owner) e using (owner_hash, owner)
      left join (
        select b.owner_hash, b.owner, string_agg(b.target, e'\n') as soon,
               string_agg(sidegate.micros(b.expires_at)::text, e'\n') as until
          from sidegate.block b
         where b.app = in_app and b.kind = in_kind and b.owner_hash between lo and hi and b.expires_at is not null
         group by b.owner_hash, b.owner) x using (owner_hash, owner)
     where o.app = in_app and o.kind = in_kind and o.owner_hash between lo and hi;
end $$;
-- +goose StatementEnd

select sidegate.grant_roles();
update sidegate.meta set schema_version = 14;

-- +goose Down
drop function sidegate.page(text, text, bigint, bigint);

-- +goose StatementBegin
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

select sidegate.grant_roles();
update sidegate.meta set schema_version = 13;
