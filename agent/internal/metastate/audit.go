package metastate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// AuditClass says what a record is evidence of. Each class has a chain and a quota
// of its own: what every user can cause pushes out nothing that an admin did.
type AuditClass string

// The classes.
const (
	AuditChanges AuditClass = "changes" // by admins, operators and nodes
	AuditOwn     AuditClass = "own"     // own passwords, and collections: every user may
	AuditRefused AuditClass = "refused"
	AuditAnchors AuditClass = "anchors" // of the nodes' logs of logins
)

// AuditClasses are all of them.
var AuditClasses = []AuditClass{AuditChanges, AuditOwn, AuditRefused, AuditAnchors}

// auditKept is how many records of a class are kept: the newest.
var auditKept = map[AuditClass]uint64{AuditChanges: 200000, AuditOwn: 20000, AuditRefused: 20000, AuditAnchors: 20000}

// auditParameters is the most bytes of a record's parameters.
const auditParameters = 4096

// Decisions of an audit record.
const (
	DecisionDone    = "done"
	DecisionRefused = "refused"
)

// AuditRecord is one change that was asked for. Its hash is over itself and the
// hash of the one before in its class: whoever alters, drops or adds a record must
// alter all after it, on a majority of the nodes.
type AuditRecord struct {
	Sequence   uint64          `json:"sequence"` // over all classes
	Class      AuditClass      `json:"class"`
	Place      uint64          `json:"place"` // in its class, from 1
	Index      uint64          `json:"index"` // of the command in the log
	Time       time.Time       `json:"time"`
	By         string          `json:"by,omitempty"`
	Via        string          `json:"via,omitempty"`
	TokenID    string          `json:"tokenId,omitempty"`
	RequestID  string          `json:"requestId,omitempty"`
	Source     string          `json:"source,omitempty"`
	Action     string          `json:"action"`
	Decision   string          `json:"decision"`
	Why        string          `json:"why,omitempty"` // of a refusal
	Parameters json.RawMessage `json:"parameters,omitempty"`
	Before     []byte          `json:"before,omitempty"` // hash of the record before in its class
	Hash       []byte          `json:"hash,omitempty"`
}

// sum is the hash that the record should have.
func (r *AuditRecord) sum() ([]byte, error) {
	bare := *r
	bare.Hash = nil
	b, err := json.Marshal(&bare)
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(b)
	return h[:], nil
}

// AuditHead is where the chain of a class begins and ends: places, and the hash of
// the last.
type AuditHead struct {
	First uint64 `json:"first"` // the oldest that is kept
	Last  uint64 `json:"last"`
	Hash  []byte `json:"hash"`
}

// AuditHeads are where the chains stand.
type AuditHeads struct {
	Last   uint64                   `json:"last,omitempty"` // sequence of the newest record
	Chains map[AuditClass]AuditHead `json:"chains,omitempty"`
}

// Hash stands for all chains as far as at: the same on all nodes. nil: some chain
// is not there yet.
func (h *AuditHeads) Hash() []byte {
	sum := sha256.New()
	for _, class := range AuditClasses {
		sum.Write(h.Chains[class].Hash)
	}
	return sum.Sum(nil)
}

// firstKept is the oldest place that the quota of a class leaves.
func firstKept(class AuditClass, last uint64) uint64 {
	return last - min(last, auditKept[class]) + 1
}

// class says where the record of cmd belongs.
func (cmd *Command) class(refusal *Refusal) AuditClass {
	actions := cmd.actions()
	only := func(names ...string) bool {
		return !slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(names, a) })
	}
	switch {
	case only("AnchorLog"):
		return AuditAnchors
	case refusal != nil:
		return AuditRefused
	case cmd.Via == ViaSQL && (only("ChangeObjects", "PrepareObjects") || cmd.ofOneself()):
		return AuditOwn
	}
	return AuditChanges
}

// unaudited commands are the cluster's own bookkeeping, many a second.
var unaudited = []string{"UpdateRanges", "UpdateOperation", "ForgetDropped", "AllocateObjects", "AdvanceSequence", "SetSequence", "ResolveObjects", "RecordEvents", "UpdateNode", "RecordSweep", "Prune", "ReadyPool", "ClearRemoved", "StartRun", "EndRun"}

// actions names the changes that a command holds, each once.
func (cmd *Command) actions() []string {
	var names []string
	v := reflect.ValueOf(cmd).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			names = append(names, v.Type().Field(i).Name)
		}
	}
	for i := range cmd.Batch {
		for _, n := range cmd.Batch[i].actions() {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

func (cmd *Command) audited() bool {
	if cmd.onlyEndsRun() {
		return false
	}
	return cmd.Via == ViaAdmin || cmd.Via == ViaSQL ||
		slices.ContainsFunc(cmd.actions(), func(a string) bool { return !slices.Contains(unaudited, a) })
}

// audit adds the record of cmd to the chain. What it writes is the same on every
// replica, so that the heads of two can be compared.
func (c *change) audit(cmd *Command, index uint64, refusal *Refusal) {
	if !cmd.audited() {
		return
	}
	class := cmd.class(refusal)
	head := c.view.Audit.Chains[class]
	r := AuditRecord{
		Sequence: c.view.Audit.Last + 1, Class: class, Place: head.Last + 1, Index: index, Time: c.now, By: cmd.By, Via: cmd.Via,
		TokenID: cmd.TokenID, RequestID: cmd.RequestID, Source: cmd.Source, Action: strings.Join(cmd.actions(), ","),
		Decision: DecisionDone, Parameters: cmd.parameters(), Before: head.Hash,
	}
	if refusal != nil {
		r.Decision, r.Why = DecisionRefused, refusal.Message
	}
	sum, err := r.sum()
	if err != nil {
		c.refusal = refuse(CodeInvalid, "the audit record cannot be stored: %v", err)
		return
	}
	r.Hash = sum
	stage(c, kindAudit, auditKey(class, r.Place), &r)
	for first := max(head.First, 1); first < firstKept(class, r.Place); first++ {
		c.erase(kindAudit, auditKey(class, first))
	}
	chains := maps.Clone(c.view.Audit.Chains)
	if chains == nil {
		chains = map[AuditClass]AuditHead{}
	}
	chains[class] = AuditHead{First: firstKept(class, r.Place), Last: r.Place, Hash: sum}
	c.view.Audit = AuditHeads{Last: r.Sequence, Chains: chains}
}

// auditKey is the key of a record: the first letter of its class, and its place.
func auditKey(class AuditClass, place uint64) []byte {
	return append([]byte{class[0]}, idKey(place)...)
}

// secrets are the fields that no record shows, wherever they stand in a command.
var secrets = []string{"hash", "tokenHash", "keyHash", "verifier", "secret", "password", "key"}

// parameters is the command as JSON, without secrets and without who asked.
func (cmd *Command) parameters() json.RawMessage {
	bare := *cmd
	bare.By, bare.Via, bare.TokenID, bare.RequestID, bare.Source = "", "", "", "", ""
	if bare.InitCluster != nil { // its ranges and certificates are the cluster's beginning, not parameters
		bare.InitCluster = &InitCluster{ClusterID: bare.InitCluster.ClusterID, Name: bare.InitCluster.Name}
	}
	b, err := json.Marshal(&bare)
	if err != nil {
		return nil // it was decoded from JSON a moment ago: cannot be
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree map[string]any
	if d.Decode(&tree) != nil {
		return nil
	}
	out, err := json.Marshal(withoutSecrets(tree))
	if err != nil {
		return nil
	}
	if len(out) > auditParameters {
		sum := sha256.Sum256(out)
		return json.RawMessage(fmt.Sprintf(`{"bytes":%d,"sha256":"%x"}`, len(out), sum))
	}
	return out
}

func withoutSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range secrets {
			delete(v, name)
		}
		for name := range v {
			v[name] = withoutSecrets(v[name])
		}
	case []any:
		for i := range v {
			v[i] = withoutSecrets(v[i])
		}
	}
	return v
}

// ErrAuditBroken is what VerifyAudit returns for a chain that was tampered with.
var ErrAuditBroken = errors.New("the audit chain is broken")

// BrokenAuditError names the first record of a class that does not fit. Sequence
// is its number over all classes, or the least that it can have had.
type BrokenAuditError struct {
	Class    AuditClass
	Place    uint64
	Sequence uint64
	Why      string
}

func (e *BrokenAuditError) Error() string {
	return fmt.Sprintf("record %d of %s (audit record %d): %s", e.Place, e.Class, e.Sequence, e.Why)
}

// Is makes every one of them an ErrAuditBroken.
func (e *BrokenAuditError) Is(target error) bool { return target == ErrAuditBroken }
