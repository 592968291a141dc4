package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// keyHolders are three nodes that have one meta range and move the CA's key.
type keyHolders struct {
	t      testing.TB
	meta   *metaRange
	movers map[cluster.NodeID]*caKeyMover
	denied map[cluster.NodeID][]audit.Entry
	lose   bool // what is sent to another node arrives, its answer does not
}

func newKeyHolders(t *testing.T) *keyHolders {
	f := newFounder(t)
	h := &keyHolders{t: t, meta: f.meta, movers: map[cluster.NodeID]*caKeyMover{}, denied: map[cluster.NodeID][]audit.Entry{}}
	h.propose(metastate.Command{By: "init", Via: "init", PutUser: &metastate.PutUser{Name: "root", AdminRole: "admin"}})
	h.propose(metastate.Command{CreateJoinToken: &metastate.CreateJoinToken{ID: "j", Hash: []byte{1}, Uses: 2, ExpiresAt: h.meta.now.Add(time.Hour)}})
	for _, id := range []cluster.NodeID{1, 2, 3} {
		dir := certsPath(f.dir)
		if id != 1 {
			h.propose(metastate.Command{AddNode: &metastate.AddNode{UUID: "u" + id.String(), TokenID: "j", TokenHash: []byte{1}, KeyHash: []byte{byte(id)}}})
			h.propose(metastate.Command{SetMembership: &metastate.SetMembership{Nodes: []cluster.NodeID{id}, To: cluster.Active}})
			dir = t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, auth.CACertFile), []byte(h.meta.machine.View().CACert), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pass := auth.ReadPassphrase("")
		h.movers[id] = &caKeyMover{
			id: id, certDir: dir, caPass: pass, issuer: func() (*auth.CA, error) { return auth.LoadCA(dir, pass) },
			view: h.meta.machine.View, catchUp: func(context.Context) error { return nil }, propose: func(ctx context.Context, c metastate.Command) (metastate.Result, error) {
				c.Stamp(ctx) // as the meta range does
				return h.meta.propose(ctx, c)
			},
			denied: func(e audit.Entry) { h.denied[id] = append(h.denied[id], e) }, logger: slog.New(slog.DiscardHandler),
			call: func(ctx context.Context, to cluster.NodeID, _ string, payload []byte) ([]byte, error) {
				err := h.movers[to].take(ctx, id, payload)
				if err == nil && h.lose {
					err = errors.New("the answer was lost")
				}
				return nil, err
			},
		}
	}
	return h
}

func (h *keyHolders) propose(c metastate.Command) uint64 {
	h.t.Helper()
	res, err := h.meta.propose(h.t.Context(), c)
	if err != nil || res.Err() != nil {
		h.t.Fatal(err, res.Err())
	}
	return res.Index
}

// asked records that an admin wants the key moved.
func (h *keyHolders) asked(from, to cluster.NodeID) uint64 {
	h.t.Helper()
	return h.propose(metastate.Command{By: "root", Via: metastate.ViaAdmin, MoveCAKey: &metastate.MoveCAKey{From: from, To: to}})
}

func (h *keyHolders) give(asker, from cluster.NodeID, ask giveCARequest) error {
	h.t.Helper()
	payload, err := json.Marshal(ask)
	if err != nil {
		h.t.Fatal(err)
	}
	// The admin's call gets as far as the holder, if that is who took it.
	ctx := metastate.WithActor(h.t.Context(), metastate.Actor{By: "root", Via: metastate.ViaAdmin})
	return h.movers[from].give(ctx, asker, payload)
}

// hold fails unless exactly these nodes have the key.
func (h *keyHolders) hold(want ...cluster.NodeID) {
	h.t.Helper()
	is := map[cluster.NodeID]bool{}
	for _, id := range want {
		is[id] = true
	}
	for id, m := range h.movers {
		_, err := auth.LoadCA(m.certDir, m.caPass)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.t.Fatal(err)
		}
		if (err == nil) != is[id] {
			h.t.Errorf("%s holds the key: %v, want %v", id, err == nil, is[id])
		}
	}
}

// TestCAKeyGoesOnlyWhereAnAdminSaid asks for the key as a node whose certificate
// is good, but with no right to it.
func TestCAKeyGoesOnlyWhereAnAdminSaid(t *testing.T) {
	h := newKeyHolders(t)
	for name, c := range map[string]struct {
		ask   func() giveCARequest
		asker cluster.NodeID
	}{
		"nobody asked":     {func() giveCARequest { return giveCARequest{To: 3} }, 3},
		"another node":     {func() giveCARequest { return giveCARequest{Record: h.asked(1, 2), To: 3} }, 3},
		"another holder":   {func() giveCARequest { return giveCARequest{Record: h.asked(2, 3), To: 3} }, 3},
		"a record to come": {func() giveCARequest { return giveCARequest{Record: h.asked(1, 3) + 1, To: 3} }, 3},
		"a record of the past": {func() giveCARequest {
			old := h.asked(1, 3)
			h.asked(1, 3)
			return giveCARequest{Record: old, To: 3}
		}, 2},
	} {
		ask := c.ask()
		before := len(h.denied[1])
		if err := h.give(c.asker, 1, ask); err == nil {
			t.Errorf("%s: the key was handed over", name)
		}
		if got := h.denied[1][before:]; len(got) != 1 || got[0].User != c.asker.String() || got[0].Class() != audit.Denied {
			t.Errorf("%s: written down: %+v", name, got)
		}
		h.hold(1)
		h.meta.now = h.meta.now.Add(2 * time.Minute) // what was recorded has expired
	}
}

func TestCAKeyMoveExpires(t *testing.T) {
	h := newKeyHolders(t)
	h.meta.now = h.meta.now.Add(-2 * time.Minute)
	if err := h.give(1, 1, giveCARequest{Record: h.asked(1, 2), To: 2}); err == nil {
		t.Error("the key was handed over")
	}
	h.hold(1)
}

// TestCAKeyMovesOnce moves the key, and back, and then plays the first move again.
func TestCAKeyMovesOnce(t *testing.T) {
	h := newKeyHolders(t)
	first := giveCARequest{Record: h.asked(1, 2), To: 2}
	if err := h.give(3, 1, first); err != nil {
		t.Fatal(err)
	}
	h.hold(2)
	if err := h.give(2, 2, giveCARequest{Record: h.asked(2, 1), To: 1}); err != nil {
		t.Fatal(err)
	}
	h.hold(1)
	if err := h.give(2, 1, first); err == nil || len(h.denied[1]) != 1 {
		t.Errorf("played again: %v, written down %+v", err, h.denied[1])
	}
	h.hold(1)
}

// TestCAKeyMoveIsRepeated: a move that was cut short leaves the key with both, and
// ends when it is asked for again.
func TestCAKeyMoveIsRepeated(t *testing.T) {
	h := newKeyHolders(t)
	h.lose = true
	if err := h.give(1, 1, giveCARequest{Record: h.asked(1, 2), To: 2}); err == nil {
		t.Fatal("no error")
	}
	h.hold(1, 2)
	h.lose = false
	if err := h.give(1, 1, giveCARequest{Record: h.asked(1, 2), To: 2}); err != nil {
		t.Fatal(err)
	}
	h.hold(2)
}

// TestCAKeyIsTakenOnlyAsAnAdminSaid: a holder cannot leave the key with whom it
// likes.
func TestCAKeyIsTakenOnlyAsAnAdminSaid(t *testing.T) {
	h := newKeyHolders(t)
	ca, err := auth.LoadCA(h.movers[1].certDir, h.movers[1].caPass)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(takeCARequest{Record: h.asked(1, 2), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.movers[3].take(t.Context(), 1, payload); err == nil || len(h.denied[3]) != 1 {
		t.Errorf("taken by another node: %v, %+v", err, h.denied[3])
	}
	if err := h.movers[2].take(t.Context(), 3, payload); err == nil || len(h.denied[2]) != 1 {
		t.Errorf("taken from another node: %v, %+v", err, h.denied[2])
	}
	h.hold(1)
}

func passphraseFile(t *testing.T, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte("correct horse\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestJoinThroughASealedKey lets a node join where the CA's key is encrypted, and
// refuses it with a clear word where nothing opens the key.
func TestJoinThroughASealedKey(t *testing.T) {
	f, pass := newFounder(t), auth.ReadPassphrase(passphraseFile(t, 0o600))
	ca, err := auth.LoadCA(f.server.certDir, f.server.caPass)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.TakeCAKey(f.server.certDir, key, pass); err != nil {
		t.Fatal(err)
	}
	dir, token := filepath.Join(t.TempDir(), "d"), f.token(1, "")
	_, err = Join(t.Context(), testConfig(dir, 7010), JoinOptions{Peer: f.addr, TokenFile: token})
	wantExit(t, err, ExitIdentity, "cannot open its CA key")
	f.server.caPass = pass
	if _, err = Join(t.Context(), testConfig(dir, 7010), JoinOptions{Peer: f.addr, TokenFile: token}); err != nil {
		t.Error(err)
	}
}

func TestInitSealsTheCAKey(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "d"), 7000)
	cfg.CAKeyPassphraseFile = passphraseFile(t, 0o644)
	_, err := Init(cfg, testInit)
	wantExit(t, err, ExitUsage, "chmod 600")
	wantNothing(t, cfg.DataDir)
	cfg.CAKeyPassphraseFile = passphraseFile(t, 0o600)
	if _, err := Init(cfg, testInit); err != nil {
		t.Fatal(err)
	}
	saved, err := LoadConfig(cfg.DataDir, ConfigPath(cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadCA(certsPath(cfg.DataDir), auth.ReadPassphrase(saved.CAKeyPassphraseFile)); err != nil {
		t.Error(err)
	}
	if _, err := auth.LoadCA(certsPath(cfg.DataDir), auth.ReadPassphrase("")); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("without the passphrase: %v", err)
	}
}
