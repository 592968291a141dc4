package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// versionPath is what the node knows of the cluster's version: outside the store,
// which a binary that is too old cannot open.
func versionPath(dir string) string { return filepath.Join(dir, "version.json") }

func saveVersions(dir string, s gate.Stored) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFileSync(versionPath(dir), append(b, '\n'))
}

// loadVersions reads what is stored, and refuses a binary that does not fit it.
func loadVersions(dir string, binary gate.Support) (gate.Stored, error) {
	var s gate.Stored
	b, err := os.ReadFile(versionPath(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, &ExitError{Code: ExitDataDir, Message: versionPath(dir) + " is missing: the directory was made by a nodedb-agent from before the first release, or a file was lost; restore it, or wipe the directory and join as a new node"}
	case err == nil:
		err = json.Unmarshal(b, &s)
	}
	if err != nil || s.Active == 0 {
		return s, &ExitError{Code: ExitDataDir, Message: versionPath(dir) + " is damaged: restore it, or wipe the directory and join as a new node", Err: err}
	}
	if err := s.Check(binary); err != nil {
		return s, &ExitError{Code: ExitIdentity, Message: err.Error()}
	}
	return s, nil
}

// openVersions reads which version of the cluster this node acts upon.
func (n *Node) openVersions() error {
	binary := gate.Binary()
	stored, err := loadVersions(n.cfg.DataDir, binary)
	if err != nil {
		return err
	}
	n.versions = gate.NewKeeper(gate.KeeperConfig{
		Support: binary, Stored: stored,
		Save:  func(s gate.Stored) error { return saveVersions(n.cfg.DataDir, s) },
		Raise: func(v gate.Version) error { return n.engine.Raise(v) },
	})
	return nil
}

// promiseAgain is the pause before a promise is told again that the meta range did
// not take.
const promiseAgain = time.Second

// followVersion stores what the meta range says of the cluster's version, acts upon
// it, and tells the meta range what this node has promised.
func (n *Node) followVersion(ctx context.Context, ready func()) error {
	changed := n.machine.Watch(ctx)
	ready()
	for {
		record := n.machine.View().VersionRecord()
		was := n.versions.Active()
		promised, err := n.versions.Follow(record)
		var unfit *gate.UnfitError
		switch {
		case errors.As(err, &unfit):
			return &ExitError{Code: ExitIdentity, Message: unfit.Reason}
		case err != nil:
			return &ExitError{Code: 1, Message: "follow the cluster's version", Err: err}
		}
		if now := n.versions.Active(); now != was {
			n.logger.Info("the cluster's version was raised", logattr.From(fmt.Sprint(was)), logattr.To(fmt.Sprint(now)))
			n.transport.Recheck()
		}
		var again <-chan time.Time
		if promised != 0 && record.RaisingIndex == promised && !n.promise(ctx, promised) {
			again = time.After(promiseAgain)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

// promise tells the meta range what this node has stored; false: it did not answer.
func (n *Node) promise(ctx context.Context, index uint64) bool {
	if r := n.machine.View().Raising; r == nil || r.Index != index || slices.Contains(r.Promised, n.id.Node) {
		return true
	}
	res, err := n.meta.Propose(ctx, metastate.Command{
		By: n.id.Node.String(), Via: "agent", PromiseVersion: &metastate.PromiseVersion{Node: n.id.Node, UUID: n.id.UUID, Index: index},
	})
	if err != nil {
		n.logger.Warn("the promise of a version is not recorded yet, will try again", logattr.Err(err))
		return false
	}
	if res.Refusal != nil {
		n.logger.Info("the promise of a version is void", logattr.Reason(res.Refusal.Message))
	}
	return true
}

// checkCommand refuses what this binary could not apply, ahead of its proposal here.
// The leader of a data range finds out by itself: it evaluates.
func (n *Node) checkCommand(id cluster.RangeID, payload []byte) error {
	if id != cluster.MetaRangeID {
		return nil
	}
	return metastate.CheckCommand(payload, n.versions.Support(), 0)
}

// unfitPeer leaves in the cluster's event log that a peer was refused for its
// versions.
func (n *Node) unfitPeer(peer cluster.NodeID, reason string) {
	n.mu.Lock()
	known := n.mu.unfit[peer]
	n.mu.unfit[peer] = reason
	n.mu.Unlock()
	if reason == "" || reason == known {
		return
	}
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
		Kind: cluster.EventVersionRefused, Severity: cluster.SeverityError, Node: peer, Source: n.id.Node, Text: fmt.Sprintf("%s was refused by %s: %s", peer, n.id.Node, reason),
	}}}})
}

// refusedForVersion says on this node's own health board that peers do not take it.
func (n *Node) refusedForVersion(err *transport.RefusedError) {
	n.board.Set(health.Problem{Component: "cluster version", Code: "wrong-version", Detail: err.Error()})
}
