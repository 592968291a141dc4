package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// DrainOptions say how DrainSelf drains.
type DrainOptions struct {
	Deadline   time.Duration
	OnDeadline string // stop | force
}

// DrainSelf makes the node that runs in dir safe to stop, over its unix socket,
// and returns when it is.
func DrainSelf(ctx context.Context, dir string, o DrainOptions) error {
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", SocketPath(dir))
	}}}
	defer hc.CloseIdleConnections()
	q := url.Values{"deadline": {o.Deadline.String()}, "on-deadline": {o.OnDeadline}}
	if _, err := localCall(ctx, hc, http.MethodPost, "/health/drain?"+q.Encode()); err != nil {
		return err
	}
	// The node keeps the deadline itself; the margin is for a node that hangs.
	ctx, cancel := context.WithTimeout(ctx, o.Deadline+15*time.Second)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for began := false; ; {
		body, err := localCall(ctx, hc, http.MethodGet, "/health")
		if err != nil {
			return err
		}
		var h struct {
			Service cluster.Service `json:"service"`
		}
		if err := json.Unmarshal(body, &h); err != nil {
			return fmt.Errorf("read the node's health: %w", err)
		}
		switch {
		case h.Service == cluster.Drained:
			return nil
		case h.Service == cluster.Draining:
			began = true
		case began:
			return errors.New("the node serves again: the drain ended without success; nodedbctl ops ls --all says why")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the drain: %w", context.Cause(ctx))
		}
	}
}

func localCall(ctx context.Context, hc *http.Client, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, &ExitError{Code: ExitUnreachable, Message: "no node answers on the unix socket of this data directory", Err: errors.Unwrap(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		var no struct{ Message string }
		_ = json.Unmarshal(body, &no)
		return nil, fmt.Errorf("the node refuses: %s (HTTP %d)", no.Message, resp.StatusCode)
	}
	return body, nil
}
