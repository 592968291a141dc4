package oracle

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest"
)

var (
	update = flag.Bool("update", false, "have PostgreSQL (ORACLE_PG) answer anew")
	mark   = flag.Bool("mark", false, "write anew what NodeDB answers otherwise")
)

// run is one way in which a topic is run.
type run struct {
	name     string
	by       Protocol
	settings string
}

var (
	runs      = []run{{"simple", Simple, ""}, {"extended", Extended, ""}, {"engine", Extended, "set nodedb.fast_path = off"}}
	describes = []run{{"describe", Described, ""}, {"engine", Described, "set nodedb.fast_path = off"}}
)

// TestCorpus: what PostgreSQL answered, NodeDB answers, or refuses where the corpus says so.
func TestCorpus(t *testing.T) { holdAll(t, "testdata/corpus/*.txt", runs) }

// TestDescriptions: what PostgreSQL says of parameters and columns before a statement runs,
// NodeDB says.
func TestDescriptions(t *testing.T) { holdAll(t, "testdata/described/*.txt", describes) }

func holdAll(t *testing.T, pattern string, runs []run) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	if *update {
		for _, path := range paths {
			answerAnew(t, path, runs[0].by)
		}
		return
	}
	c := agenttest.Start(t, agenttest.Options{Nodes: 1, Replicas: 1, Ranges: 4})
	admin, err := c.Node(1).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			topic, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			marks := make([]string, len(topic.Cases))
			for _, r := range runs {
				runTopic(t, topic, r, database(t, admin, c.Node(1).URL(), name+"_"+r.name), marks)
			}
			counts := map[string]int{}
			for i, c := range topic.Cases {
				counts[marks[i]]++
				if *mark {
					c.Mark = marks[i]
				} else if c.Mark != marks[i] && marks[i] == "" {
					t.Errorf("%s\nis answered as by PostgreSQL now: take the line %q away", c.Statement, c.Mark)
				}
			}
			t.Logf("%d statements: %d answered as by PostgreSQL, %d refused, %d otherwise", len(topic.Cases), counts[""], counts[refusedMark], counts[differsMark])
			if *mark {
				if err := topic.Write(path); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// database makes an empty one and returns its URL.
func database(t *testing.T, admin *pgx.Conn, url, name string) string {
	t.Helper()
	id := pgx.Identifier{name}.Sanitize()
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+id); err != nil {
		t.Fatal(err)
	}
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(url, "/"+cfg.Database+"?", "/"+name+"?", 1)
}

// runTopic runs the statements of a topic on one connection, and notes in marks what is
// answered otherwise than by PostgreSQL: what is refused one way may differ in another.
func runTopic(t *testing.T, topic *Topic, r run, url string, marks []string) {
	t.Helper()
	conn := connect(t, url)
	defer func() { _ = conn.Close(context.Background()) }()
	if r.settings != "" {
		if _, err := conn.Exec(t.Context(), r.settings).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range topic.Cases {
		got, err := Ask(t.Context(), conn, c.Statement, r.by)
		if err != nil {
			t.Fatalf("%s: %s: %v", r.name, c.Statement, err)
		}
		switch {
		case got.Same(c.Answer, c.Statement):
			continue
		case !got.Refused():
			marks[i] = differsMark
		case marks[i] == "":
			marks[i] = refusedMark
		}
		if !*mark && (c.Mark == "" || c.Mark == refusedMark && !got.Refused()) {
			t.Errorf("%s: %s\n got: %s\nwant: %s", r.name, c.Statement, got, c.Answer)
		}
	}
}

func connect(t *testing.T, url string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// answerAnew has PostgreSQL answer the statements of a topic.
func answerAnew(t *testing.T, path string, by Protocol) {
	t.Helper()
	url := os.Getenv("ORACLE_PG")
	if url == "" {
		t.Fatal("ORACLE_PG names no PostgreSQL: postgres.sh starts one")
	}
	topic, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	admin := connect(t, url)
	name := "oracle_" + strings.TrimSuffix(filepath.Base(path), ".txt")
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name + " TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"} {
		if _, err := admin.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	_ = admin.Close(t.Context())
	conn := connect(t, strings.TrimSuffix(url, "postgres")+name)
	defer func() { _ = conn.Close(context.Background()) }()
	for _, c := range topic.Cases {
		if c.Answer, err = Ask(t.Context(), conn, c.Statement, by); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", c.Statement, err))
		}
	}
	if err := topic.Write(path); err != nil {
		t.Fatal(err)
	}
}
