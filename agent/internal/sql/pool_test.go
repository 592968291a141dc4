package sql

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/metastate"
)

func TestPoolStatements(t *testing.T) {
	f := newFixture(t, nil)
	o := &fakeOperator{}
	f.server.cfg.Operator = o
	for _, role := range []string{"viewer", "operator"} {
		if _, err := f.meta.Propose(t.Context(), metastate.Command{PutUser: &metastate.PutUser{Name: role, AdminRole: role}}); err != nil {
			t.Fatal(err)
		}
	}
	var notices []string
	c := f.open(func(o *SessionOptions) {
		o.User = "operator"
		o.OnNotice = func(e *Error) { notices = append(notices, e.Message) }
	})
	c.want("CREATE POOL", "CREATE POOL hot WITH (replicas = 5, ranges = 4, constraints = '+zone=a', prefer_leader = 'zone=a')")
	c.want("ALTER POOL", "ALTER POOL default SET replicas = 5, constraints = '-zone=c'")
	c.want("ALTER POOL", "alter pool hot rename to warm")
	c.want("DROP POOL", "DROP POOL hot")
	c.want("CREATE POOL", "CREATE POOL IF NOT EXISTS default WITH (replicas = 5)")
	c.want("DROP POOL", "DROP POOL IF EXISTS nothing")
	asked := strings.ReplaceAll(strings.Join(o.asked, "; "), " by operator via sql", "")
	if want := "pool-create hot 5 +zone=a zone=a 4; pool-alter default 5 -zone=c  0; rename pool hot to warm by operator; pool-drop hot"; asked != want {
		t.Errorf("asked for\n%q, want\n%q", asked, want)
	}
	said := strings.Join(notices, "; ")
	for _, want := range []string{"op-1 makes the pool", "waits until 8 ranges have a leader", "op-1 moves the replicas", "op-1 removes its replicas", `pool "default" already exists, skipping`, `pool "nothing" does not exist, skipping`} {
		if !strings.Contains(said, want) {
			t.Errorf("no notice says %q: %q", want, said)
		}
	}
	c.want("default|ready|3|||16|16|0|\nSHOW", "SHOW POOLS")
	for text, lines := range map[string]int{
		"SHOW RANGES": 18, "SHOW RANGES FOR POOL default": 17, "SHOW ROUTING": 17, "SHOW ROUTING FOR POOL default": 17,
	} {
		if got := strings.Count(c.run(text), "\n") + 1; got != lines {
			t.Errorf("%s shows %d lines, want %d", text, got, lines)
		}
	}
	for text, code := range map[string]string{
		"CREATE POOL": "42601", "CREATE POOL hot WITH replicas = 5": "42601", "CREATE POOL hot WITH (replicas 5)": "42601", "ALTER POOL hot": "42601",
		"ALTER POOL hot SET": "42601", "DROP POOL a b": "42601", "CREATE POOL hot WITH (replicas = 5": "42601", "CREATE POOL hot; CREATE POOL cold": "42601", "CREATE POOL IF EXISTS hot": "42601", "CREATE POOL hot WITH (replicas=-1)": "22023",
		"CREATE POOL hot WITH (copies = 5)": "22023", "CREATE POOL hot WITH (replicas = 'many')": "22023", "CREATE POOL hot WITH (replicas = 4)": "22023",
		"CREATE POOL hot WITH (constraints = 'zone=a')": "22023", "CREATE POOL hot WITH (ranges = 0)": "22023", "ALTER POOL default SET ranges = 9": "22023",
		"CREATE POOL hot WITH (replicas = 5, replicas = 3)": "22023", "ALTER POOL cold SET replicas = 3": "42704", "SHOW POOL cold": "42704",
		"SHOW RANGES FOR POOL cold": "42704", "SHOW ROUTING FOR POOL cold": "42704", "SHOW RANGES FOR x": "42601",
		"CREATE COLLECTION x (id int8 PRIMARY KEY) WITH (pool = 'cold')":               "42704",
		"CREATE TABLE x (id int8 PRIMARY KEY) WITH (pool = default, pool = 'default')": "22023", "CREATE TABLE x (id int8 PRIMARY KEY) WITH (pool = 3)": "22023",
		"CREATE TABLE x (id int8 PRIMARY KEY) WITH (fillfactor = 7)": "22023", "CREATE TABLE x (id int8 PRIMARY KEY) WITH (fill = 70)": "22023", "ALTER TABLE x SET (pool = 'cold')": "42P01",
	} {
		c.refused(text, code)
	}
	v := f.open(func(o *SessionOptions) { o.User = "viewer" })
	v.refused("CREATE POOL hot", "42501")
	v.refused("CREATE POOL IF NOT EXISTS default", "42501")
	v.refused("DROP POOL hot", "42501")
	c.want("CREATE COLLECTION", "CREATE COLLECTION x (id int8 PRIMARY KEY) WITH (pool = 'default')")
	c.want("CREATE TABLE", "CREATE TABLE y (id int8 PRIMARY KEY) WITH (pool = 'default')")
}
