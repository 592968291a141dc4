package agenttest

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestRowsNameTheirWriter: every version that SQL commits has the number of its
// user, who keeps it; the next user of a name has another. It is read from the
// store of a node that has stopped.
func TestRowsNameTheirWriter(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Replicas: 1, Ranges: 4})
	n := c.Node(1)
	psql(t, n, "CREATE TABLE letters (id int8 PRIMARY KEY, text text)")
	psql(t, n, "GRANT SELECT, INSERT, UPDATE, DELETE ON letters TO PUBLIC")
	psql(t, n, "CREATE USER amy PASSWORD '"+planted+"'")
	psql(t, n, "CREATE USER ben PASSWORD '"+planted+"'")
	run := func(url string, statements ...string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		for _, s := range statements {
			if _, err := conn.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	run(n.URL(), "INSERT INTO letters VALUES (1, 'by root')")
	run(as(n, "amy", planted), "INSERT INTO letters VALUES (2, 'by amy'), (3, 'by amy')")
	run(as(n, "ben", planted), "BEGIN", "UPDATE letters SET text = 'by the first ben' WHERE id = 2", "COMMIT", "DELETE FROM letters WHERE id = 3")
	psql(t, n, "ALTER USER amy CONNECTION LIMIT 7")
	run(as(n, "amy", planted), "INSERT INTO letters VALUES (4, 'by amy')")
	psql(t, n, "DROP USER ben")
	psql(t, n, "CREATE USER ben PASSWORD '"+planted+"'")
	run(as(n, "ben", planted), "INSERT INTO letters VALUES (5, 'by the second ben')")
	if code := n.Terminate(); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}

	e, err := storage.Open(storage.Options{Dir: filepath.Join(n.Dir, "store"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m := metastate.New()
	if err := m.Reload(e, nil); err != nil {
		t.Fatal(err)
	}
	users := m.View().Users
	found := map[string][]cluster.WriterID{}
	for _, v := range storedVersions(t, e) {
		text := "deleted"
		for _, x := range []string{"by root", "by amy", "by the first ben", "by the second ben"} {
			if bytes.Contains(v.Value, []byte(x)) {
				text = x
			}
		}
		found[text] = append(found[text], v.Writer)
	}
	amy, ben, root := users["amy"].Number, users["ben"].Number, users["root"].Number
	first := found["deleted"]
	if len(first) != 1 || len(found["by amy"]) != 3 || amy < cluster.FirstUser || root < cluster.FirstUser {
		t.Fatalf("users %+v, versions by %v", users, found)
	}
	for text, want := range map[string]cluster.WriterID{"by root": root, "by amy": amy, "by the first ben": first[0], "by the second ben": ben} {
		if got := found[text]; len(got) == 0 || slices.ContainsFunc(got, func(w cluster.WriterID) bool { return w != want }) {
			t.Errorf("what is %s was written by %v, want %d", text, got, want)
		}
	}
	if all := []cluster.WriterID{root, amy, first[0], ben}; slices.Contains(all, 0) || amy == ben || ben == first[0] || amy == first[0] || root == amy {
		t.Errorf("root, amy, the first and the second ben have the numbers %v", all)
	}
}

// storedVersions reads every version of every row.
func storedVersions(t *testing.T, r storage.Reader) (out []datastate.Version) {
	t.Helper()
	it, err := r.NewIter([]byte{4}, []byte{5})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		row, ts, err := keys.DecodeVersion(it.Key())
		if err != nil {
			t.Fatal(err)
		}
		v, err := datastate.Read(r, row, ts)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}
