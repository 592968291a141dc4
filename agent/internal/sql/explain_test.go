package sql

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

func TestExplainAnalyzeRunsTheStatement(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table t (id int8 primary key, v int8)")
	got := c.run("explain analyze insert into t values (1, 1), (2, 2)")
	if !strings.Contains(got, "Insert into t\n") || !strings.Contains(got, "Rows: 2\n") {
		t.Errorf("got %s", got)
	}
	got = c.run("explain (analyze, costs off) select v from t where id = 1")
	if !regexp.MustCompile(`(?s)^Key lookup in t\n.*Rows: 1\nTime: [0-9.]+ ms\nEXPLAIN$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	c.want("Full scan of t\nEXPLAIN", "explain (analyze off) select v from t")
}

// TestRowsByKey: what is said of several columns of a key at once leads to rows, too.
func TestRowsByKey(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table k (a int4, b int4, c text, d int4, primary key (a, b))")
	c.run("create index k_cd on k (c, d)")
	for condition, want := range map[string]string{
		"(a, b) in ((1, 2), (3, 4))":               "Key lookup in k",
		"(b, a) = (1, 2)":                          "Key lookup in k",
		"(a = 1 and b = 2) or (b = 3 and a = 4)":   "Key lookup in k",
		"a = 5 and (b = 2 or b = 3)":               "Key lookup in k",
		"a = 5 and (b, c) in ((2, 'x'), (3, 'y'))": "Key lookup in k",
		"(a, b) > (5, 6)":                          "Range scan of k",
		"a = 1 or a = 2":                           "Range scan of k",
		"(c, d) in (('x', 1), ('y', 2))":           "Index Cond: ((c, d) = ANY (('x'::text, 1), ('y'::text, 2)))",
		"(c, d) > ('x', 1) and c < 'z'":            "Index Cond: ((c >= 'x'::text) AND (c < 'z'::text))",
		"(a = 1 and b = 2) or c = 'x'":             "Full scan of k",
		"(a, b) not in ((1, 2), (3, 4))":           "Full scan of k",
		"(a + 1, b) in ((1, 2), (3, 4))":           "Full scan of k",
	} {
		if got := c.run("explain select * from k where " + condition); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s, want %s", condition, got, want)
		}
	}
}

func TestExplainAsJSON(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table t (id int8 primary key, v int8)")
	c.run("create index on t (v)")
	c.run("insert into t values (1, 1), (2, 2)")
	document := func(sql string) (out map[string]any) {
		t.Helper()
		var all []map[string]any
		text := strings.TrimSuffix(c.run(sql), "\nEXPLAIN")
		if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 {
			t.Fatalf("%s: %v in %s", sql, err, text)
		}
		return all[0]
	}
	plan := document("explain (format json) select id from t where v = 2 order by id limit 1")["Plan"].(map[string]any) //nolint:forcetypeassert // the test fails
	var kinds []string
	for plan != nil {
		kinds = append(kinds, plan["Node Type"].(string)) //nolint:forcetypeassert // the test fails
		inputs, _ := plan["Plans"].([]any)
		if len(inputs) == 0 {
			break
		}
		plan = inputs[0].(map[string]any) //nolint:forcetypeassert // the test fails
	}
	if got := strings.Join(kinds, ", "); got != "Limit, Index Only Scan" || plan["Index Name"] != "t_v_idx" || plan["Index Cond"] != "(v = 2)" {
		t.Errorf("got %s, %v", got, plan)
	}
	c.run("prepare two as select v from t where id = $1")
	all := document("explain (analyze, buffers, timing, format json) execute two(2)")
	if got := all["Plan"].(map[string]any)["Actual Rows"]; got != 1.0 { //nolint:forcetypeassert // the test fails
		t.Errorf("%v rows", got)
	}
}

func TestAnalysisAsJSON(t *testing.T) {
	a := &measured{rows: 3, took: 1500 * time.Microsecond, reads: []kv.RangeRead{
		{Range: 2, Node: 1, Why: "strong", Rows: 2, Bytes: 20, Took: time.Millisecond},
		{Range: 3, Node: 4, Why: "bounded", Follower: true, Rows: 1, Bytes: 10, Took: 250 * time.Microsecond},
		{Range: 4, Node: 1, Why: "strong", Rows: 5, Bytes: 50, Took: time.Millisecond},
	}}
	got, err := explainedJSON(&queryplan.Step{Type: "Full Scan"}, a)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(got)); err != nil {
		t.Fatal(err)
	}
	const want = `[{"Plan":{"Node Type":"Full Scan","Actual Rows":3},` +
		`"Nodes":[{"Node":"n1","Rows":7,"Bytes":70},{"Node":"n4","Rows":1,"Bytes":10}],` +
		`"Ranges":[{"Range":"r2","Node":"n1","Replica":"leader","Reason":"strong","Rows":2,"Bytes":20,"Time":1},` +
		`{"Range":"r3","Node":"n4","Replica":"follower","Reason":"bounded","Rows":1,"Bytes":10,"Time":0.25},` +
		`{"Range":"r4","Node":"n1","Replica":"leader","Reason":"strong","Rows":5,"Bytes":50,"Time":1}],"Execution Time":1.5}]`
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
}

func TestExplainOptions(t *testing.T) {
	c := newFixture(t, nil).open()
	for _, s := range []struct{ sql, code string }{
		{"explain (speed) select 1", "42601"},
		{"explain (analyze perhaps) select 1", "42601"},
		{"explain (format binary) select 1", "22023"},
		{"explain (timing) select 1", "22023"},
		{"explain (format xml) select 1", "0A000"},
		{"explain create table t as select 1", "0A000"},
	} {
		c.refused(s.sql, s.code)
	}
	c.want("Result\nEXPLAIN", "explain (verbose, costs off, format text, summary 0) select 1")
}
