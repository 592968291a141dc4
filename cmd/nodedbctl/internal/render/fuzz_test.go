package render

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

type fuzzed struct {
	ID   uint32   `json:"id"`
	Name string   `json:"name"`
	On   []uint32 `json:"on"`
}

// FuzzOptions writes a list under any options: whatever a person types, it is an
// answer or a usage error, never a crash, and a filter never adds what was not
// there.
func FuzzOptions(f *testing.F) {
	for _, s := range [][4]string{
		{"table", "id,name", "-id", "name~a"}, {"json", "", "on", "id>=2,on!=1"}, {"csv", "NAME", "", "name!~("},
		{"template={{.name}}", "", "", "id<x"}, {"jsonl", "", "nope", "=="}, {"yaml", ",", "-", "a=b=c"}, {"name", "", "", "~"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, format, columns, sort, filter string) {
		o := Options{Format: format, Sort: sort, Filter: only(filter)}
		if columns != "" {
			o.Columns = strings.Split(columns, ",")
		}
		if o.Check() != nil || strings.Contains(format, "range") {
			return // a template may loop for long
		}
		l := List[fuzzed]{
			Kind: "ThingList", Items: []fuzzed{{1, "a", []uint32{1, 2}}, {2, "b", nil}, {30, "a,b", []uint32{3}}}, Name: func(x fuzzed) string { return x.Name },
			Columns: []Column[fuzzed]{
				{Head: "ID", Key: "id", Right: true, Cell: func(x fuzzed) string { return x.Name }},
				{Head: "NAME", Key: "name", Cell: func(x fuzzed) string { return x.Name }},
				{Head: "ON", Wide: true, Cell: func(x fuzzed) string { return Nodes(x.On, ",") }},
			},
		}
		var out, said bytes.Buffer
		err := l.Print(&term.Streams{Out: &out, Err: &said}, o)
		if err == nil && format == "name" && strings.Count(out.String(), "\n") > len(l.Items) {
			t.Errorf("%d items gave %q", len(l.Items), out.String())
		}
		one := One[fuzzed]{Kind: "Thing", Item: l.Items[0], Text: func(io.Writer) error { return nil }}
		_ = one.Print(&term.Streams{Out: &out, Err: &said}, o) // it may refuse; it must not fall over
	})
}
