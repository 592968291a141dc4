package systems

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Payload is a row's value: 100 bytes, as small rows are.
var Payload = strings.Repeat("0123456789", 10)

// System is something that keeps rows by key.
type System struct {
	Name string
	// Open opens the session of client number client. It fails if the system does
	// not answer.
	Open func(ctx context.Context, client int) (Session, error)
	// CPU is what all processes of the system have used.
	CPU func() time.Duration
}

// Session is what one client has. Calls come from one goroutine at a time.
type Session interface {
	// Write stores a new row of that key.
	Write(ctx context.Context, key int64) error
	// Read reads a row that is there, linearizably.
	Read(ctx context.Context, key int64) error
	Close()
}

// Missing says why a peer cannot be measured here.
type Missing struct{ Name, Why string }

func (m *Missing) Error() string { return m.Name + ": " + m.Why }

// Kind is an error in a word for counting: its SQLSTATE, or "other".
func Kind(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return "other"
}

// ports returns n loopback addresses that were free a moment ago.
func ports(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed as soon as all are known
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// retry calls try until it works, for a minute at most.
func retry(ctx context.Context, what string, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer within a minute: %w", what, err)
		case <-tick.C:
		}
	}
}

// All calls do for 0 to n-1 at once, and returns what went wrong with any. The
// context ends with the first that fails.
func All(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := do(ctx, i); err != nil {
				cancel(err) // the first stays the cause
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
