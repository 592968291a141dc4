package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

func auditPath(dir string) string { return filepath.Join(dir, "audit") }

const (
	anchorEvery  = time.Minute
	anchorWait   = 5 * time.Second
	loginsMost   = 20000
	methodProve  = "audit.prove"
	methodLogins = "audit.logins"
)

func (n *Node) openAudit() (func() error, error) {
	c := audit.Config{Dir: auditPath(n.cfg.DataDir), Logger: n.part("audit")}
	if n.cfg.AuditExport != "" {
		x, err := audit.NewExporter(n.cfg.AuditExport, n.part("audit"))
		if err != nil {
			return nil, &ExitError{Code: ExitUsage, Message: "auditExport", Err: err}
		}
		n.export, c.Export = x, n.exportLogin
	}
	l, err := audit.Open(c)
	if err != nil {
		return nil, &ExitError{Code: ExitDataDir, Message: "audit log", Err: err}
	}
	n.logins = l
	return l.Close, nil
}

// recordLogin is told by the SQL port how each login ended. A name that no user
// has is a stranger's, and is not recorded.
func (n *Node) recordLogin(user, remote, why string) {
	e := audit.Entry{User: user, Via: metastate.ViaSQL, Source: remote, Action: "Login", Decision: metastate.DecisionDone, Why: why}
	if host, _, err := net.SplitHostPort(remote); err == nil {
		e.Source = host // not the port: the same failure again is the same
	}
	if why != "" {
		e.Decision = metastate.DecisionRefused
		if n.machine.View().Users[user] == nil {
			e.User = ""
		}
	}
	n.logins.Add(e)
}

// recordDenial is told of statements that were refused for want of a role.
func (n *Node) recordDenial(d sql.Denial) {
	e := audit.Entry{User: d.User, Via: metastate.ViaSQL, Source: d.Remote, Action: d.Statement, Decision: metastate.DecisionRefused, Why: d.Why}
	if host, _, err := net.SplitHostPort(d.Remote); err == nil {
		e.Source = host
	}
	n.logins.Add(e)
}

// anchorAudit tells the meta range now and then how far this node's log of logins
// has come.
func (n *Node) anchorAudit(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(anchorEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.logins.Rotated():
			if err := n.anchorOnce(ctx); err != nil {
				n.logger.Debug("where the log of logins begins is not anchored yet", logattr.Err(err))
			}
		case <-tick.C:
			if err := n.anchorOnce(ctx); err != nil {
				n.logger.Debug("the log of logins is not anchored yet", logattr.Err(err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) anchorOnce(ctx context.Context) error {
	in := &metastate.AnchorLog{Node: n.id.Node}
	anchors := n.logins.Anchors()
	for _, class := range audit.Classes {
		if a, ok := anchors[class]; ok {
			in.Chains = append(in.Chains, metastate.LogChain{Class: string(class), First: a.First, Before: a.Before, Last: a.Last, Hash: a.Hash})
		}
	}
	if old := n.machine.View().LogHeads[n.id.Node]; len(in.Chains) == 0 || old != nil && slices.Equal(old.Chains, in.Chains) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, anchorWait)
	defer cancel()
	res, err := n.meta.Propose(ctx, metastate.Command{By: n.id.Node.String(), Via: metastate.ViaAgent, AnchorLog: in})
	return errors.Join(err, res.Err())
}

// anchorsOf is what the meta range remembers of this node's log.
func anchorsOf(in *metastate.AnchorLog) map[audit.Class]audit.Anchor {
	out := map[audit.Class]audit.Anchor{}
	if in != nil {
		for _, c := range in.Chains {
			out[audit.Class(c.Class)] = audit.Anchor{First: c.First, Before: c.Before, Last: c.Last, Hash: c.Hash}
		}
	}
	return out
}

// auditMethods answer the other nodes.
func (n *Node) auditMethods() map[string]method {
	return map[string]method{
		methodProve: func(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			var at metastate.AuditPlaces
			if err := json.Unmarshal(payload, &at); err != nil {
				return nil, err
			}
			return json.Marshal(n.proveAudit(at))
		},
		methodLogins: func(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			var ask loginsRequest
			if err := json.Unmarshal(payload, &ask); err != nil {
				return nil, err
			}
			found, err := audit.Read(auditPath(n.cfg.DataDir), ask.Since, min(max(ask.Limit, 0), loginsMost))
			if err != nil {
				return nil, err
			}
			return json.Marshal(found)
		},
	}
}

type loginsRequest struct {
	Since time.Time `json:"since"`
	Limit int       `json:"limit"`
}

// proveAudit walks all chains of this node; at is how far they are to be compared.
func (n *Node) proveAudit(at metastate.AuditPlaces) admin.AuditProof {
	v := n.machine.View()
	p := admin.AuditProof{Heads: v.Audit}
	var err error
	p.Records, p.Hash, err = metastate.VerifyAudit(n.engine, &v.Audit, at)
	var broken *metastate.BrokenAuditError
	switch {
	case errors.As(err, &broken):
		p.BrokenAt, p.Why = broken.Sequence, broken.Error()
		return p
	case err != nil:
		p.Why = "the audit records cannot be read"
		n.logger.Error("audit records cannot be read", logattr.Err(err))
		return p
	}
	p.Logins, err = audit.Verify(auditPath(n.cfg.DataDir), anchorsOf(v.LogHeads[n.id.Node]))
	var line *audit.BrokenError
	switch {
	case errors.As(err, &line):
		p.LoginsBad, p.Why = line.Sequence, line.Error()
	case err != nil:
		p.Why = "the log of logins cannot be read"
		n.logger.Error("the log of logins cannot be read", logattr.Err(err))
	}
	return p
}

// Denied implements admin.Auditor.
func (b *backend) Denied(e audit.Entry) { b.n.logins.Add(e) }

// Audit implements admin.Auditor.
func (b *backend) Audit(after uint64, fn func(*metastate.AuditRecord) bool) error {
	return metastate.ReadAudit(b.n.engine, after, fn)
}

// VerifyAudit implements admin.Auditor. The record that is compared is one that
// nodes which lag a little have too.
func (b *backend) VerifyAudit(ctx context.Context, perNode time.Duration) (map[cluster.NodeID]admin.AuditProof, []cluster.NodeID) {
	heads := b.n.machine.View().Audit
	at := heads.Places()
	payload, err := json.Marshal(at)
	if err != nil {
		return nil, nil
	}
	return askNodes(ctx, b.n, perNode, methodProve, payload, func() admin.AuditProof { return b.n.proveAudit(at) })
}

// Logins implements admin.Auditor.
func (b *backend) Logins(ctx context.Context, since time.Time, limit int, perNode time.Duration) (map[cluster.NodeID][]audit.Record, []cluster.NodeID) {
	payload, err := json.Marshal(loginsRequest{Since: since, Limit: limit})
	if err != nil {
		return nil, nil
	}
	return askNodes(ctx, b.n, perNode, methodLogins, payload, func() []audit.Record {
		found, err := audit.Read(auditPath(b.n.cfg.DataDir), since, limit)
		if err != nil {
			b.n.logger.Error("the log of logins cannot be read", logattr.Err(err))
		}
		return found
	})
}

// askNodes asks every other node that belongs to the cluster, all at once, and
// this one by self.
func askNodes[T any](ctx context.Context, n *Node, perNode time.Duration, method string, payload []byte, self func() T) (map[cluster.NodeID]T, []cluster.NodeID) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	found, missing := map[cluster.NodeID]T{}, []cluster.NodeID{}
	for _, id := range n.others() {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, perNode)
			defer cancel()
			var answer T
			b, err := n.transport.Call(ctx, id, method, payload)
			if err == nil {
				err = json.Unmarshal(b, &answer)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				missing = append(missing, id)
				return
			}
			found[id] = answer
		})
	}
	own := self()
	wg.Wait()
	found[n.id.Node] = own
	slices.Sort(missing)
	return found, missing
}
