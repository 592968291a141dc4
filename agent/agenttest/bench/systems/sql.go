package systems

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Rows of a multi-row INSERT, and how many clients send them.
const (
	BulkRows    = 500
	BulkClients = 8
)

// SQL is something that speaks PostgreSQL's protocol.
type SQL struct {
	Name string
	URLs []string // clients are spread over them
	PIDs []int    // of its processes; their descendants count too
}

// Connect opens a connection for a client.
func (s *SQL) Connect(ctx context.Context, client int) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, s.URLs[client%len(s.URLs)])
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	return conn, nil
}

// Exec runs statements on a connection of their own.
func (s *SQL) Exec(ctx context.Context, statements ...string) error {
	conn, err := s.Connect(ctx, 0)
	if err != nil {
		return err
	}
	defer shut(conn)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %.60s: %w", s.Name, sql, err)
		}
	}
	return nil
}

// QueryRow scans the one row of a query's result.
func (s *SQL) QueryRow(ctx context.Context, sql string, to ...any) error {
	conn, err := s.Connect(ctx, 0)
	if err != nil {
		return err
	}
	defer shut(conn)
	if err := conn.QueryRow(ctx, sql).Scan(to...); err != nil {
		return fmt.Errorf("%s: %.60s: %w", s.Name, sql, err)
	}
	return nil
}

// SetUp makes the table bench with rows from 0.
func (s *SQL) SetUp(ctx context.Context, rows int) error {
	return errors.Join(s.Exec(ctx, "CREATE TABLE bench (id int8 PRIMARY KEY, v text)"), s.Load(ctx, "bench", rows))
}

// InsertRows is an INSERT of n rows from id first.
func InsertRows(table string, first int64, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (id, v) VALUES ", table)
	for id := first; id < first+int64(n); id++ {
		if id > first {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d,'%s')", id, Payload)
	}
	return b.String()
}

// Load inserts rows from 0 in statements of BulkRows, by BulkClients clients.
func (s *SQL) Load(ctx context.Context, table string, rows int) error {
	return All(ctx, BulkClients, func(ctx context.Context, client int) error {
		conn, err := s.Connect(ctx, client)
		if err != nil {
			return err
		}
		defer shut(conn)
		for first := client * BulkRows; first < rows; first += BulkClients * BulkRows {
			if _, err := conn.Exec(ctx, InsertRows(table, int64(first), min(BulkRows, rows-first))); err != nil {
				return fmt.Errorf("load %s into %s: %w", table, s.Name, err)
			}
		}
		return nil
	})
}

// System is prepared INSERTs of one row, and prepared SELECTs by key.
func (s *SQL) System() System { return s.system() }

// Stale is the same with reads that may be as old as nodedb.read_consistency says.
func (s *SQL) Stale(consistency string) System {
	return s.system("SET nodedb.read_consistency = '" + consistency + "'")
}

// system has each session begin with statements.
func (s *SQL) system(begin ...string) System {
	return System{Name: s.Name, CPU: CPUOf(s.PIDs...), Open: func(ctx context.Context, client int) (Session, error) {
		conn, err := s.Connect(ctx, client)
		if err != nil {
			return nil, err
		}
		for _, sql := range begin {
			if _, err := conn.Exec(ctx, sql); err != nil {
				shut(conn)
				return nil, fmt.Errorf("%s: %s: %w", s.Name, sql, err)
			}
		}
		for name, sql := range map[string]string{"w": "INSERT INTO bench (id, v) VALUES ($1, $2)", "r": "SELECT v FROM bench WHERE id = $1"} {
			if _, err := conn.Prepare(ctx, name, sql); err != nil {
				shut(conn)
				return nil, fmt.Errorf("prepare on %s: %w", s.Name, err)
			}
		}
		return &sqlSession{conn}, nil
	}}
}

type sqlSession struct{ conn *pgx.Conn }

func (s *sqlSession) Write(ctx context.Context, key int64) error {
	_, err := s.conn.Exec(ctx, "w", key, Payload)
	return err
}

func (s *sqlSession) Read(ctx context.Context, key int64) error {
	var v string
	return s.conn.QueryRow(ctx, "r", key).Scan(&v)
}

func (s *sqlSession) Close() { shut(s.conn) }

// Statements is a system whose Write runs another statement: sql says which, by
// key. With arguments it is prepared, without it is sent as it stands.
func (s *SQL) Statements(sql func(key int64) (text string, args []any)) System {
	return System{Name: s.Name, CPU: CPUOf(s.PIDs...), Open: func(ctx context.Context, client int) (Session, error) {
		conn, err := s.Connect(ctx, client)
		if err != nil {
			return nil, err
		}
		return &statementSession{sqlSession{conn}, sql}, nil
	}}
}

type statementSession struct {
	sqlSession
	sql func(key int64) (string, []any)
}

func (s *statementSession) Write(ctx context.Context, key int64) error {
	text, args := s.sql(key)
	_, err := s.conn.Exec(ctx, text, args...)
	return err
}

// shut closes a connection, in whatever state it is.
func shut(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
