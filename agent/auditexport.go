package agent

import (
	"context"
	"encoding/json"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// exported is a line of the audit's copy: whose record it is, and the record as it
// stands where it was kept.
type exported struct {
	Cluster string          `json:"cluster"`
	Node    cluster.NodeID  `json:"node"` // that wrote the line
	Class   string          `json:"class"`
	Record  json.RawMessage `json:"record"`
}

func (n *Node) exportLine(class string, record []byte) {
	b, err := json.Marshal(exported{Cluster: n.id.ClusterID, Node: n.id.Node, Class: class, Record: record})
	if err != nil {
		n.logger.Error("an audit record cannot be copied", logattr.Err(err))
		return
	}
	n.export.Add(append(b, '\n'))
}

// exportLogin copies a record of this node's own log.
func (n *Node) exportLogin(class audit.Class, record []byte) { n.exportLine(string(class), record) }

// exportAudit sends the copy of the audit to where auditExport says: this node's
// logins and denials, and what the cluster was asked for from now on.
func (n *Node) exportAudit(ctx context.Context, ready func()) error {
	if n.export == nil {
		ready()
		<-ctx.Done()
		return nil
	}
	changed := n.machine.Watch(ctx)
	last := n.machine.View().Audit.Last
	sent := make(chan error, 1)
	go func() { sent <- n.export.Run(ctx, ready) }()
	for {
		select {
		case <-changed:
			if now := n.machine.View().Audit.Last; now > last {
				last = n.exportChanges(last)
			}
		case err := <-sent:
			return err
		}
	}
}

// exportChanges copies the cluster's records after the sequence, and returns the
// last one's.
func (n *Node) exportChanges(after uint64) uint64 {
	err := metastate.ReadAudit(n.engine, after, func(r *metastate.AuditRecord) bool {
		b, err := json.Marshal(r)
		if err == nil {
			n.exportLine(string(r.Class), b)
		}
		after = r.Sequence
		return err == nil
	})
	if err != nil {
		n.logger.Error("audit records cannot be read for their copy", logattr.Err(err))
	}
	return after
}
