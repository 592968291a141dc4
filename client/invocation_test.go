package client

import (
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func TestInvocationCompletesCommands(t *testing.T) {
	v := Invocation{"--context", "my tour", "--addr", "h:1,h:2"}
	for text, want := range map[string]string{
		"nodedbctl drain n3": "nodedbctl --context 'my tour' --addr h:1,h:2 drain n3",
		"wait, then: nodedbctl nodes (or `nodedbctl ranges`)": "wait, then: nodedbctl --context 'my tour' --addr h:1,h:2 nodes (or `nodedbctl --context 'my tour' --addr h:1,h:2 ranges`)",
		"nodedbctl --context other status":                    "nodedbctl --context other status",
		"nodedbctl --from F status":                           "nodedbctl --from F status",
		"nodedb-agent start":                                  "nodedb-agent start",
		"nodedbctl":                                           "nodedbctl",
		"nodedbctl v1.0.0":                                    "nodedbctl v1.0.0",
		"nodedbctl nodes --help":                              "nodedbctl nodes --help",
		"":                                                    "",
	} {
		got := v.Complete(text)
		if got != want {
			t.Errorf("%q: got %q", text, got)
		}
		if again := v.Complete(got); again != got {
			t.Errorf("%q: completed twice: %q", text, again)
		}
	}
	if got := Invocation(nil).Complete("nodedbctl nodes"); got != "nodedbctl nodes" {
		t.Errorf("without flags: got %q", got)
	}
	if got := ShellWord("it's"); got != `'it'\''s'` {
		t.Errorf("quoted: got %s", got)
	}
}

// TestAnswersAreCompleted: what the cluster says to run is run on the same cluster.
func TestAnswersAreCompleted(t *testing.T) {
	v := Invocation{"--context", "tour"}
	status := &adminpb.GetStatusResponse{Problems: []*adminpb.Problem{{Text: "nodedbctl x", Command: "nodedbctl nodes show n4"}}}
	v.fill(status.ProtoReflect())
	if p := status.GetProblems()[0]; p.GetCommand() != "nodedbctl --context tour nodes show n4" || p.GetText() != "nodedbctl x" {
		t.Errorf("a problem: got %v", p)
	}
	watch := &adminpb.WatchResponse{Operations: []*adminpb.Operation{{Next: []*adminpb.Fix{{Command: "nodedbctl ops resume op-1"}}}}}
	v.fill(watch.ProtoReflect())
	if got := watch.GetOperations()[0].GetNext()[0].GetCommand(); got != "nodedbctl --context tour ops resume op-1" {
		t.Errorf("what comes next: got %q", got)
	}
}
