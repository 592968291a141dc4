package agenttest

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// schemas makes and drops schemas with what is in them, and looks from another node.
func (s *txSessions) schemas() {
	s.want(0, "", "BEGIN; CREATE SCHEMA made_s; CREATE TABLE made_s.t (id int8 PRIMARY KEY); INSERT INTO made_s.t SELECT g FROM generate_series(1, 30) g")
	s.want(1, "3F000", "CREATE TABLE made_s.t (id int8 PRIMARY KEY)")
	s.want(0, "", "COMMIT")
	s.want(1, "30", "SELECT count(*) FROM made_s.t")
	s.want(1, "2BP01", "DROP SCHEMA made_s")
	s.want(1, "", "ALTER SCHEMA made_s RENAME TO other_s")
	s.want(0, "30", "SET search_path = other_s; SELECT count(*) FROM t")
	s.want(0, "", "RESET search_path")
	s.want(1, "", "BEGIN; DROP SCHEMA other_s CASCADE")
	s.want(0, "30", "SELECT count(*) FROM other_s.t")
	s.want(1, "", "COMMIT")
	s.want(0, "42P01", "SELECT count(*) FROM other_s.t")
	s.want(0, "", "CREATE SCHEMA other_s; DROP SCHEMA other_s")
}

// databases makes one and drops it, which a session on another node is in the way of.
func (s *txSessions) databases(c *Cluster) {
	s.want(0, "", "CREATE DATABASE made_d")
	config, err := pgx.ParseConfig(c.Node(2).URL())
	if err != nil {
		s.t.Fatal(err)
	}
	config.Database = "made_d"
	conn, err := pgx.ConnectConfig(s.ctx, config)
	if err != nil {
		s.t.Fatal(err)
	}
	inside := &txSessions{t: s.t, ctx: s.ctx, conns: []*pgx.Conn{conn}}
	inside.want(0, "", "CREATE TABLE t (id int8 PRIMARY KEY); INSERT INTO t VALUES (1)")
	inside.want(0, "1 made_d", "SELECT id, current_database() FROM t")
	s.want(1, "42P01", "SELECT count(*) FROM t")
	s.want(1, "made_d", "SELECT datname FROM pg_stat_activity WHERE datname <> 'nodedb'")
	s.want(1, "55006", "DROP DATABASE made_d")
	if err := conn.Close(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	Eventually(s.t, 10*time.Second, "the session is gone", func() error {
		if got := s.run(0, "SELECT pid FROM pg_stat_activity WHERE datname = 'made_d'"); got != "" {
			return errors.New(got)
		}
		return nil
	})
	s.want(1, "", "DROP DATABASE made_d")
	if conn, err := pgx.ConnectConfig(s.ctx, config); err == nil {
		_ = conn.Close(context.Background())
		s.t.Error("connected to a database that was dropped")
	}
}
