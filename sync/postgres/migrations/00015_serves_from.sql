-- +goose Up
-- A program that is older than the schema goes on if the schema says that it may.
-- Each further migration either leaves the figure alone, because programs since
-- then work with what it leaves behind, or sets it to its own number.
alter table sidegate.meta add column serves_from int not null default 15;
comment on column sidegate.meta.serves_from is 'The oldest schema version whose programs work with this schema.';

update sidegate.meta set schema_version = 15;

-- +goose Down
alter table sidegate.meta drop column serves_from;

update sidegate.meta set schema_version = 14;
