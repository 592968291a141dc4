package admin

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

const (
	auditDefault = 1000
	auditMost    = 20000
)

// ListAudit implements adminpb.AdminHandler.
func (s *service) ListAudit(ctx context.Context, r *adminpb.ListAuditRequest) (*adminpb.ListAuditResponse, error) {
	limit := int(min(r.GetLimit(), auditMost))
	if limit == 0 {
		limit = auditDefault
	}
	var since time.Time
	if r.GetSince() != nil {
		since = r.GetSince().AsTime()
	}
	out := &adminpb.ListAuditResponse{AsOf: s.asOf()}
	err := s.backend.Audit(r.GetAfter(), func(rec *metastate.AuditRecord) bool {
		if rec.Class != metastate.AuditAnchors && !rec.Time.Before(since) { // anchors are the nodes' own, one a minute
			out.Records = append(out.Records, auditProto(rec))
		}
		if len(out.Records) >= 2*limit { // the newest are wanted
			out.Records = append(out.Records[:0], out.Records[len(out.Records)-limit:]...)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if r.GetLogins() {
		logins, missing := s.backend.Logins(ctx, since, limit, perNode(r.GetNodeTimeout()))
		for _, node := range sortedKeys(logins) {
			for i := range logins[node] {
				out.Records = append(out.Records, loginProto(node, &logins[node][i]))
			}
		}
		slices.SortStableFunc(out.Records, func(a, b *adminpb.AuditRecord) int {
			return a.GetTime().AsTime().Compare(b.GetTime().AsTime())
		})
		out.AsOf.Missing, out.AsOf.Complete = nodeIDs(missing), len(missing) == 0
	}
	if len(out.Records) > limit {
		out.Records = out.Records[len(out.Records)-limit:]
	}
	return out, nil
}

func auditProto(r *metastate.AuditRecord) *adminpb.AuditRecord {
	return &adminpb.AuditRecord{
		Sequence: r.Sequence, Time: timestamppb.New(r.Time), By: r.By, Via: r.Via, RequestId: r.RequestID, Action: r.Action,
		Decision: r.Decision, Parameters: string(r.Parameters), Hash: hex.EncodeToString(r.Hash), Source: r.Source,
		TokenId: r.TokenID, Why: r.Why, Class: string(r.Class),
	}
}

func loginProto(node cluster.NodeID, r *audit.Record) *adminpb.AuditRecord {
	return &adminpb.AuditRecord{
		Sequence: r.Sequence, Time: timestamppb.New(r.Time), By: r.User, Via: r.Via, Action: r.Action, Decision: r.Decision,
		Hash: r.Hash, Source: r.Source, Why: r.Why, Count: uint32(r.Count), Node: uint32(node), Class: string(r.Class()),
	}
}

// VerifyAudit implements adminpb.AdminHandler. Every node walks its own chains;
// then the heads are compared: a chain that was made anew as a whole is
// consistent in itself, but not the same as those of the others.
func (s *service) VerifyAudit(ctx context.Context, r *adminpb.VerifyAuditRequest) (*adminpb.VerifyAuditResponse, error) {
	proofs, missing := s.backend.VerifyAudit(ctx, perNode(r.GetNodeTimeout()))
	out := &adminpb.VerifyAuditResponse{AsOf: s.asOf(), Intact: true}
	out.AsOf.Missing, out.AsOf.Complete = nodeIDs(missing), len(missing) == 0
	mine := proofs[s.backend.Self()]
	out.Records, out.Head = mine.Records, hex.EncodeToString(mine.Heads.Hash())
	for _, class := range metastate.AuditClasses {
		if h := mine.Heads.Chains[class]; h.Last != 0 {
			out.Chains = append(out.Chains, &adminpb.AuditChain{Class: string(class), First: h.First, Last: h.Last})
		}
	}
	fault := func(node cluster.NodeID, at uint64, format string, args ...any) {
		if out.Intact {
			out.Intact, out.BrokenAt, out.Why = false, at, node.String()+": "+fmt.Sprintf(format, args...)
		}
		if !slices.Contains(out.GetDiffers(), uint32(node)) {
			out.Differs = append(out.Differs, uint32(node))
		}
	}
	common, agreed := agreement(proofs)
	for _, node := range sortedKeys(proofs) {
		p := proofs[node]
		for _, class := range audit.Classes {
			if k := p.Logins[class]; k.Last != 0 {
				out.Chains = append(out.Chains, &adminpb.AuditChain{Class: string(class), First: k.First, Last: k.Last, Node: uint32(node)})
			}
		}
		switch {
		case p.BrokenAt != 0:
			fault(node, p.BrokenAt, "%s", p.Why)
		case p.LoginsBad != 0:
			fault(node, p.LoginsBad, "%s", p.Why)
		case p.Why != "":
			fault(node, 0, "%s", p.Why)
		case p.Hash != nil && !bytes.Equal(p.Hash, agreed):
			fault(node, common, "its records up to %d are not those of the other nodes", common)
		}
	}
	return out, nil
}

// agreement is the record that all nodes were asked for, and the hash that most
// of them have there.
func agreement(proofs map[cluster.NodeID]AuditProof) (sequence uint64, hash []byte) {
	votes := map[string]int{}
	for _, node := range sortedKeys(proofs) {
		p := proofs[node]
		if p.Hash == nil {
			continue
		}
		votes[string(p.Hash)]++
		if votes[string(p.Hash)] > votes[string(hash)] || hash == nil {
			hash = p.Hash
		}
		if sequence == 0 || p.Heads.Last < sequence {
			sequence = p.Heads.Last
		}
	}
	return sequence, hash
}
