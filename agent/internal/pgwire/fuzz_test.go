package pgwire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

// memConn is a client that has said all it will say.
type memConn struct {
	in  bytes.Reader
	out bytes.Buffer
}

func (m *memConn) Read(p []byte) (int, error)       { return m.in.Read(p) }
func (m *memConn) Write(p []byte) (int, error)      { return m.out.Write(p) }
func (m *memConn) Close() error                     { return nil }
func (m *memConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (m *memConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9} }
func (m *memConn) SetDeadline(time.Time) error      { return nil }
func (m *memConn) SetReadDeadline(time.Time) error  { return nil }
func (m *memConn) SetWriteDeadline(time.Time) error { return nil }

// fuzzServer is a server without a port.
func fuzzServer(t testing.TB) *Server {
	t.Helper()
	f := newFakeSQL()
	f.tame = true
	verifier, err := auth.NewSCRAMVerifier(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.ClusterID = testCluster
	cfg.SaltSecret = []byte("sixteen bytes or more")
	cfg.MaxMessageBytes = 1 << 20
	cfg.Open = f.open
	cfg.Credentials = func(string) (string, bool) { return verifier, true }
	return newServer(cfg)
}

func encode(t testing.TB, messages ...pgproto3.FrontendMessage) []byte {
	t.Helper()
	var buf []byte
	for _, m := range messages {
		var err error
		if buf, err = m.Encode(buf); err != nil {
			t.Fatal(err)
		}
	}
	return buf
}

// checkOutput reads what the server said as a client would.
func checkOutput(t *testing.T, out *bytes.Buffer) {
	t.Helper()
	c := pgproto3.NewFrontend(out, io.Discard)
	for {
		if _, err := c.Receive(); err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) || out.Len() != 0 {
				t.Fatalf("the server sent what no client can read: %v", err)
			}
			return
		}
	}
}

// FuzzLogin feeds bytes to a connection that has just been accepted.
func FuzzLogin(f *testing.F) {
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion32,
		Parameters: map[string]string{"user": "alice", "options": "-c a=b", "_pq_.x": "1"}}
	sasl := &pgproto3.SASLInitialResponse{AuthMechanism: mechanismPlain, Data: []byte("n,,n=,r=abcdefghijklmnop")}
	f.Add(encode(f, startup, sasl, &pgproto3.SASLResponse{Data: []byte("c=biws,r=abc,p=AAAA")}))
	f.Add(encode(f, &pgproto3.GSSEncRequest{}, startup, &pgproto3.PasswordMessage{Password: "x"}))
	f.Add(encode(f, &pgproto3.SSLRequest{}, startup))
	f.Add(encode(f, &pgproto3.CancelRequest{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}))
	f.Add([]byte{0x16, 3, 1, 0, 5})
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		s.throttle = newThrottle()
		m := &memConn{}
		m.in.Reset(in)
		c := newConn(context.Background(), s, m)
		c.moveTo(s.logins, stageSilent)
		s.register(c)
		c.run()
		if c.session != nil {
			t.Fatal("logged in without the password")
		}
		if n := s.counters.panics.Load(); n != 0 {
			t.Fatal("the session panicked")
		}
	})
}

// FuzzSession feeds bytes to a connection whose client has logged in.
func FuzzSession(f *testing.F) {
	sync, execute := &pgproto3.Sync{}, &pgproto3.Execute{}
	f.Add(encode(f, &pgproto3.Query{String: "begin; rows 3; fail"}, &pgproto3.Query{String: "rollback"}, &pgproto3.Terminate{}))
	f.Add(encode(f, &pgproto3.Parse{Name: "s", Query: "echo int4,text", ParameterOIDs: []uint32{0}}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{{0, 0, 0, 1}, nil}, ParameterFormatCodes: []int16{1, 0}, ResultFormatCodes: []int16{1}},
		&pgproto3.Describe{ObjectType: 'P'}, execute, &pgproto3.Close{ObjectType: 'S', Name: "s"}, sync))
	f.Add(encode(f, &pgproto3.Query{String: "begin"}, &pgproto3.Parse{Query: "rows 9"}, &pgproto3.Bind{DestinationPortal: "p"},
		&pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Flush{}, &pgproto3.Query{String: "rows 1"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, sync))
	f.Add(encode(f, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyFail{}, &pgproto3.FunctionCall{}, sync))
	for _, typ := range []string{"numeric", "timestamptz", "jsonb", "int4[]", "interval", "uuid", "bytea"} {
		f.Add(encode(f, &pgproto3.Parse{Query: "echo " + typ},
			&pgproto3.Bind{Parameters: [][]byte{{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23}}, ParameterFormatCodes: []int16{1}}, execute, sync))
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &memConn{}
		m.in.Reset(in)
		c := newConn(context.Background(), s, m)
		c.startup.user = "alice"
		s.register(c)
		if err := c.openSession(); err != nil {
			t.Fatal(err)
		}
		err := c.serve()
		c.fail(err)
		c.close()
		if s.Sessions() != 0 {
			t.Fatal("the session is still counted")
		}
		var e *sql.Error
		if errors.As(err, &e) && e.Code == "XX000" {
			t.Fatalf("internal error: %v", e)
		}
		checkOutput(t, &m.out)
	})
}

// BenchmarkBindExecuteSync is the protocol's own cost of a prepared point
// statement: no socket, a session that answers at once.
func BenchmarkBindExecuteSync(b *testing.B) {
	s := fuzzServer(b)
	m := &memConn{}
	c := newConn(context.Background(), s, m)
	s.register(c)
	if err := c.openSession(); err != nil {
		b.Fatal(err)
	}
	one := encode(b, &pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{{0, 0, 0, 0, 0, 0, 0, 7}}, ParameterFormatCodes: []int16{1}, ResultFormatCodes: []int16{1}},
		&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
	m.in.Reset(append(encode(b, &pgproto3.Parse{Name: "s", Query: "echo int8"}), bytes.Repeat(one, b.N)...))
	b.ReportAllocs()
	b.ResetTimer()
	if err := c.serve(); !errors.Is(err, io.ErrUnexpectedEOF) {
		b.Fatal(err)
	}
	c.close()
}
