package audit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

func TestWhat(t *testing.T) {
	for _, tt := range []struct{ parameters, why, want string }{
		{`{"setCordon":{"node":3,"cordon":true,"reason":""}}`, "", "cordon=true node=3"},
		{`{"setCordon":{"node":3}}`, "not allowed", "not allowed"},
		{`{"batch":[{"setCordon":{"node":3}},{"dropUser":{"name":"bob"}}]}`, "", "node=3; name=bob"},
		{`{"createOperation":{"operation":{"spec":{"kind":"drain","nodes":[3,4]},"id":"op-1","bytes":12345678901234567890}}}`, "",
			"operation.bytes=12345678901234567890 operation.id=op-1 operation.spec.kind=drai…"},
		{`{"bytes":4249,"sha256":"abc"}`, "", "bytes=4249 sha256=abc"},
		{`null`, "", "–"}, {``, "", "–"}, {`{}`, "", "–"},
	} {
		got := what(view.AuditRecord{Why: tt.why, Parameters: json.RawMessage(tt.parameters)})
		if got != tt.want || strings.ContainsAny(got, `{}"`) {
			t.Errorf("%s: got %q, want %q", tt.parameters, got, tt.want)
		}
	}
}

func TestDropped(t *testing.T) {
	got := dropped(&view.AuditProof{Chains: []view.AuditChain{{Class: "changes", First: 1, Last: 9}, {Class: "strangers", Node: 2, First: 101, Last: 150}}})
	if want := "        strangers of n2: the oldest 100 were dropped by the quota, 50 are kept\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
