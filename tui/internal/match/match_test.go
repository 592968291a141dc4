package match

import (
	"slices"
	"testing"
)

type row struct {
	name, state string
	load        float64
}

var fields = Fields[row]{
	Text:    func(b []byte, r row) []byte { return append(append(append(b, r.name...), ' '), r.state...) },
	Words:   map[string]func(row) string{"state": func(r row) string { return r.state }},
	Whole:   map[string]func(row, string) bool{"name": func(r row, v string) bool { return r.name == v }},
	Numbers: map[string]func(row) float64{"load": func(r row) float64 { return r.load }},
}

var rows = []row{{"n1", "ready", 10}, {"n10", "Dead", 0}, {"n2", "draining", 70.5}}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", []string{"n1", "n10", "n2"}},
		{"n1", []string{"n1", "n10"}},
		{"name:n1", []string{"n1"}},
		{"state:d", []string{"n10", "n2"}},
		{"STATE:DEAD", []string{"n10"}},
		{"-state:d", []string{"n1"}},
		{"state:d load>50", []string{"n2"}},
		{"load<50", []string{"n1", "n10"}},
		{"load=10", []string{"n1"}},
		{"load>", []string{"n1", "n10", "n2"}}, // still being typed
		{"name:", []string{"n1", "n10", "n2"}},
		{"ead", []string{"n1", "n10"}},
		{"-", nil},
	} {
		test, err := fields.Parse(c.query)
		if err != nil {
			t.Errorf("%q: %v", c.query, err)
			continue
		}
		var got []string
		for _, r := range rows {
			if test == nil || test(r) {
				got = append(got, r.name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %v, want %v", c.query, got, c.want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for query, want := range map[string]string{"zone:a": "no field zone:", "load>x": `"x" is not a number`, "state>3": "no field state>", "load:3": "no field load:"} {
		if _, err := fields.Parse(query); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", query, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("state:dead load>3 -n1")
	f.Fuzz(func(_ *testing.T, query string) {
		if test, err := fields.Parse(query); err == nil && test != nil {
			test(rows[0])
		}
	})
}
