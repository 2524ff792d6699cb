package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sidegate/sidegate/cache"
)

// lineage remembers how far each cluster has come, as this process has seen it. A
// standby that is promoted begins a timeline with a higher number, so a server of
// a lower one is what the cluster has left behind: the old primary after a
// failover, which does not know that it is none any more. What is written there is
// lost, and nobody who follows the new one sees it.
//
// An operator may go back on purpose, to a backup that was started as it is. That
// is told by an incarnation which this process has never seen: `sidegate db
// bump-incarnation` makes one. The zero value is ready for use, by any number of
// goroutines.
type lineage struct {
	mu       sync.Mutex
	clusters map[uint64]*reach // by system identifier; there is one, as a rule
}

// reach is the newest timeline of a cluster, and the incarnations seen in it.
type reach struct {
	timeline     uint32
	incarnations [][16]byte // the newest last
}

// incarnationsKept bounds what a cluster costs. Each TRUNCATE makes another.
const incarnationsKept = 64

// see takes note of a server that has answered and returns 0, or the timeline that
// has superseded the server's. Where a provider hides system identifier or
// timeline nothing can be told, and 0 is returned.
func (l *lineage) see(id cache.Identity) (newer uint32) {
	if id.System == 0 || id.Timeline == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.clusters[id.System]
	if r == nil {
		r = &reach{}
		if l.clusters == nil {
			l.clusters = map[uint64]*reach{}
		}
		l.clusters[id.System] = r
	}
	known := slices.Contains(r.incarnations, id.Incarnation)
	if id.Timeline < r.timeline && known {
		return r.timeline
	}
	r.timeline = id.Timeline
	if !known {
		r.incarnations = append(r.incarnations, id.Incarnation)
		r.incarnations = r.incarnations[max(0, len(r.incarnations)-incarnationsKept):]
	}
	return 0
}

// supersededError says that a connection leads to a server that the cluster has
// left behind.
type supersededError struct{ timeline, newer uint32 }

func (e *supersededError) Error() string {
	return fmt.Sprintf("the database is on timeline %d and this process has seen timeline %d of the same cluster: "+
		"an old primary after a failover, or a backup; postgres.url must lead to the new one", e.timeline, e.newer)
}

const identitySQL = `select sidegate.identity()`

// serverKey is where a connection keeps the identity of its server.
const serverKey = "sidegate server"

// current prepares a pool whose connections are used only while their server is a
// primary, and the newest that was seen. Who a server is, is asked once for each
// connection and costs a statement nothing. A connection under suspicion is asked
// again, because a standby that was promoted keeps its sessions, and because
// behind a pooler there may be another server by now; if it does not clear itself
// it is closed, so that the next one is made to where the name leads then.
func (l *lineage) current(c *pgxpool.Config) {
	c.AfterConnect = ask
	c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		if l.allows(conn) == nil {
			return true, nil
		}
		if err := ask(ctx, conn); err != nil {
			return false, err
		}
		err := l.allows(conn)
		return err == nil, err
	}
}

// ask writes who the server is into the connection. A role that may not ask, or a
// database without our schema, is not what this is about: whatever is tried on
// such a connection says so itself.
func ask(ctx context.Context, conn *pgx.Conn) error {
	var who whoJSON
	if err := scanJSON(conn.QueryRow(ctx, identitySQL), &who); err != nil && state(err) == "" {
		return fmt.Errorf("ask the server who it is: %w", err)
	}
	conn.PgConn().CustomData()[serverKey] = &who
	return nil
}

// allows returns why a connection must not be used, if there is a reason.
func (l *lineage) allows(conn *pgx.Conn) error {
	who, asked := conn.PgConn().CustomData()[serverKey].(*whoJSON)
	if !asked || who.System == 0 && !who.Recovery {
		return nil // nobody told
	}
	id, err := who.identity()
	if err != nil {
		return err
	}
	if newer := l.see(id); newer > 0 {
		return &supersededError{id.Timeline, newer}
	}
	return nil
}
