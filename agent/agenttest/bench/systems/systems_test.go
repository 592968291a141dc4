package systems

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestAll(t *testing.T) {
	var sum atomic.Int64
	if err := All(t.Context(), 4, func(_ context.Context, i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 6 {
		t.Errorf("All = %v, sum %d", err, sum.Load())
	}
	planted := errors.New("planted")
	err := All(t.Context(), 3, func(ctx context.Context, i int) error {
		if i == 1 {
			return planted
		}
		<-ctx.Done() // the others are told
		return ctx.Err()
	})
	if !errors.Is(err, planted) {
		t.Errorf("All = %v, want what failed first", err)
	}
}

func TestInsertRows(t *testing.T) {
	if got, want := InsertRows("b", 7, 2), fmt.Sprintf("INSERT INTO b (id, v) VALUES (7,'%[1]s'),(8,'%[1]s')", Payload); got != want {
		t.Errorf("InsertRows = %s", got)
	}
}

func TestKind(t *testing.T) {
	if got := Kind(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "40001"})) + Kind(errors.New("x")); got != "40001other" {
		t.Errorf("Kind = %s", got)
	}
}

func TestNewestPostgres(t *testing.T) {
	if got := slices.MaxFunc([]string{"/p/9/b", "/p/15/b", "/p/14/b"}, byVersion); got != "/p/15/b" {
		t.Errorf("the newest is %s", got)
	}
}

// works writes and reads through a session of each client.
func works(t *testing.T, s System, from int64) {
	t.Helper()
	before := s.CPU()
	for client := range 4 {
		session, err := s.Open(t.Context(), client)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		key := from + int64(client)
		if err := errors.Join(session.Write(t.Context(), key), session.Read(t.Context(), key), session.Read(t.Context(), 1)); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if err := session.Read(t.Context(), 1<<60); err == nil {
			t.Errorf("%s reads a row that nobody wrote", s.Name)
		}
		session.Close()
	}
	if s.CPU() < before {
		t.Errorf("%s: its CPU time ran backwards", s.Name)
	}
}

// TestEtcd: three members with TLS, that let in nobody without a certificate.
func TestEtcd(t *testing.T) {
	path, err := FindEtcd()
	if err != nil {
		t.Skip(err)
	}
	e, err := StartEtcd(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	if err := e.Fill(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	works(t, e.System(false), 1000)
	works(t, e.System(true), 2000)
	if name := e.System(false).Name; name != EtcdTLS {
		t.Errorf("it is called %q, and targets are put against %q", name, EtcdTLS)
	}
	plain, err := grpc.NewClient(e.addrs[0], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if err := (&etcdSession{conn: plain}).Read(t.Context(), 1); err == nil {
		t.Error("etcd with TLS takes plaintext")
	}
}

// TestPostgres: TLS is TLS 1.3, and a certificate is needed.
func TestPostgres(t *testing.T) {
	bin, err := FindPostgres()
	if err != nil {
		t.Skip(err)
	}
	p, err := StartPostgres(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.TLS.SetUp(t.Context(), 1100); err != nil {
		t.Fatal(err)
	}
	works(t, p.TLS.System(), 10_000)
	works(t, p.Plain.System(), 20_000)
	var rows int
	if err := p.Plain.QueryRow(t.Context(), "SELECT count(*) FROM bench WHERE id < 10000", &rows); err != nil || rows != 1100 {
		t.Errorf("%d rows were filled in, %v", rows, err)
	}
	var version, fsync string
	if err := p.TLS.QueryRow(t.Context(), "SELECT version, current_setting('fsync') FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &version, &fsync); err != nil || version != "TLSv1.3" || fsync != "on" {
		t.Errorf("TLS version %q, fsync %q, %v", version, fsync, err)
	}
	bare, _, _ := strings.Cut(p.TLS.URLs[0], "&sslcert")
	if _, err := pgx.Connect(t.Context(), bare); err == nil {
		t.Error("a client without a certificate was let in")
	}
	statements := p.TLS.Statements(func(key int64) (string, []any) { return "UPDATE bench SET v = 'x' WHERE id = $1", []any{key} })
	session, err := statements.Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.Write(t.Context(), 3); err != nil {
		t.Error(err)
	}
}
