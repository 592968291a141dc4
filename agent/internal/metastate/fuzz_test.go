package metastate

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// seedCommands adds commands of many kinds, and what is nearly one.
func seedCommands(f *testing.F) {
	f.Helper()
	for _, c := range []Command{
		initCommand(),
		{SetMembership: &SetMembership{Nodes: []cluster.NodeID{1}, To: cluster.Decommissioned}},
		{UpdateRanges: &UpdateRanges{Descriptors: []cluster.RangeDescriptor{{ID: 9, Start: cluster.VShard(1).Key(), End: cluster.VShard(2).Key(), Generation: 4}}}},
		{CreateOperation: &CreateOperation{Operation: cluster.Operation{Spec: cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{1, 1}}}}},
		{UpdateOperation: &UpdateOperation{Operation: cluster.Operation{ID: "op-1"}}},
		{By: "root", Via: ViaSQL, ChangeObjects: &ChangeObjects{Put: []cluster.Object{{ID: 100, Kind: cluster.KindTable, Name: "a"}}}},
		{By: "root", Via: ViaAdmin, Batch: []Command{{DropUser: &DropUser{Name: "root"}}, {RevokeToken: &RevokeToken{ID: "t0"}}}},
		{CreateToken: &CreateToken{ID: "t", Role: "viewer", Hash: []byte{1}, ExpiresAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))}},
		{AnchorLog: &AnchorLog{Node: 1, Chains: []LogChain{{Class: "logins", First: 1, Last: 2, Hash: "00"}}}},
	} {
		b, err := EncodeCommand(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(nil))
	f.Add([]byte{2, '{', '}'})
	f.Add([]byte("\x01{}{}"))
	f.Add([]byte("\x01null"))
}

// FuzzDecodeCommand wants what was decoded to be encoded and decoded to the same.
func FuzzDecodeCommand(f *testing.F) {
	seedCommands(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		cmd, err := DecodeCommand(b, gate.Binary())
		if err != nil {
			return
		}
		again, err := EncodeCommand(cmd)
		if err != nil {
			return // a time that JSON does not hold
		}
		twice, err := DecodeCommand(again, gate.Binary())
		if err != nil {
			t.Fatalf("%q becomes %q, which is no command: %v", b, again, err)
		}
		third, err := EncodeCommand(twice)
		if err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%q becomes %q, then %q: %v", b, again, third, err)
		}
	})
}

// FuzzApply feeds any bytes as a command to two machines of a cluster that has
// begun: both must give the same bytes, never panic, and a refusal must leave the
// view as it was. Reloading is the stories' to check, after every command.
func FuzzApply(f *testing.F) {
	seedCommands(f)
	begun := newTester()
	begun.command(f, initCommand())
	base := *begun.View()
	base.Events = slices.Clip(base.Events) // machines do not share what is behind it
	index, ts := begun.index+1, hlc.New(begun.clock.Add(time.Second))
	f.Fuzz(func(t *testing.T, command []byte) {
		if begun.refuses(t, command) {
			return
		}
		apply := func() (*View, records, []byte) {
			m, w, v := New(), records{}, base
			m.publish(&v)
			out, err := m.apply(w, index, ts, command)
			if err != nil {
				t.Fatalf("apply: %v", err)
			}
			return m.View(), w, out
		}
		view, writes, out := apply()
		if _, again, out2 := apply(); !bytes.Equal(out, out2) || !maps.EqualFunc(writes, again, bytes.Equal) {
			t.Fatalf("two replicas differ after %q", command)
		}
		res, err := DecodeResult(out)
		if err != nil {
			t.Fatalf("decode the result: %v", err)
		}
		if res.Refusal == nil {
			return
		}
		after := *view
		after.Index, after.TS, after.Audit = base.Index, base.TS, base.Audit
		if field := differs(reflect.ValueOf(after), reflect.ValueOf(base)); field != "" {
			t.Fatalf("a refused command changed %s of the view: %q", field, command)
		}
	})
}

// differs names a field in which two views are not the same memory.
func differs(a, b reflect.Value) string {
	for i := range a.NumField() {
		x, y := a.Field(i), b.Field(i)
		var same bool
		switch x.Kind() {
		case reflect.Map, reflect.Pointer, reflect.Slice:
			same = x.Pointer() == y.Pointer()
		case reflect.Struct:
			same = differs(x, y) == ""
		case reflect.String:
			same = x.String() == y.String()
		default:
			same = x.Equal(y)
		}
		if !same {
			return a.Type().Field(i).Name
		}
	}
	return ""
}
