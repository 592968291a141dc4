package sql

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// placeholders are $1 to $n in a form, with commas between.
func placeholders(n int, form string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		if i > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

// TestManyParameters: as many parameters as the protocol can count, wherever lists of
// them are written. None may take time that grows by their square: it is logged.
func TestManyParameters(t *testing.T) {
	const most = 65535
	_, c := slowFixture(t)
	c.run("create table par (a int primary key, b text)")
	numbers := make([]string, most)
	pairs := make([]string, 0, most)
	var rows, cast strings.Builder
	for i := range numbers {
		numbers[i] = fmt.Sprint(i + 1)
	}
	for i := range most / 2 {
		if i > 0 {
			rows.WriteByte(',')
			cast.WriteByte(',')
		}
		fmt.Fprintf(&rows, "($%d,$%d)", 2*i+1, 2*i+2)
		fmt.Fprintf(&cast, "($%d::int,$%d::text)", 2*i+1, 2*i+2)
		pairs = append(pairs, fmt.Sprint(i+1), fmt.Sprint("v", i))
	}
	list := placeholders(most, "$%d")
	for _, s := range []struct {
		name, want, text string
		params           []string
	}{
		{"insert", "INSERT 0 32767", "insert into par values " + rows.String(), pairs},
		{"in", "32767\nSELECT 1", "select count(*) from par where a in (" + list + ")", numbers},
		{"not in", "0\nSELECT 1", "select count(*) from par where a not in (" + list + ")", numbers},
		{"any", "32767\nSELECT 1", "select count(*) from par where a = any(array[" + placeholders(most, "$%d::int") + "])", numbers},
		{"values", "", "values " + placeholders(most, "($%d::text)"), numbers},
		{"unnest", "65535\nSELECT 1", "select count(*) from unnest(array[" + placeholders(most, "$%d::int") + "]) v(x)", numbers},
		{"or", "20000\nSELECT 1", "select count(*) from par where " + strings.ReplaceAll(placeholders(20000, "a = $%d"), ",", " or "), numbers[:20000]},
		{"insert select", "INSERT 0 65535", "insert into par select x + 100000, 'a' from (values " + placeholders(most, "($%d::int)") + ") v(x)", numbers},
		{"update from", "UPDATE 32767", "update par set b = v.y from (values " + cast.String() + ") v(x, y) where v.x = par.a", pairs},
		{"rows in", "32767\nSELECT 1", "select count(*) from par where (a, b) in (" + rows.String() + ")", pairs},
	} {
		begun := time.Now()
		got := c.run(s.text, s.params...)
		if s.want == "" {
			got = got[max(0, len(got)-30):]
		} else if got != s.want {
			t.Errorf("%s: got %.200s, want %s", s.name, got, s.want)
		}
		t.Logf("%-14s %6.2f s: %.60q", s.name, time.Since(begun).Seconds(), got)
	}
}
