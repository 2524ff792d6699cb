-- +goose Up

-- The direct room of a pair: made at the first block of the pair, kept after the
-- unblock. A deployer may replace the id by their own.
create table sidegate.room (
  app        text collate "C" not null,
  a          text collate "C" not null,
  b          text collate "C" not null,
  id         text collate "C" not null check (sidegate.valid_id(id)),
  created_at timestamptz not null default clock_timestamp(),
  primary key (app, a, b),
  check (a < b)
);

-- The first 32 hexadecimal digits of SHA-256 over app, a and b, each preceded by
-- its length in bytes as a 32-bit big-endian number: no two triples read alike.
-- Not marked immutable, since convert_to is not: it would not be inlined then.
create function sidegate.room_id(app text, a text, b text) returns text
  language sql stable parallel safe
  return left(encode(sha256(
           int4send(octet_length(app)) || convert_to(app, 'UTF8')
        || int4send(octet_length(a))   || convert_to(a, 'UTF8')
        || int4send(octet_length(b))   || convert_to(b, 'UTF8')), 'hex'), 32);

-- What dialects show about a user. sidegate only keeps it.
create table sidegate.directory (
  app           text collate "C" not null check (sidegate.valid_id(app)),
  id            text collate "C" not null check (sidegate.valid_id(id)),
  nickname      text not null default '',
  avatar_url    text not null default '',
  profile_url   text not null default '',
  is_online     boolean not null default false,
  last_login_at timestamptz,
  last_seen_at  timestamptz,
  metadata      jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  updated_at    timestamptz not null default now(),
  primary key (app, id)
);

-- Nonces of signed requests, so that none is honoured twice in any process.
create table sidegate.nonce (
  app  text collate "C" not null,
  hash bytea not null,
  at   timestamptz not null default now(),
  primary key (app, hash)
);

update sidegate.meta set schema_version = 3;

-- +goose Down
drop table sidegate.nonce;
drop table sidegate.directory;
drop function sidegate.room_id(text, text, text);
drop table sidegate.room;
update sidegate.meta set schema_version = 2;
