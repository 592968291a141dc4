package agenttest

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestCancelThroughAnotherNode sends the cancel request of a session to the other
// node, as a load balancer would.
func TestCancelThroughAnotherNode(t *testing.T) {
	c := Start(t, Options{Nodes: 2, Replicas: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(50)")
		done <- err
	}()
	request, err := (&pgproto3.CancelRequest{ProcessID: conn.PgConn().PID(), SecretKey: conn.PgConn().SecretKey()}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	// The first may come before the statement has begun.
	Eventually(t, 30*time.Second, "the statement is cancelled", func() error {
		stranger, err := net.Dial("tcp", c.Node(2).SQL)
		if err != nil {
			return err
		}
		defer func() { _ = stranger.Close() }()
		if _, err := stranger.Write(request); err != nil {
			return err
		}
		_, _ = stranger.Read(make([]byte, 1)) // the end: the request is done
		select {
		case err := <-done:
			var e *pgconn.PgError
			if !errors.As(err, &e) || e.Code != "57014" {
				t.Errorf("the statement ended with %v, want 57014", err)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.New("it runs")
		}
	})
}
