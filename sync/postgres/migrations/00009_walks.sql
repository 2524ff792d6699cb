-- What reading lists sideways and backwards needs: who has a user on their list,
-- and every interval of a list. Both are read piece by piece in the order of an
-- index, so that a piece costs the same however much there is.

-- +goose Up
create index block_target on sidegate.block (app, kind, target, created_at, owner);

-- Tells intervals of one target apart that began at the same instant, which only
-- happens if created_at was written by hand or the clock stepped back. Such
-- intervals follow each other, so those that ended have ascending ids, and the
-- one under way comes after them: it keeps its place when it ends.
alter table sidegate.history add column id bigint not null generated always as identity;

-- The end no longer leads: intervals of a pair are read from the newest beginning
-- on, and the few that began before an instant are looked through for their end.
drop index sidegate.history_pair;
create index history_pair on sidegate.history (app, kind, owner, target, blocked_at desc, id);
create index history_list on sidegate.history (app, kind, owner, blocked_at desc, target desc, id);

update sidegate.meta set schema_version = 9;

-- +goose Down
drop index sidegate.history_list;
drop index sidegate.history_pair;
create index history_pair on sidegate.history (app, kind, owner, target, unblocked_at);
alter table sidegate.history drop column id;
drop index sidegate.block_target;
update sidegate.meta set schema_version = 8;
