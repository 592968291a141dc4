package pgwire

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/budget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testCluster  = "3f0e6a4e-3b1c-4d6e-9d3a-2f1c7a9b5e11"
	testPassword = "s3cret"
)

// fixture is a server with a fake SQL server behind it.
type fixture struct {
	*Server
	sql *fakeSQL
	dir string // ca.crt, and alice.crt, alice.key
	// stop ends Run and waits for it.
	stop func()
}

// start runs a server for the test. Users alice and bob have testPassword.
func start(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{sql: newFakeSQL(), dir: t.TempDir()}
	verifier, err := auth.NewSCRAMVerifier(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.ClusterID = testCluster
	cfg.SaltSecret = []byte("sixteen bytes or more")
	cfg.Open = f.sql.open
	cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	cfg.Credentials = func(user string) (string, bool) {
		return verifier, user == "alice" || user == "bob"
	}
	cfg.TLS = f.certificates(t).SQLConfig()
	cfg.Memory = budget.New("sessions", 1<<30)
	if change != nil {
		change(&cfg)
	}
	f.Server, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- f.Run(ctx, func() { close(ready) }) }()
	<-ready
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) certificates(t testing.TB) *auth.Source {
	ca, err := auth.NewCA(testCluster)
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "ca.crt", ca.CertPEM())
	for _, user := range []string{"alice", "node.1"} {
		key, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.IssueClient(testCluster, user, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		keyPEM, err := auth.KeyPEM(key)
		if err != nil {
			t.Fatal(err)
		}
		f.write(t, user+".crt", cert)
		f.write(t, user+".key", keyPEM)
	}
	key, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueNode(testCluster, 1, []string{"127.0.0.1", "localhost"}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := auth.NewBundle([]*x509.Certificate{ca.Cert()}, leaf, key)
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewSource(bundle)
}

func (f *fixture) write(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) port() int { return f.Addr().(*net.TCPAddr).Port }

// dsn is a connection string in clear text, which loopback allows.
func (f *fixture) dsn(extra string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=alice password=%s database=db sslmode=disable %s", f.port(), testPassword, extra)
}

func (f *fixture) connect(t testing.TB, extra string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), f.dsn(extra))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// raw is a client that speaks single messages.
type rawClient struct {
	*pgproto3.Frontend
	conn net.Conn
	t    testing.TB
}

// raw logs in and hands over the socket.
func (f *fixture) raw(t testing.TB) *rawClient { return f.rawWith(t, "") }

func (f *fixture) rawWith(t testing.TB, extra string) *rawClient {
	t.Helper()
	conn := f.connect(t, extra)
	hijacked, err := conn.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hijacked.Conn.Close() })
	if err := hijacked.Conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// Its own Frontend: after a slow write pgx reads in the background, and only
	// this one knows what was read.
	return &rawClient{Frontend: hijacked.Frontend, conn: hijacked.Conn, t: t}
}

// do sends messages and returns the answer up to ReadyForQuery, or an error
// that ends the connection, in words.
func (c *rawClient) do(messages ...pgproto3.FrontendMessage) []string {
	c.t.Helper()
	for _, m := range messages {
		c.Send(m)
	}
	if err := c.Flush(); err != nil {
		c.t.Fatal(err)
	}
	return c.answer()
}

func (c *rawClient) answer() []string {
	c.t.Helper()
	var words []string
	for {
		m, err := c.Receive()
		if err != nil {
			c.t.Log("the connection ended: ", err)
			return append(words, "lost")
		}
		words = append(words, word(m))
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return words
		}
	}
}

func word(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return m.Severity + " " + m.Code
	case *pgproto3.NoticeResponse:
		return m.Severity + " " + m.Code
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.DataRow:
		text := "row"
		for _, v := range m.Values {
			if v == nil {
				text += " null"
			} else {
				text += " " + string(v)
			}
		}
		return text
	case *pgproto3.ReadyForQuery:
		return "ready " + string(m.TxStatus)
	case *pgproto3.RowDescription:
		text := "columns"
		for _, f := range m.Fields {
			text += fmt.Sprintf(" %s:%d:%d", f.Name, f.DataTypeOID, f.Format)
		}
		return text
	case *pgproto3.ParameterDescription:
		return fmt.Sprint("params ", m.ParameterOIDs)
	case *pgproto3.ParameterStatus:
		return m.Name + "=" + m.Value
	case *pgproto3.ParseComplete:
		return "parsed"
	case *pgproto3.BindComplete:
		return "bound"
	case *pgproto3.CloseComplete:
		return "closed"
	case *pgproto3.CopyInResponse:
		return fmt.Sprint("copyin ", m.OverallFormat, " ", m.ColumnFormatCodes)
	case *pgproto3.CopyOutResponse:
		return fmt.Sprint("copyout ", m.OverallFormat, " ", m.ColumnFormatCodes)
	case *pgproto3.CopyData:
		return "data " + string(m.Data)
	case *pgproto3.NotificationResponse:
		return fmt.Sprint("heard ", m.Channel, " ", m.Payload, " ", m.PID)
	case *pgproto3.CopyDone:
		return "copydone"
	case *pgproto3.NoData:
		return "nodata"
	case *pgproto3.PortalSuspended:
		return "suspended"
	case *pgproto3.EmptyQueryResponse:
		return "empty"
	}
	return fmt.Sprintf("%T", m)
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until ok says so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p))
	return len(p), nil
}
