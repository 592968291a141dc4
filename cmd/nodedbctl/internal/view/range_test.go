package view

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

// TestUnknownIsNotZero: what no replica has told is null, what is empty is 0.
func TestUnknownIsNotZero(t *testing.T) {
	for _, c := range []struct {
		r    *adminpb.Range
		want string
	}{
		{&adminpb.Range{Id: 7, SizeUnknown: true, LoadUnknown: true}, `"bytes":null,"liveBytes":null,"deadBytes":null,"collected":null,"keys":null,"readsPerSec":null,"writesPerSec":null`},
		{&adminpb.Range{Id: 7}, `"bytes":0,"liveBytes":0,"deadBytes":0,"collected":null,"keys":0,"readsPerSec":0,"writesPerSec":0`},
		{&adminpb.Range{Id: 7, Bytes: 5, LiveBytes: 3, DeadBytes: 2, Keys: 1}, `"bytes":5,"liveBytes":3,"deadBytes":2,"collected":null,"keys":1,`},
	} {
		b, err := json.Marshal(NewRange(c.r))
		if err != nil || !strings.Contains(string(b), c.want) {
			t.Errorf("%s %v, want %s in it", b, err, c.want)
		}
	}
}
