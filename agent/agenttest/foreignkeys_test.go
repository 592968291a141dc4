package agenttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// referringStatement refers to rows, and takes them away.
func referringStatement(rng *rand.Rand) string {
	id, p := rng.IntN(1000), rng.IntN(12)
	switch rng.IntN(8) {
	case 0:
		return fmt.Sprintf("INSERT INTO parents VALUES (%d, %d) ON CONFLICT DO NOTHING", p, p+100)
	case 1, 2:
		return fmt.Sprintf("INSERT INTO children VALUES (%d, %d, %d) ON CONFLICT (id) DO UPDATE SET p = excluded.p, q = excluded.q", id, p, p+100)
	case 3:
		return fmt.Sprintf("BEGIN; INSERT INTO children VALUES (%d, %d, NULL) ON CONFLICT (id) DO UPDATE SET p = excluded.p; UPDATE parents SET n = n + 1 WHERE id = %d; COMMIT", id, p, (p+1)%12)
	case 4:
		return fmt.Sprintf("DELETE FROM children WHERE p = %d", p)
	case 5:
		return fmt.Sprintf("BEGIN; DELETE FROM children WHERE p = %d; DELETE FROM parents WHERE id = %d; COMMIT", p, p)
	case 6:
		return fmt.Sprintf("UPDATE parents SET a = a + 50 WHERE id = %d AND a < 150", p)
	default:
		return fmt.Sprintf("DELETE FROM parents WHERE id = %d", p)
	}
}

// TestForeignKeysHoldAfterKills: writers on three nodes insert rows that refer to others,
// and delete those, while a node is killed, which leads some of the ranges and coordinates
// some of the transactions. In the end no row refers to one that is not there.
func TestForeignKeysHoldAfterKills(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.sql("CREATE TABLE parents (id int8 PRIMARY KEY, a int8 UNIQUE, n int8 DEFAULT 0)")
	c.sql("INSERT INTO parents SELECT i, i + 100 FROM generate_series(0, 11) AS g (i)")
	c.sql("CREATE TABLE children (id int8 PRIMARY KEY, p int8 REFERENCES parents, q int8 REFERENCES parents (a) ON DELETE CASCADE ON UPDATE CASCADE)")
	// Writers may take away all of theirs: of these they know nothing.
	c.sql("INSERT INTO parents VALUES (20, 220)")
	c.sql("INSERT INTO children VALUES (2000, 20, 220)")
	done, refused := throughAKill(ctx, t, c, faultWriter{draw: referringStatement, counts: "23503", also: []string{"23505"}})
	t.Logf("%d statements, %d were refused", done, refused)
	if refused == 0 {
		t.Error("no statement was refused")
	}
	conn, err := c.Nodes()[0].Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, query := range []string{
		"SELECT c.id::text || ' has p = ' || c.p::text FROM children AS c LEFT JOIN parents ON parents.id = c.p WHERE c.p IS NOT NULL AND parents.id IS NULL",
		"SELECT c.id::text || ' has q = ' || c.q::text FROM children AS c LEFT JOIN parents ON parents.a = c.q WHERE c.q IS NOT NULL AND parents.id IS NULL",
	} {
		for _, orphan := range lines(ctx, t, conn, query) {
			t.Errorf("child %s, which is not there", orphan)
		}
	}
	if got := lines(ctx, t, conn, "SELECT count(*)::text FROM children WHERE id = 2000 AND p = 20 AND q = 220"); got[0] != "1" {
		t.Error("the child that nobody touched is gone")
	}
}
