-- +goose Up
create table sidegate.app (
  app         text collate "C" primary key check (sidegate.valid_id(app)),
  max_entries int not null default 3000 check (max_entries between 1 and 3000)
);
comment on table sidegate.app is 'Limits. An app without a row may hold 3000 entries in each list.';

-- The header of a list: its lock, its counter, its version and its digest in one
-- place. Every writer locks it, in the order of the primary key. There is no
-- other index, and room in each page, so that its updates stay heap-only.
create table sidegate.owner (
  app        text collate "C" not null,
  kind       text collate "C" not null,
  owner_hash bigint not null generated always as (sidegate.owner_hash(owner)) stored,
  owner      text collate "C" not null,
  version    bigint  not null default 0,
  size       int     not null default 0,
  digest     bigint  not null default 0,
  allowlist  boolean not null default false,
  primary key (app, kind, owner_hash, owner)
) with (fillfactor = 70);
comment on table sidegate.owner is 'Headers of the lists; written by triggers only.';

-- The key begins with the hash, so that a page is one index range scan.
create table sidegate.block (
  app        text collate "C" not null constraint block_app_is_an_id check (sidegate.valid_id(app)),
  kind       text collate "C" not null default 'block'
             constraint block_kind_is_known check (kind in ('block', 'allow', 'room')),
  owner_hash bigint not null generated always as (sidegate.owner_hash(owner)) stored,
  owner      text collate "C" not null constraint block_owner_is_an_id check (sidegate.valid_id(owner)),
  target     text collate "C" not null constraint block_target_is_an_id check (sidegate.valid_id(target)),
  created_at timestamptz not null default clock_timestamp()
             constraint block_created_at_is_finite check (isfinite(created_at)),
  expires_at timestamptz constraint block_expires_at_is_finite
             check (isfinite(expires_at) and expires_at > timestamptz '1970-01-01 00:00:00+00'),
  note       text constraint block_note_is_short check (octet_length(note) <= 1024),
  source     text not null default 'sql',
  actor      text not null default '',
  place      int  not null default 0,
  primary key (app, kind, owner_hash, owner, target),
  -- A room may be named like a user, so only users' lists are checked.
  constraint block_owner_is_not_target check (kind = 'room' or owner <> target)
);
comment on table  sidegate.block is 'The lists. A contract: may be written by plain SQL; see the documentation.';
comment on column sidegate.block.place is 'Place in the request that made the entry; sorts entries of one instant.';
create index block_expires on sidegate.block (expires_at) where expires_at is not null;
create index block_owner_expires on sidegate.block (app, kind, owner_hash, owner, expires_at)
  where expires_at is not null;

-- The feed, insert-only. Its only index is on the transaction id: what a poll
-- asks is "which of these transactions ended since".
create table sidegate.change (
  x         xid8        not null default pg_current_xact_id(),
  at        timestamptz not null default clock_timestamp(),
  app       text collate "C" not null,
  kind      text collate "C" not null,
  owner     text collate "C" not null,
  prev      bigint  not null,
  version   bigint  not null,
  size      int     not null,
  digest    bigint  not null,
  allowlist boolean not null,
  op        "char"  not null check (op in ('A', 'R', 'U', 'M', 'L')),
  targets   text[]   not null default '{}',
  expires   bigint[] not null default '{}'
);
comment on column sidegate.change.op is 'Add, Remove, Update of expiry, Mode of the owner, reLoad the list.';
comment on column sidegate.change.expires is 'Microseconds since 1970, parallel to targets; 0 = never.';
create index change_x on sidegate.change (x);

create table sidegate.history (
  app          text collate "C" not null,
  kind         text collate "C" not null,
  owner        text collate "C" not null,
  target       text collate "C" not null,
  blocked_at   timestamptz not null,
  unblocked_at timestamptz not null,
  expires_at   timestamptz,
  note         text,
  source       text not null,
  actor        text not null,
  ended_source text not null,
  ended_actor  text not null
);
comment on table  sidegate.history is 'Intervals that have ended; open ones are the rows of block.';
comment on column sidegate.history.unblocked_at is 'When it ended: for an expired entry its expires_at, whenever that was noticed.';
create index history_pair on sidegate.history (app, kind, owner, target, unblocked_at);

update sidegate.meta set schema_version = 2;

-- +goose Down
drop table sidegate.history;
drop table sidegate.change;
drop table sidegate.block;
drop table sidegate.owner;
drop table sidegate.app;
update sidegate.meta set schema_version = 1;
