package render

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

func TestHumanFigures(t *testing.T) {
	for want, got := range map[string]string{
		"0 B": Bytes(0), "1023 B": Bytes(1023), "1.0 KiB": Bytes(1024), "24.1 MiB": Bytes(25270682), "103.3 GiB": Bytes(110917320499),
		"0": Number(0), "0.4": Number(0.4), "3": Number(3), "88": Number(88), "12.5k": Number(12500), "2.0M": Number(2e6),
		"0.2s": Seconds(0.2), "41s": Seconds(41), "4m41s": Seconds(281), "15m": Seconds(900), "3h2m": Seconds(10920), "12d": Duration(12 * 24 * time.Hour),
		"0s": Duration(-time.Second), "n4": Node(4), "–": Node(0), "n1,n2": Nodes([]uint32{1, 2}, ","), "1 node": Plural(1, "node"), "2 nodes": Plural(2, "node"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

type thing struct {
	Name string   `json:"name"`
	Size int      `json:"size"`
	Tags []string `json:"tags"`
}

func things() List[thing] {
	return List[thing]{
		Kind: "ThingList", Items: []thing{{"b", 10, []string{"x"}}, {"a", 9, nil}, {"c", 100, []string{"x", "y"}}}, Name: func(t thing) string { return t.Name },
		Columns: []Column[thing]{
			{Head: "NAME", Key: "name", Cell: func(t thing) string { return t.Name }},
			{Head: "SIZE", Key: "size", Right: true, Cell: func(t thing) string { return Bytes(uint64(t.Size)) }},
		},
	}
}

func only(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func TestSortAndFilter(t *testing.T) {
	for _, c := range []struct{ sort, filter, want string }{
		{"", "", "b a c"}, {"name", "", "a b c"}, {"-size", "", "c b a"}, {"size", "size>9", "b c"}, {"", "tags=x", "b"},
		{"", "tags~y", "c"}, {"", "name!=a,size<=10", "b"}, {"", "NAME!~[ab]", "c"}, {"", "size>=100", "c"}, {"", "size<10", "a"},
	} {
		var out bytes.Buffer
		l := things()
		if err := l.Print(&term.Streams{Out: &out}, Options{Format: "template={{.name}}", Sort: c.sort, Filter: only(c.filter)}); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if got := string(bytes.Join(bytes.Fields(out.Bytes()), []byte(" "))); got != c.want {
			t.Errorf("sort %q, filter %q: got %q, want %q", c.sort, c.filter, got, c.want)
		}
	}
	for _, o := range []Options{{Sort: "nope"}, {Filter: []string{"nope=1"}}, {Columns: []string{"nope"}}, {Format: "template={{.nope}}"}} {
		l := things()
		if err := l.Print(&term.Streams{Out: &bytes.Buffer{}}, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// TestJSONShape holds the envelope that scripts rely on.
func TestJSONShape(t *testing.T) {
	var out bytes.Buffer
	l := things()
	l.Meta = Meta{Cluster: "c", AsOf: AsOf{MetaIndex: 7, Time: time.Unix(0, 0).UTC()}, Complete: true, Missing: []uint32{}}
	if err := l.Print(&term.Streams{Out: &out}, Options{Format: "json"}); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, out.Bytes()); err != nil {
		t.Fatal(err)
	}
	want := `{"apiVersion":"nodedb.admin/v1","kind":"ThingList","meta":{"cluster":"c","asOf":{"metaIndex":7,"time":"1970-01-01T00:00:00Z"},"complete":true,"missing":[]},"items":[{"name":"b","size":10,"tags":["x"]},{"name":"a","size":9,"tags":null},{"name":"c","size":100,"tags":["x","y"]}]}`
	if compact.String() != want {
		t.Errorf("got  %s\nwant %s", compact.String(), want)
	}
	out.Reset()
	if err := Line(&out, "Thing", thing{Name: "a"}); err != nil || out.String() != `{"apiVersion":"nodedb.admin/v1","kind":"Thing","name":"a","size":0,"tags":null}`+"\n" {
		t.Errorf("one line: got %s %v", out.String(), err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"a=b", "size>=10,name!~^a", "=", ",,", "a~(", "a>b>c", "tags=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if (Options{Filter: []string{s}}).Check() != nil {
			return
		}
		l := things()
		_ = l.Print(&term.Streams{Out: &bytes.Buffer{}}, Options{Filter: []string{s}, Format: "name"}) // an unknown field is an error
	})
}
