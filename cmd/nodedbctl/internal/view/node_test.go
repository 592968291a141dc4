package view

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

// TestANodeThatCountsHasNoSum: while one of its replicas is being counted, what the
// others hold together is nobody's figure.
func TestANodeThatCountsHasNoSum(t *testing.T) {
	for _, c := range []struct {
		n    *adminpb.Node
		want string
	}{
		{&adminpb.Node{Id: 7, LiveBytes: 3, DeadBytes: 2}, `"liveBytes":null,"deadBytes":null`},
		{&adminpb.Node{Id: 7, Reported: true, LiveBytes: 3, DeadBytes: 2, ReplicasUncounted: 1}, `"liveBytes":null,"deadBytes":null`},
		{&adminpb.Node{Id: 7, Reported: true, LiveBytes: 3, DeadBytes: 2}, `"liveBytes":3,"deadBytes":2`},
		{&adminpb.Node{Id: 7, Reported: true}, `"liveBytes":0,"deadBytes":0`},
	} {
		b, err := json.Marshal(NewNode(c.n))
		if err != nil || !strings.Contains(string(b), c.want) {
			t.Errorf("%s %v, want %s in it", b, err, c.want)
		}
	}
}
