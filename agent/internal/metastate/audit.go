package metastate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const (
	// auditKept is how many audit records are kept: the newest.
	auditKept = 20000
	// auditParameters is the most bytes of a record's parameters.
	auditParameters = 4096
)

// Decisions of an audit record.
const (
	DecisionDone    = "done"
	DecisionRefused = "refused"
)

// AuditRecord is one change that was asked for. Its hash is over itself and the
// hash of the one before: whoever alters, drops or adds a record must alter all
// after it, on a majority of the nodes.
type AuditRecord struct {
	Sequence   uint64          `json:"sequence"`
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
	Before     []byte          `json:"before,omitempty"` // hash of the record before
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

// AuditHead is where the chain of audit records begins and ends.
type AuditHead struct {
	First uint64 `json:"first,omitempty"` // the oldest that is kept
	Last  uint64 `json:"last,omitempty"`
	Hash  []byte `json:"hash,omitempty"` // of the last
}

// unaudited commands are the cluster's own bookkeeping, many a second.
var unaudited = []string{"UpdateRanges", "UpdateOperation", "ForgetDropped", "RecordEvents", "UpdateNode", "RecordSweep"}

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
	return cmd.Via == ViaAdmin || cmd.Via == ViaSQL ||
		slices.ContainsFunc(cmd.actions(), func(a string) bool { return !slices.Contains(unaudited, a) })
}

// audit adds the record of cmd to the chain. What it writes is the same on every
// replica, so that the heads of two can be compared.
func (c *change) audit(cmd *Command, index uint64, refusal *Refusal) {
	if !cmd.audited() {
		return
	}
	head := c.view.Audit
	r := AuditRecord{
		Sequence: head.Last + 1, Index: index, Time: c.now, By: cmd.By, Via: cmd.Via, TokenID: cmd.TokenID,
		RequestID: cmd.RequestID, Source: cmd.Source, Action: strings.Join(cmd.actions(), ","), Decision: DecisionDone,
		Parameters: cmd.parameters(), Before: head.Hash,
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
	stage(c, kindAudit, idKey(r.Sequence), &r)
	head.First, head.Last, head.Hash = max(head.First, 1), r.Sequence, sum
	for head.Last-head.First >= auditKept {
		c.erase(kindAudit, idKey(head.First))
		head.First++
	}
	c.view.Audit = head
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

// BrokenAuditError names the first record that does not fit.
type BrokenAuditError struct {
	Sequence uint64
	Why      string
}

func (e *BrokenAuditError) Error() string {
	return fmt.Sprintf("audit record %d: %s", e.Sequence, e.Why)
}

// Is makes every one of them an ErrAuditBroken.
func (e *BrokenAuditError) Is(target error) bool { return target == ErrAuditBroken }

// ReadAudit calls fn with the records after the sequence, oldest first, until it
// returns false.
func ReadAudit(r storage.Reader, after uint64, fn func(*AuditRecord) bool) (err error) {
	it, err := r.NewIter(keys.Record(cluster.MetaRangeID, kindAudit, idKey(after+1)), keys.Record(cluster.MetaRangeID, kindAudit, idKey(^uint64(0))))
	if err != nil {
		return fmt.Errorf("read audit records: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		rec := &AuditRecord{}
		if err := decodeRecord(it.Value(), rec); err != nil {
			_, key, kerr := keys.DecodeRecord(it.Key())
			if kerr != nil || len(key) != 8 {
				return fmt.Errorf("read audit records: %w", errors.Join(err, kerr))
			}
			return &BrokenAuditError{Sequence: binary.BigEndian.Uint64(key), Why: "it cannot be read: " + err.Error()}
		}
		if !fn(rec) {
			break
		}
	}
	return it.Err()
}

// VerifyAudit walks the chain in r as far as head, and returns how many records
// it read and, for the record at, the hash that stands there. A record that does
// not fit is a *BrokenAuditError.
func VerifyAudit(r storage.Reader, head AuditHead, at uint64) (records uint64, hash []byte, err error) {
	var before []byte
	next := head.First
	broken := func(why string) { err = &BrokenAuditError{Sequence: next, Why: why} }
	readErr := ReadAudit(r, head.First-min(head.First, 1), func(rec *AuditRecord) bool {
		sum, serr := rec.sum()
		switch {
		case rec.Sequence > head.Last:
			return false // written since
		case rec.Sequence != next:
			broken(fmt.Sprintf("it is missing: record %d follows instead", rec.Sequence))
		case serr != nil || !bytes.Equal(sum, rec.Hash):
			broken("its hash is not that of what it says")
		case records > 0 && !bytes.Equal(rec.Before, before):
			broken("it does not follow the record before it")
		}
		if err != nil {
			return false
		}
		if rec.Sequence == at {
			hash = rec.Hash
		}
		before, next = rec.Hash, next+1
		records++
		return true
	})
	switch {
	case err != nil:
	case readErr != nil:
		err = readErr
	case head.Last > 0 && next != head.Last+1:
		broken("it is missing at the end")
	case !bytes.Equal(before, head.Hash):
		next = head.Last
		broken("its hash is not the one that the cluster's state remembers")
	}
	return records, hash, err
}
