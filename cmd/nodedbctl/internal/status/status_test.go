package status

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func TestProblemsStayReadable(t *testing.T) {
	long := "8 ranges with fewer live voters than the 3 of pool default: 2 nodes, and an even number of voters outlives no more losses"
	ps := []*adminpb.Problem{
		{Text: "n4 is dead", Command: "nodedbctl nodes show n4"}, {Text: long, Command: "nodedbctl join-token create"},
		{Text: "the certificate of n1 expires", Command: "nodedbctl cert renew n1"},
	}
	for columns, want := range map[int]string{
		100: `problems   1. n4 is dead                        -> nodedbctl nodes show n4
           2. 8 ranges with fewer live voters than the 3 of pool default: 2 nodes, and an even
              number of voters outlives no more losses
              -> nodedbctl join-token create
           3. the certificate of n1 expires     -> nodedbctl cert renew n1
`,
		60: `problems   1. n4 is dead     -> nodedbctl nodes show n4
           2. 8 ranges with fewer live voters than the 3 of
              pool default: 2 nodes, and an even number of
              voters outlives no more losses
              -> nodedbctl join-token create
           3. the certificate of n1 expires
              -> nodedbctl cert renew n1
`,
	} {
		var b strings.Builder
		writeProblems(&b, ps, columns)
		if b.String() != want {
			t.Errorf("%d columns:\n%s\nwant\n%s", columns, b.String(), want)
		}
	}
}
