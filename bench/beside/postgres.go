package beside

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
)

// probe is one look into the primary key, whole: nothing is filtered afterwards.
// The hash of the owner, a part of the key, is computed by whoever asks.
const probe = `select exists (select from sidegate.block
	where app = '` + seed.App + `' and kind = 'block' and owner_hash = $1 and owner = $2 and target = $3)`

// startPostgres enters the database that holds sidegate's own lists.
func startPostgres(ctx context.Context, w *world) error {
	conn, err := pgx.Connect(ctx, w.db.DSN)
	if err != nil {
		return err
	}
	var salt int64
	err = conn.QueryRow(ctx, "select hash_salt from sidegate.meta").Scan(&salt)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("read the salt: %w", err)
	}
	hashes := make([]int64, len(w.questions))
	for i, q := range w.questions {
		hashes[i] = int64(cache.HashOwner(q.recipient, salt))
	}
	var backends []int
	w.contestants = append(w.contestants, load.Contestant{
		Name: postgresProbe, PIDs: func() []int { return backends },
		Open: func(ctx context.Context) (out []load.Caller, err error) {
			for i := range callers {
				c := &postgresCaller{questions: w.questions, hashes: hashes, next: i * len(w.questions) / callers}
				if err := c.connect(ctx, w.db.DSN); err != nil {
					for _, open := range out {
						err = errors.Join(err, open.Close())
					}
					return nil, err
				}
				out, backends = append(out, c), append(backends, int(c.conn.PgConn().PID()))
			}
			return out, nil
		},
	})
	return nil
}

// postgresCaller asks with a prepared statement over a connection of its own. It
// implements [load.Caller].
type postgresCaller struct {
	conn      *pgx.Conn
	questions []question
	hashes    []int64
	next      int
}

func (c *postgresCaller) connect(ctx context.Context, dsn string) (err error) {
	if c.conn, err = pgx.Connect(ctx, dsn); err != nil {
		return err
	}
	if _, err = c.conn.Prepare(ctx, "probe", probe); err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// Do implements [load.Caller]. Every answer is compared with the right one.
func (c *postgresCaller) Do() (int, error) {
	if c.next == len(c.questions) {
		c.next = 0
	}
	q, hash := &c.questions[c.next], c.hashes[c.next]
	c.next++
	var there bool
	if err := c.conn.QueryRow(context.Background(), "probe", hash, q.recipient, q.sender).Scan(&there); err != nil {
		return 0, err
	}
	if there != q.blocked {
		return 0, fmt.Errorf("asked about %s and %s, Postgres answered %v", q.recipient, q.sender, there)
	}
	return 1, nil
}

// Close implements [load.Caller].
func (c *postgresCaller) Close() error { return c.conn.Close(context.Background()) }
