package sql

import (
	"os"
	"strings"
	"testing"
)

// TestJSONBCorpus: operators and functions of jsonb give on both paths what PostgreSQL 15
// gave when testdata/jsonb.txt was made.
func TestJSONBCorpus(t *testing.T) {
	runExpressions(t, "testdata/jsonb.txt", 1200)
}

// TestJSONPathCorpus: so do those of jsonpath; package jsonb has more of them.
func TestJSONPathCorpus(t *testing.T) {
	runExpressions(t, "testdata/jsonpath.txt", 100)
}

// Sets that functions of jsonb give, in FROM and in the list, keep values as they are.
func TestJSONBSets(t *testing.T) {
	_, c := slowFixture(t)
	c.want("1\n2.50\n{\"a\": [1]}\nSELECT 3", `select * from jsonb_array_elements('[1, 2.50, {"a": [1]}]')`)
	c.want("a\nNULL\n2.50\nSELECT 3", `select value from jsonb_array_elements_text('["a", null, 2.50]')`)
	c.want("b\naa\nSELECT 2", `select * from jsonb_object_keys('{"aa": 1, "b": 2}')`)
	c.want("2\n3\nSELECT 2", `select jsonb_path_query('{"a": [1, 2, 3]}', '$.a[*] ? (@ > 1)')`)
	c.want("2.50|1\nSELECT 1", `select q, x from (values (1)) v(x), jsonb_path_query('[2.50]', '$[*]') q`)
	c.want("22023 cannot extract elements from an object", `select jsonb_array_elements('{}')`)
	c.run("create table j (id int4 primary key, v jsonb)")
	c.run(`insert into j values (1, '10'), (2, '9'), (3, '"a"'), (4, '[]'), (5, '[1]'), (6, '{}'), (7, 'true'), (8, 'null'), (9, '1.0'), (10, '1')`)
	const order = "4\n8\n3\n9\n10\n2\n1\n7\n5\n6\nSELECT 10"
	c.want(order, "select id from j order by v, id")
	c.want(order, "select id from (select * from j) y order by v, id")
	c.want("9\n10\nSELECT 2", "select id from (select * from j) y where v = '1' order by id")
	c.want("9\n10\nSELECT 2", "select id from j where v = '1' order by id")
	c.want("42883 function min(jsonb) does not exist", "select min(v), max(v) from j")
}

// runExpressions compares the expressions of a file with what is written below them, by
// the fast path and by the slow one.
func runExpressions(t *testing.T, file string, least int) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := newFixture(t, startDuck(t)).open()
	c.run("create table one (x int4 primary key)")
	c.run("insert into one values (1)")
	expressions := 0
	var expression string
	var want []string
	check := func() {
		if expression == "" {
			return
		}
		expressions++
		for _, from := range []string{"", " from (select x from one) y"} {
			got := c.run("select " + expression + from)
			if rest, ok := strings.CutPrefix(strings.Join(want, "\n"), "ERROR "); ok {
				if !strings.HasPrefix(got, rest) {
					t.Errorf("select %s%s\n got: %s\nwant: %s", expression, from, got, rest)
				}
				continue
			}
			rows := strings.Split(got, "\n")
			if got = strings.Join(rows[:len(rows)-1], "\n"); got != strings.Join(want, "\n") {
				t.Errorf("select %s%s\n got: %s\nwant: %s", expression, from, strings.Join(rows, "\n      "), strings.Join(want, "\n      "))
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch row, ok := strings.CutPrefix(line, "    "); {
		case strings.HasPrefix(line, "#"):
		case ok:
			want = append(want, row)
		default:
			check()
			expression, want = line, nil
		}
	}
	check()
	if expressions < least {
		t.Errorf("the corpus has %d expressions only", expressions)
	}
}
