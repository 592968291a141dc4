package view

import (
	"encoding/json"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// AuditRecord is one change that was asked for, or one login.
type AuditRecord struct {
	Sequence   uint64          `json:"sequence"`
	Time       time.Time       `json:"time"`
	By         string          `json:"by"`
	Via        string          `json:"via"`
	Source     string          `json:"source"`
	TokenID    string          `json:"tokenId"`
	RequestID  string          `json:"requestId"`
	Action     string          `json:"action"`
	Decision   string          `json:"decision"`
	Why        string          `json:"why"`
	Parameters json.RawMessage `json:"parameters"`
	Hash       string          `json:"hash"`
	Node       uint32          `json:"node"` // of a login; 0: of a change
	Count      uint32          `json:"count"`
	Class      string          `json:"class"`
}

// NewAuditRecord makes a view.
func NewAuditRecord(r *adminpb.AuditRecord) AuditRecord {
	v := AuditRecord{
		Sequence: r.GetSequence(), Time: r.GetTime().AsTime(), By: r.GetBy(), Via: r.GetVia(), Source: r.GetSource(),
		TokenID: r.GetTokenId(), RequestID: r.GetRequestId(), Action: r.GetAction(), Decision: r.GetDecision(), Why: r.GetWhy(),
		Hash: r.GetHash(), Node: r.GetNode(), Class: r.GetClass(), Count: max(1, r.GetCount()), Parameters: json.RawMessage("null"),
	}
	if json.Valid([]byte(r.GetParameters())) {
		v.Parameters = json.RawMessage(r.GetParameters())
	}
	return v
}

// AuditProof is whether the audit is as it was written.
type AuditProof struct {
	Intact   bool     `json:"intact"`
	Records  uint64   `json:"records"`
	BrokenAt uint64   `json:"brokenAt"`
	Differs  []uint32 `json:"differs"`
	Head     string   `json:"head"`
	Why      string   `json:"why"`
	// Chains say what the quotas have left, by places in each class.
	Chains []AuditChain `json:"chains"`
}

// AuditChain is what is kept of a class of records.
type AuditChain struct {
	Class string `json:"class"`
	Node  uint32 `json:"node"` // whose log of logins; 0: the cluster's
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// NewAuditProof makes a view.
func NewAuditProof(r *adminpb.VerifyAuditResponse) AuditProof {
	v := AuditProof{
		Intact: r.GetIntact(), Records: r.GetRecords(), BrokenAt: r.GetBrokenAt(), Differs: r.GetDiffers(), Head: r.GetHead(), Why: r.GetWhy(),
	}
	v.Chains = []AuditChain{}
	for _, c := range r.GetChains() {
		v.Chains = append(v.Chains, AuditChain{Class: c.GetClass(), Node: c.GetNode(), First: c.GetFirst(), Last: c.GetLast()})
	}
	if v.Differs == nil {
		v.Differs = []uint32{}
	}
	return v
}
