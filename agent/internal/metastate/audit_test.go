package metastate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// stored is a machine over an engine.
type stored struct {
	*Machine
	engine *storage.Engine
	index  uint64
	clock  time.Time
}

func newStored(t *testing.T) *stored {
	t.Helper()
	e, err := storage.Open(storage.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &stored{Machine: New(), engine: e, index: 10, clock: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	s.do(t, initCommand())
	return s
}

func (s *stored) do(t *testing.T, cmd Command) Result {
	t.Helper()
	payload, err := EncodeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s.index++
	s.clock = s.clock.Add(time.Second)
	b := s.engine.NewBatch()
	out, err := s.apply(b, s.index, hlc.New(s.clock), payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	res, err := DecodeResult(out)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// records reads the whole chain.
func (s *stored) records(t *testing.T) []*AuditRecord {
	t.Helper()
	var all []*AuditRecord
	if err := ReadAudit(s.engine, 0, func(r *AuditRecord) bool { all = append(all, r); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAuditRecordsWhatPeopleAsk(t *testing.T) {
	s := newStored(t)
	s.do(t, Command{By: "root", Via: ViaAdmin, RequestID: "rq-1", Source: "10.0.0.9", TokenID: "", CreateToken: &CreateToken{ID: "t1", Owner: "root", Role: "viewer", Hash: []byte("HASHED")}})
	s.do(t, Command{By: "nobody", Via: ViaAdmin, RevokeToken: &RevokeToken{ID: "t1"}})
	s.do(t, Command{By: "coordinator", Via: ViaOperation, RecordEvents: &RecordEvents{Events: []cluster.Event{{Kind: "x", Text: "y"}}}})
	s.do(t, Command{By: "root", Via: ViaAdmin, Batch: []Command{{SetCordon: &SetCordon{Node: 1, Cordon: true}}, {SetCordon: &SetCordon{Node: 1}}}})
	all := s.records(t)
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprintf("%d %s %s %s", r.Sequence, r.By, r.Action, r.Decision))
	}
	want := []string{"1 init InitCluster done", "2 root CreateToken done", "3 nobody RevokeToken refused", "4 root SetCordon done"}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	r := all[1]
	if r.RequestID != "rq-1" || r.Source != "10.0.0.9" || !strings.Contains(string(r.Parameters), `"owner":"root"`) || r.Time.IsZero() || r.Index != 12 {
		t.Errorf("record of the token: got %+v", r)
	}
	if all[2].Why == "" {
		t.Error("a refusal without its reason")
	}
	heads := s.View().Audit
	if n, hash, err := VerifyAudit(s.engine, &heads, heads.Places()); err != nil || n != 4 || !bytes.Equal(hash, heads.Hash()) {
		t.Errorf("verify: got %d %x %v, want 4 %x", n, hash, err, heads.Hash())
	}
	further := heads.Places()
	further[AuditRefused]++
	if n, hash, err := VerifyAudit(s.engine, &heads, further); err != nil || n != 4 || hash != nil {
		t.Errorf("as far as another node has come: got %d %x %v, want no hash", n, hash, err)
	}
}

// TestAuditNamesATamperedRecord changes, drops, adds and truncates.
func TestAuditNamesATamperedRecord(t *testing.T) {
	key := func(seq uint64) []byte {
		return keys.Record(cluster.MetaRangeID, kindAudit, auditKey(AuditChanges, seq))
	}
	for name, c := range map[string]struct {
		tamper func(t *testing.T, s *stored, e *storage.Batch)
		broken uint64
	}{
		"another user": {func(t *testing.T, s *stored, e *storage.Batch) {
			v, ok, err := s.engine.Get(key(4))
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			set(t, e, key(4), bytes.Replace(v, []byte(`"by":"root"`), []byte(`"by":"evil"`), 1))
		}, 4},
		"with a hash that fits": {func(t *testing.T, s *stored, e *storage.Batch) {
			r := *s.records(t)[3]
			r.By = "evil"
			r.Hash, _ = r.sum()
			b, _ := encode(kindAudit, &r)
			set(t, e, key(4), b)
		}, 5},
		"the last, with a hash that fits": {func(t *testing.T, s *stored, e *storage.Batch) {
			r := *s.records(t)[5]
			r.By = "evil"
			r.Hash, _ = r.sum()
			b, _ := encode(kindAudit, &r)
			set(t, e, key(6), b)
		}, 6},
		"dropped":   {func(t *testing.T, _ *stored, e *storage.Batch) { drop(t, e, key(3)) }, 3},
		"truncated": {func(t *testing.T, _ *stored, e *storage.Batch) { drop(t, e, key(6)) }, 6},
		"beheaded":  {func(t *testing.T, _ *stored, e *storage.Batch) { drop(t, e, key(1)) }, 1},
		"garbage":   {func(t *testing.T, _ *stored, e *storage.Batch) { set(t, e, key(2), []byte("\x01{")) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStored(t)
			for i := range 5 {
				s.do(t, Command{By: "root", Via: ViaAdmin, SetCordon: &SetCordon{Node: 1, Cordon: i%2 == 0}})
			}
			b := s.engine.NewBatch()
			c.tamper(t, s, b)
			if err := b.Commit(false); err != nil {
				t.Fatal(err)
			}
			heads := s.View().Audit
			_, _, err := VerifyAudit(s.engine, &heads, nil)
			var broken *BrokenAuditError
			if !errors.As(err, &broken) || broken.Sequence != c.broken || !errors.Is(err, ErrAuditBroken) {
				t.Errorf("got %v, want record %d", err, c.broken)
			}
		})
	}
}

func set(t *testing.T, b *storage.Batch, k, v []byte) {
	t.Helper()
	if err := b.Set(k, v); err != nil {
		t.Fatal(err)
	}
}

func drop(t *testing.T, b *storage.Batch, k []byte) {
	t.Helper()
	if err := b.Delete(k); err != nil {
		t.Fatal(err)
	}
}

// TestAuditIsBounded fills each class: the oldest of that class goes, and of no
// other.
func TestAuditIsBounded(t *testing.T) {
	v := emptyView()
	v.ClusterID = "c"
	v.Audit = AuditHeads{Last: 900000, Chains: map[AuditClass]AuditHead{}}
	for _, class := range AuditClasses {
		v.Audit.Chains[class] = AuditHead{First: 1, Last: auditKept[class], Hash: []byte{1}}
	}
	for want, ask := range map[AuditClass]struct {
		cmd     Command
		refusal *Refusal
	}{
		AuditChanges: {Command{By: "root", Via: ViaAdmin, SetCordon: &SetCordon{Node: 1}}, nil},
		AuditOwn:     {Command{By: "eve", Via: ViaSQL, ChangeUser: &ChangeUser{Name: "eve", Verifier: new(string)}}, nil},
		AuditRefused: {Command{By: "eve", Via: ViaSQL, ChangeUser: &ChangeUser{Name: "root", Verifier: new(string)}}, &Refusal{Code: CodeDenied}},
		AuditAnchors: {Command{By: "n1", Via: ViaAgent, AnchorLog: &AnchorLog{Node: 1}}, nil},
	} {
		c := newChange(v, 0, hlc.New(time.Unix(1000, 0)))
		c.audit(&ask.cmd, 50, ask.refusal)
		if got := c.view.Audit.Chains[want]; got.First != 2 || got.Last != auditKept[want]+1 || c.view.Audit.Last != 900001 || len(c.writes) != 2 || c.writes[1].value != nil {
			t.Errorf("%s: got %+v and %d writes, want the oldest dropped", want, got, len(c.writes))
		}
		for _, other := range AuditClasses {
			if other != want && c.view.Audit.Chains[other].Last != auditKept[other] {
				t.Errorf("a record of %s is in %s", want, other)
			}
		}
	}
	if auditKept[AuditChanges] < 200000 {
		t.Errorf("of changes %d records are kept", auditKept[AuditChanges])
	}
}

// TestReadAuditAfter wants all records after a sequence, of all classes, in one
// order.
func TestReadAuditAfter(t *testing.T) {
	s := newStored(t)
	for i := range 30 {
		by := []string{"root", "nobody", "root"}[i%3]
		via := []string{ViaAdmin, ViaAdmin, ViaSQL}[i%3]
		s.do(t, Command{By: by, Via: via, SetCordon: &SetCordon{Node: 1, Cordon: i%2 == 0}})
	}
	last := s.View().Audit.Last
	if last != 31 || s.View().Audit.Chains[AuditRefused].Last != 10 {
		t.Fatalf("got %+v", s.View().Audit)
	}
	for after := range last + 2 {
		next := after + 1
		err := ReadAudit(s.engine, after, func(r *AuditRecord) bool {
			if r.Sequence != next {
				t.Errorf("after %d: got %d, want %d", after, r.Sequence, next)
			}
			next++
			return true
		})
		if err != nil || next != max(last, after)+1 {
			t.Errorf("after %d: ended before %d, %v", after, next, err)
		}
	}
}

func TestAuditClasses(t *testing.T) {
	operator := "operator"
	for name, c := range map[string]struct {
		cmd  Command
		want AuditClass
	}{
		"a collection":             {Command{Via: ViaSQL, By: "eve", ChangeObjects: &ChangeObjects{}}, AuditOwn},
		"a collection, by the API": {Command{Via: ViaAdmin, By: "eve", ChangeObjects: &ChangeObjects{}}, AuditChanges},
		"another's password":       {Command{Via: ViaSQL, By: "root", ChangeUser: &ChangeUser{Name: "eve"}}, AuditChanges},
		"an own role":              {Command{Via: ViaSQL, By: "eve", ChangeUser: &ChangeUser{Name: "eve", AdminRole: &operator}}, AuditChanges},
		"a batch":                  {Command{Via: ViaSQL, By: "eve", Batch: []Command{{ChangeObjects: &ChangeObjects{}}, {DropUser: &DropUser{}}}}, AuditChanges},
		"a node":                   {Command{Via: ViaJoin, AddNode: &AddNode{}}, AuditChanges},
	} {
		if got := c.cmd.class(nil); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		if got := c.cmd.class(&Refusal{}); got != AuditRefused {
			t.Errorf("%s, refused: got %s", name, got)
		}
	}
}

// TestAuditSaysWhereItBegins moves the beginning of a chain: what the quota leaves
// is known.
func TestAuditSaysWhereItBegins(t *testing.T) {
	s := newStored(t)
	for range 4 {
		s.do(t, Command{By: "root", Via: ViaAdmin, SetCordon: &SetCordon{Node: 1, Cordon: true}})
	}
	heads := s.View().Audit
	b := s.engine.NewBatch()
	for place := range uint64(2) {
		drop(t, b, keys.Record(cluster.MetaRangeID, kindAudit, auditKey(AuditChanges, place+1)))
	}
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	h := heads.Chains[AuditChanges]
	h.First = 3
	heads.Chains = map[AuditClass]AuditHead{AuditChanges: h}
	var broken *BrokenAuditError
	if _, _, err := VerifyAudit(s.engine, &heads, nil); !errors.As(err, &broken) || broken.Place != 3 {
		t.Errorf("a chain without its first two: got %v", err)
	}
}

// TestAuditHoldsNoSecrets plants a secret in every field that may hold one, also
// of commands that will be added.
func TestAuditHoldsNoSecrets(t *testing.T) {
	const planted = "PLANTED-SECRET"
	cmd := Command{}
	plantAll(reflect.ValueOf(&cmd).Elem(), planted, 0)
	cmd.By, cmd.Via, cmd.InitCluster = "", "", nil
	got := string(cmd.parameters())
	if strings.Contains(got, planted) || strings.Contains(got, "UExBTlRFRC1TRUNSRVQ") {
		t.Errorf("a secret is in the parameters: %s", got)
	}
	cmd = Command{InitCluster: &InitCluster{Users: []PutUser{{Name: "a", Verifier: planted}}}}
	if got := string(cmd.parameters()); strings.Contains(got, planted) {
		t.Errorf("a secret is in the parameters: %s", got)
	}
}

// plantAll sets every []byte, and every string whose field is of a secret's name.
// Hashes of public keys and certificates are no secrets.
func plantAll(v reflect.Value, secret string, depth int) {
	if depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		plantAll(v.Elem(), secret, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			if !f.CanSet() || name == "Batch" {
				continue
			}
			switch {
			case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8:
				if name != "Head" {
					f.SetBytes([]byte(secret))
				}
			case f.Kind() == reflect.String && slices.Contains([]string{"Verifier", "Secret", "Password", "Key"}, name):
				f.SetString(secret)
			case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.String && name == "Verifier":
				f.Set(reflect.ValueOf(&secret))
			case f.Kind() == reflect.Pointer || f.Kind() == reflect.Struct:
				plantAll(f, secret, depth+1)
			}
		}
	default: // numbers, lists, maps: the fields above are all that the commands hold secrets in
	}
}

func TestPeopleNeedTheirRoleAtApply(t *testing.T) {
	s := newStored(t)
	str := func(v string) *string { return &v }
	for name, role := range map[string]string{"vera": "viewer", "otto": "operator", "nobody": ""} {
		s.do(t, Command{ChangeUser: &ChangeUser{Name: name, Create: true, AdminRole: str(role)}})
	}
	s.do(t, Command{CreateToken: &CreateToken{ID: "weak", Owner: "root", Role: "viewer", Hash: []byte{1}}})
	s.do(t, Command{CreateToken: &CreateToken{ID: "old", Owner: "root", Role: "admin", Hash: []byte{1}, ExpiresAt: s.clock.Add(time.Second)}})
	s.do(t, Command{CreateToken: &CreateToken{ID: "good", Owner: "root", Role: "admin", Hash: []byte{1}}})
	s.do(t, Command{CreateToken: &CreateToken{ID: "gone", Owner: "root", Role: "admin", Hash: []byte{1}}})
	s.do(t, Command{RevokeToken: &RevokeToken{ID: "gone"}})
	cordon, setting := Command{SetCordon: &SetCordon{Node: 1, Cordon: true}}, Command{SetSetting: &SetSetting{Name: "gc_ttl", Value: "2h"}}
	for _, c := range []struct {
		by, via, token string
		cmd            Command
		denied         bool
	}{
		{"nobody", ViaAdmin, "", cordon, true},
		{"vera", ViaAdmin, "", cordon, true},
		{"otto", ViaAdmin, "", cordon, false},
		{"otto", ViaAdmin, "", setting, true},
		{"otto", ViaSQL, "", setting, true},
		{"root", ViaSQL, "", setting, false},
		{"otto", ViaAdmin, "", Command{SetSetting: &SetSetting{Name: SettingRebalance, Value: "off"}}, false},
		{"vera", ViaAdmin, "", Command{SetSetting: &SetSetting{Name: SettingRebalance, Value: "off"}}, true},
		{"stranger", ViaAdmin, "", cordon, true},
		{"root", ViaAdmin, "weak", cordon, true},
		{"root", ViaAdmin, "old", cordon, true},
		{"root", ViaAdmin, "gone", cordon, true},
		{"otto", ViaAdmin, "good", cordon, true}, // another's token
		{"root", ViaAdmin, "good", cordon, false},
		{"root", ViaAdmin, "", Command{AnchorLog: &AnchorLog{Node: 1, Chains: []LogChain{{Class: "logins", First: 1, Last: 1, Hash: "01"}}}}, true},
		{"root", ViaAdmin, "", Command{UpdateOperation: &UpdateOperation{}}, true},
		{"n1", ViaAgent, "", Command{AnchorLog: &AnchorLog{Node: 1, Chains: []LogChain{{Class: "logins", First: 1, Last: 1, Hash: "01"}}}}, false},
		{"vera", ViaSQL, "", Command{ChangeUser: &ChangeUser{Name: "vera", Verifier: str("SCRAM")}}, false}, // her own
		{"vera", ViaSQL, "", Command{ChangeUser: &ChangeUser{Name: "otto", Verifier: str("SCRAM")}}, true},
		{"vera", ViaSQL, "", Command{ChangeUser: &ChangeUser{Name: "vera", AdminRole: str("admin")}}, true},
		{"vera", ViaSQL, "", Command{ChangeUser: &ChangeUser{Name: "vera", ConnectionLimit: new(int32)}}, true},
		{"vera", ViaAdmin, "weak", Command{ChangeUser: &ChangeUser{Name: "vera", Verifier: str("SCRAM")}}, true},
		{"otto", ViaAdmin, "", Command{Batch: []Command{cordon, setting}}, true},
		{"nobody", ViaSQL, "", Command{ChangeObjects: &ChangeObjects{Put: []cluster.Object{{ID: 100, Parent: cluster.MainPublic, Kind: cluster.KindSchema, Name: "c"}}}}, false},
	} {
		cmd := c.cmd
		cmd.By, cmd.Via, cmd.TokenID = c.by, c.via, c.token
		res := s.do(t, cmd)
		if denied := res.Refusal != nil && res.Refusal.Code == CodeDenied; denied != c.denied {
			b, _ := json.Marshal(cmd)
			t.Errorf("%s: denied %v (%v), want %v", b, denied, res.Err(), c.denied)
		}
	}
}

// TestEveryCommandHasARole fails for a command that was added without saying who
// may ask for it.
func TestEveryCommandHasARole(t *testing.T) {
	internal := []string{"InitCluster", "AddNode", "UpdateNode", "ResetStore", "UpdateRanges", "ForgetDropped", "AllocateObjects", "AdvanceSequence", "SetSequence", "ResolveObjects", "UpdateOperation", "RecordEvents", "RecordSweep", "Prune", "AnchorLog", "EndCAKeyMove", "ReadyPool", "ReseedPool", "ClearRemoved", "PromiseVersion", "RaiseVersion", "StartRun", "EndRun"}
	typ := reflect.TypeFor[Command]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		if _, ok := neededRoles[f.Name]; ok == slices.Contains(internal, f.Name) {
			t.Errorf("command %s must be either in neededRoles or among the internal ones of this test", f.Name)
		}
	}
}

func TestTheLastAdminStays(t *testing.T) {
	s := newStored(t)
	none, admin := "", "admin"
	for _, cmd := range []Command{{DropUser: &DropUser{Name: "root"}}, {ChangeUser: &ChangeUser{Name: "root", AdminRole: &none}}} {
		if res := s.do(t, cmd); res.Refusal == nil || res.Refusal.Code != CodeConflict {
			t.Errorf("%+v: got %v, want a refusal", cmd, res)
		}
	}
	s.do(t, Command{ChangeUser: &ChangeUser{Name: "alice", Create: true, AdminRole: &admin}})
	if res := s.do(t, Command{DropUser: &DropUser{Name: "root"}}); res.Refusal == nil || res.Refusal.Code != CodeReferenced {
		t.Errorf("the owner of the databases: %v", res.Refusal)
	}
	if res := s.do(t, Command{ChangeUser: &ChangeUser{Name: "root", AdminRole: &none}}); res.Refusal != nil {
		t.Errorf("with another admin: %v", res.Refusal)
	}
}
