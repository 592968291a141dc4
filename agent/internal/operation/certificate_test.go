package operation

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestCertificate: a process stops only with a certificate that is of this
// topology and has not expired; else it waits, says why at its deadline, and
// serves on.
func TestCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		epochOff uint64
		expires  time.Duration
		refuse   error
		want     string // of the end; empty: it stops
	}{
		"good":           {0, time.Minute, nil, ""},
		"other topology": {1, time.Minute, nil, "out of date"},
		"expired":        {0, -time.Second, nil, "out of date"},
		"refused":        {0, time.Minute, errors.New("QUORUM_AT_RISK: r7"), "QUORUM_AT_RISK: r7"},
	} {
		t.Run(name, func(t *testing.T) {
			inShell(t, 3, func(t *testing.T, s *shell) {
				s.nodes[3].mayStop = func() (StopCertificate, error) {
					s.mu.Lock()
					defer s.mu.Unlock()
					return StopCertificate{Node: 3, Epoch: s.r.view().Epoch() + c.epochOff, Expires: time.Now().Add(c.expires)}, c.refuse
				}
				spec := drain(3)
				spec.Shutdown, spec.Deadline = true, 20
				op := s.wait(s.start(spec).ID, time.Minute)
				if c.want == "" {
					if op.State != cluster.OpSucceeded {
						t.Fatalf("ended %s: %s", op.State, op.Why)
					}
					s.eventually("n3 stops", time.Second, func() bool { return !s.upNow(3) })
					return
				}
				if op.State != cluster.OpFailed || !strings.Contains(op.Why, c.want) {
					t.Errorf("ended %s: %q, want failed and %q", op.State, op.Why, c.want)
				}
				s.eventually("n3 serves again", 10*time.Second, func() bool { return s.serviceOf(3) == cluster.Ready })
			})
		})
	}
}

func (s *shell) upNow(id cluster.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.up(id)
}

// TestCertificateEndsWithItsProcess: a node that was restarted is not about to
// stop, whatever its certificate says.
func TestCertificateEndsWithItsProcess(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		var coordinator *Runner
		var first StopCertificate
		s.eventually("a certificate for n2", time.Minute, func() bool {
			for _, n := range s.nodes {
				if _, _, self := (&shellMeta{s, n.id}).Leader(); self {
					coordinator = n.runner
				}
			}
			if coordinator == nil {
				return false
			}
			var err error
			first, err = coordinator.MayStop(context.Background(), 2, "")
			return err == nil
		})
		s.mu.Lock()
		s.r.nodes[2].nonce++
		s.mu.Unlock()
		s.eventually("n3 gets its certificate", 5*time.Second, func() bool {
			_, err := coordinator.MayStop(context.Background(), 3, "")
			return err == nil && time.Now().Before(first.Expires)
		})
	})
}

// TestCertificatesExcludeEachOther: of three nodes one gets a certificate; the
// next is refused until the first has expired, even if nobody was seen to stop.
func TestCertificatesExcludeEachOther(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		var coordinator *Runner
		s.eventually("a coordinator", time.Minute, func() bool {
			for _, n := range s.nodes {
				if _, _, self := (&shellMeta{s, n.id}).Leader(); self {
					coordinator = n.runner
				}
			}
			return coordinator != nil
		})
		ctx := context.Background()
		var first StopCertificate
		s.eventually("the first certificate", time.Minute, func() bool {
			for id := range s.nodes {
				if id == 2 {
					continue
				}
				_ = coordinator.refresh(ctx, id)
			}
			var err error
			first, err = coordinator.MayStop(ctx, 2, "")
			return err == nil
		})
		if _, err := coordinator.MayStop(ctx, 3, ""); err == nil || !strings.Contains(err.Error(), "QUORUM") {
			t.Fatalf("n3 got a certificate beside n2: %v", err)
		}
		if _, err := coordinator.MayStop(ctx, 2, ""); err != nil {
			t.Fatalf("n2 asks again and is refused: %v", err)
		}
		s.eventually("n3 gets its certificate", time.Minute, func() bool {
			_, err := coordinator.MayStop(ctx, 3, "")
			if err == nil && time.Now().Before(first.Expires) {
				t.Error("n3 got a certificate before that of n2 had expired")
			}
			return err == nil
		})
	})
}
