package ctl

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

func TestAwaySaysSoEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err bytes.Buffer
		e := &Env{Term: &term.Streams{Err: &err}}
		a := e.NewAway(false)
		defer a.Stop()
		after := func(d time.Duration) []string {
			err.Reset()
			<-time.After(d)
			synctest.Wait()
			return strings.Split(strings.TrimSpace(err.String()), "\n")
		}
		if got := after(11 * time.Second); len(got) != 2 || !strings.HasPrefix(got[0], "no node has answered for 5s;") {
			t.Errorf("nobody from the beginning: got %q", got)
		}
		a.Back()
		if got := after(time.Minute); got[0] != "" {
			t.Errorf("somebody answers: got %q", got)
		}
		a.Lost(errors.New("first"))
		a.Lost(errors.New("connection refused"))
		if got := after(6 * time.Second); len(got) != 1 || !strings.Contains(got[0], "for 5s (connection refused)") {
			t.Errorf("lost: got %q", got)
		}
	})
}
