package main

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// key is the set that holds a list.
func key(owner string) string { return "b:" + owner }

// goRedis asks with github.com/redis/go-redis: a pool with a connection for each
// caller, questions that belong together in one pipeline.
func goRedis(ctx context.Context, to target) ([]asker, func(), error) {
	client := redis.NewClient(&redis.Options{Addr: to.address, PoolSize: to.callers, MinIdleConns: to.callers})
	end := func() { _ = client.Close() }
	if err := client.Ping(ctx).Err(); err != nil {
		end()
		return nil, nil, err
	}
	one := func(ctx context.Context, q question) error {
		got, err := client.SIsMember(ctx, key(q.recipient), q.sender).Result()
		return compare(q, got, q.blocked, err)
	}
	two := func(ctx context.Context, q question) error {
		var there, back *redis.BoolCmd
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			there = p.SIsMember(ctx, key(q.recipient), q.sender)
			back = p.SIsMember(ctx, key(q.sender), q.recipient)
			return nil
		})
		return compare(q, there.Val() || back.Val(), q.either, err)
	}
	return same(to, one, two), end, nil
}

// rueidisClient asks with github.com/redis/rueidis, as it is delivered: all
// callers share connections, and what they ask at the same time is sent together.
func rueidisClient(ctx context.Context, to target) ([]asker, func(), error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{to.address}, DisableCache: true})
	if err != nil {
		return nil, nil, err
	}
	member := func(owner, id string) rueidis.Completed {
		return client.B().Sismember().Key(key(owner)).Member(id).Build()
	}
	one := func(ctx context.Context, q question) error {
		got, err := client.Do(ctx, member(q.recipient, q.sender)).AsBool()
		return compare(q, got, q.blocked, err)
	}
	two := func(ctx context.Context, q question) error {
		results := client.DoMulti(ctx, member(q.recipient, q.sender), member(q.sender, q.recipient))
		there, err1 := results[0].AsBool()
		back, err2 := results[1].AsBool()
		return compare(q, there || back, q.either, errors.Join(err1, err2))
	}
	return same(to, one, two), client.Close, nil
}

// same lets all callers ask in the same way.
func same(to target, one, two asker) []asker {
	if to.twoWay {
		one = two
	}
	return slices.Repeat([]asker{one}, to.callers)
}

// compare holds an answer to the right one.
func compare(q question, got, want bool, err error) error {
	if err == nil && got != want {
		err = errWrong(q, got)
	}
	return err
}
