package load

import (
	"context"
	"errors"
	"time"
)

// driven lets another program ask for a while, and reads what the server has used
// meanwhile. What the program says of the time it took is believed: its own
// beginning and end do not count.
func (e *entrant) driven(ctx context.Context, length time.Duration) (Round, error) {
	before, err := e.cpu()
	if err != nil {
		return Round{}, err
	}
	r, err := e.Drive(ctx, length)
	if err != nil {
		return Round{}, err
	}
	after, err := e.cpu()
	if err := errors.Join(err, ctx.Err()); err != nil {
		return Round{}, err
	}
	if r.Operations == 0 {
		return Round{}, errNothing
	}
	r.CPU = after - before
	return r, nil
}
