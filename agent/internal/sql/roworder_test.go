package sql

import (
	"fmt"
	"strings"
	"testing"
)

// Nobody asks for it, and everybody who looks at a table expects it: rows of a table without
// a key come as they were written, and few rows of another by their keys.
func TestRowsComeInOrder(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table heap (a int, b text)")
	var values, want []string
	for i := range 1500 { // more than what is held back
		n := i * 7919 % 1500
		values, want = append(values, fmt.Sprintf("(%d, 'x')", n)), append(want, fmt.Sprint(n))
	}
	c.run("insert into heap values " + strings.Join(values[:900], ", "))
	c.run("begin")
	c.run("insert into heap values " + strings.Join(values[900:], ", "))
	all := strings.Join(want, "\n")
	c.want(all+"\nSELECT 1500", "select a from heap")
	c.run("commit")
	c.want(all+"\nSELECT 1500", "select a from heap")
	c.want(strings.Join(want[:3], "\n")+"\nSELECT 3", "select a from heap limit 3")
	c.want(strings.Join(want[3:5], "\n")+"\nSELECT 2", "select a from heap limit 2 offset 3")
	some := []string{}
	for _, n := range want {
		if len(n) == 2 {
			some = append(some, n)
		}
	}
	c.want(strings.Join(some, "\n")+"\nSELECT 90", "select a from heap where a >= 10 and a < 100")

	c.run("create table keyed (id int primary key, b int)")
	c.run("create index on keyed (b)")
	c.run("insert into keyed select 100 - a, 0 from heap where a < 20")
	want = want[:0]
	for id := 81; id <= 100; id++ {
		want = append(want, fmt.Sprint(id))
	}
	for _, sql := range []string{"select id from keyed", "select id from keyed where b = 0", "select id from keyed where b + 1 = 1"} {
		c.want(strings.Join(want, "\n")+"\nSELECT 20", sql)
	}
	c.want("85\n90\n95\nSELECT 3", "select id from keyed where id in (95, 85, 90)")
}
