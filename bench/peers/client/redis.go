package main

import (
	"context"

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
	one := func(ctx context.Context, about []question) error {
		q := about[0]
		got, err := client.SIsMember(ctx, key(q.recipient), q.sender).Result()
		if err == nil && got != q.blocked {
			err = errWrong(q, got)
		}
		return err
	}
	several := func(ctx context.Context, about []question) error {
		answers := make([]*redis.BoolCmd, 0, 2*len(about))
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, q := range about {
				answers = append(answers, p.SIsMember(ctx, key(q.recipient), q.sender))
				if to.twoWay {
					answers = append(answers, p.SIsMember(ctx, key(q.sender), q.recipient))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return compare(about, to.twoWay, func(i int) bool { return answers[i].Val() })
	}
	return same(to, one, several), end, nil
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
	one := func(ctx context.Context, about []question) error {
		q := about[0]
		got, err := client.Do(ctx, member(q.recipient, q.sender)).AsBool()
		if err == nil && got != q.blocked {
			err = errWrong(q, got)
		}
		return err
	}
	several := func(ctx context.Context, about []question) error {
		commands := make([]rueidis.Completed, 0, 2*len(about))
		for _, q := range about {
			commands = append(commands, member(q.recipient, q.sender))
			if to.twoWay {
				commands = append(commands, member(q.sender, q.recipient))
			}
		}
		answers := make([]bool, len(commands))
		for i, result := range client.DoMulti(ctx, commands...) {
			got, err := result.AsBool()
			if err != nil {
				return err
			}
			answers[i] = got
		}
		return compare(about, to.twoWay, func(i int) bool { return answers[i] })
	}
	return same(to, one, several), client.Close, nil
}

// same lets all callers ask in the same way, one question at a time if that is
// what an operation is.
func same(to target, one, several asker) []asker {
	askers := make([]asker, to.callers)
	for i := range askers {
		askers[i] = func(ctx context.Context, about []question) error {
			if len(about) == 1 && !to.twoWay {
				return one(ctx, about)
			}
			return several(ctx, about)
		}
	}
	return askers
}

// compare holds the answers of a pipeline to the right ones.
func compare(about []question, twoWay bool, answer func(i int) bool) error {
	for i, q := range about {
		got, want := false, q.blocked
		if twoWay {
			got, want = answer(2*i) || answer(2*i+1), q.either
		} else {
			got = answer(i)
		}
		if got != want {
			return errWrong(q, got)
		}
	}
	return nil
}
