package pgwire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

// TestLogins goes through the ways into a server, with pgx and, where it is
// installed, with psql.
func TestLogins(t *testing.T) {
	f := start(t, func(c *Config) { c.RequireTLS = true })
	ca := "sslmode=verify-full sslrootcert=" + f.dir + "/ca.crt"
	cert := func(name string) string {
		return fmt.Sprintf(" sslcert=%s/%s.crt sslkey=%s/%s.key", f.dir, name, f.dir, name)
	}
	for _, tt := range []struct {
		name, user, password, extra string
		want                        string // "" is in, else the SQLSTATE
	}{
		{"password", "alice", testPassword, ca, ""},
		{"binding required", "alice", testPassword, ca + " channel_binding=require", ""},
		{"binding off", "alice", testPassword, ca + " channel_binding=disable", ""},
		{"wrong password", "bob", "nope", ca, "28P01"},
		{"unknown user", "mallory", testPassword, ca, "28P01"},
		{"clear text", "alice", testPassword, "sslmode=disable", "28000"},
		{"certificate", "alice", "", ca + cert("alice"), ""},
		{"certificate of another", "bob", testPassword, ca + cert("alice"), "28000"},
		{"certificate of a user called like a node", "root", testPassword, ca + cert("node.1"), "28000"},
	} {
		dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=db %s", f.port(), tt.user, tt.extra)
		t.Run("pgx/"+tt.name, func(t *testing.T) {
			conn, err := pgx.Connect(testContext(t), dsn+" password='"+tt.password+"'")
			if got := code(err); got != tt.want {
				t.Fatalf("connect = %v, want code %q", err, tt.want)
			}
			if err == nil {
				conn.Close(context.Background())
			}
		})
		t.Run("psql/"+tt.name, func(t *testing.T) {
			out, err := psql(t, dsn, tt.password, "rows 1")
			switch {
			case tt.want == "" && (err != nil || out != "0|row 0"):
				t.Fatalf("psql = %q, %v", out, err)
			case tt.want != "" && err == nil:
				t.Fatalf("psql was let in: %q", out)
			case tt.want == "28P01" && !strings.Contains(out, `password authentication failed for user "`+tt.user+`"`):
				t.Fatalf("psql = %q", out)
			}
		})
	}
}

// psql runs one statement; the output holds what went wrong.
func psql(t *testing.T, dsn, password, statement string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	cmd := exec.CommandContext(testContext(t), path, "-XAtc", statement, dsn)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func code(err error) string {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return err.Error()
}

// TestUnknownUserLooksAlike compares the messages that a known and an unknown
// user get for a wrong password.
func TestUnknownUserLooksAlike(t *testing.T) {
	f := start(t, nil)
	say := func(user string) []string {
		conn, err := net.Dial("tcp", f.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		c := &rawClient{Frontend: pgproto3.NewFrontend(conn, conn), t: t}
		c.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": user}})
		c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: mechanismPlain, Data: []byte("n,,n=,r=abcdefghijklmnop")})
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			m, err := c.Receive()
			if err != nil {
				return got
			}
			switch m := m.(type) {
			case *pgproto3.AuthenticationSASL:
				got = append(got, fmt.Sprint(m.AuthMechanisms))
			case *pgproto3.AuthenticationSASLContinue:
				got = append(got, fmt.Sprintf("challenge of %d bytes, %s", len(m.Data), string(m.Data)[strings.LastIndex(string(m.Data), ",i="):]))
				nonce, _, _ := strings.Cut(strings.TrimPrefix(string(m.Data), "r="), ",")
				c.Send(&pgproto3.SASLResponse{Data: []byte("c=biws,r=" + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")})
				if err := c.Flush(); err != nil {
					t.Fatal(err)
				}
			case *pgproto3.ErrorResponse:
				got = append(got, m.Severity+m.Code+strings.ReplaceAll(m.Message, user, "USER"))
			default:
				got = append(got, word(m))
			}
		}
	}
	known, unknown := say("alice"), say("mallory")
	if !slices.Equal(known, unknown) || len(known) != 3 {
		t.Errorf("the answers tell who exists:\nknown   %q\nunknown %q", known, unknown)
	}
}

func TestDirectTLS(t *testing.T) {
	f := start(t, func(c *Config) { c.RequireTLS = true })
	conn, err := pgx.Connect(testContext(t), fmt.Sprintf("host=127.0.0.1 port=%d user=alice password=%s database=db sslmode=verify-full sslnegotiation=direct sslrootcert=%s/ca.crt",
		f.port(), testPassword, f.dir))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(context.Background())
}

// TestInjectedPlaintext sends a statement behind the SSLRequest, as someone in
// between could: it must not be read after the handshake.
func TestInjectedPlaintext(t *testing.T) {
	f := start(t, nil)
	conn, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	buf, _ := (&pgproto3.SSLRequest{}).Encode(nil)
	buf, _ = (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "alice"}}).Encode(buf)
	if _, err := conn.Write(buf); err != nil {
		t.Fatal(err)
	}
	m, err := pgproto3.NewFrontend(conn, conn).Receive()
	if e, ok := m.(*pgproto3.ErrorResponse); err != nil || !ok || e.Code != "08P01" {
		t.Fatalf("answer = %#v, %v; want 08P01", m, err)
	}
}

func TestStartupParameters(t *testing.T) {
	f := start(t, nil)
	conn := f.connect(t, `application_name=app options='-c a.b=c\\ d --search-path=x'`)
	for name, want := range map[string]string{
		"server_version": "15.18", "client_encoding": "UTF8", "standard_conforming_strings": "on",
		"application_name": "app", "integer_datetimes": "on", "TimeZone": "UTC",
	} {
		if got := conn.PgConn().ParameterStatus(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	f.sql.mu.Lock()
	defer f.sql.mu.Unlock()
	o := f.sql.mu.opened[0]
	if o.User != "alice" || o.Database != "db" || o.Params["a.b"] != "c d" || o.Params["search_path"] != "x" || o.PID == 0 {
		t.Errorf("session opened with %+v", o)
	}
}

func TestDrainingNodeRefuses(t *testing.T) {
	f := start(t, nil)
	f.sql.draining.Store(true)
	if _, err := pgx.Connect(testContext(t), f.dsn("")); code(err) != "57P03" {
		t.Errorf("connect = %v, want 57P03", err)
	}
	eventually(t, "no session left", func() bool { return f.Sessions() == 0 })
}

func TestTooManyConnections(t *testing.T) {
	f := start(t, func(c *Config) {
		c.MaxConnections = 20 // 2 of them reserved
		c.Limits = func(user string) (int, bool) {
			if user == "bob" {
				return 19, true
			}
			return -1, false
		}
	})
	connect := func(user string) (*pgx.Conn, error) {
		cfg, err := pgx.ParseConfig(f.dsn(""))
		if err != nil {
			t.Fatal(err)
		}
		cfg.User = user
		conn, err := pgx.ConnectConfig(testContext(t), cfg)
		if err == nil {
			t.Cleanup(func() { conn.Close(context.Background()) })
		}
		return conn, err
	}
	fill := func(user string, n int, refusal string) (first *pgx.Conn) {
		t.Helper()
		for i := range n {
			conn, err := connect(user)
			if err != nil {
				t.Fatalf("session %d of %s: %v", i, user, err)
			}
			if i == 0 {
				first = conn
			}
		}
		if _, err := connect(user); code(err) != "53300" || !strings.Contains(err.Error(), refusal) {
			t.Fatalf("session %d of %s: %v, want 53300 with %q", n, user, err, refusal)
		}
		return first
	}
	alice := fill("alice", 10, "too many connections for role \"alice\"")
	for range 8 {
		if _, err := connect("bob"); err != nil {
			t.Fatal(err)
		}
	}
	alice.Close(context.Background())
	eventually(t, "the first session is gone", func() bool { return f.Sessions() == 17 })
	alice = fill("alice", 1, "reserved for users with the role nodedb_admin")
	fill("bob", 2, "too many clients already")
	alice.Close(context.Background())
	eventually(t, "the session is gone", func() bool { return f.Sessions() == 19 })
	if _, err := connect("bob"); err != nil {
		t.Errorf("an admin with a limit of their own: %v", err)
	}
}

// TestHugeLoginMessage must be refused before it is read.
func TestHugeLoginMessage(t *testing.T) {
	f := start(t, nil)
	conn, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	buf, _ := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "alice"}}).Encode(nil)
	buf = append(buf, 'p', 0x10, 0, 0, 0)
	if _, err := conn.Write(buf); err != nil {
		t.Fatal(err)
	}
	c := &rawClient{Frontend: pgproto3.NewFrontend(conn, conn), t: t}
	if got := c.answer(); !slices.Contains(got, "FATAL 54000") {
		t.Errorf("answer = %q, want FATAL 54000", got)
	}
}

func TestStopEndsLogins(t *testing.T) {
	f := start(t, nil)
	conn, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "the login has begun", func() bool { return f.logins.len() == 1 })
	begin := time.Now()
	f.stop()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("stop took %s: it waited for a silent login", took)
	}
}

func TestReadOptions(t *testing.T) {
	for _, tt := range []struct {
		text string
		want map[string]string
		code string
	}{
		{"", map[string]string{}, ""},
		{"-c a=b", map[string]string{"a": "b"}, ""},
		{"-ca=b --c-d=e=f", map[string]string{"a": "b", "c_d": "e=f"}, ""},
		{`-c a=x\ y\\z`, map[string]string{"a": `x y\z`}, ""},
		{"-c a=", map[string]string{"a": ""}, ""},
		{"-c", nil, "42601"},
		{"-d 5", nil, "42601"},
		{"-c =x", nil, "42601"},
	} {
		got := map[string]string{}
		err := readOptions(tt.text, got)
		if tt.code != "" {
			var e *sql.Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("readOptions(%q) = %v, want %s", tt.text, err, tt.code)
			}
			continue
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("readOptions(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

// TestInvalidCredentialsEndSessions takes a certificate's worth away while its
// session is open, and then from one that logs in.
func TestInvalidCredentialsEndSessions(t *testing.T) {
	var bad atomic.Bool
	f := start(t, func(c *Config) {
		c.Valid = func(l Login) error {
			if l.User != "alice" || (l.Certificate == nil) != (l.Serial == "") {
				t.Errorf("asked about %+v", l)
			}
			if bad.Load() && l.Certificate != nil {
				return errors.New("its CA is trusted no more")
			}
			return nil
		}
	})
	tls := fmt.Sprintf("host=127.0.0.1 port=%d user=alice dbname=db sslmode=verify-full sslrootcert=%s/ca.crt ", f.port(), f.dir)
	cert := fmt.Sprintf("%s sslcert=%s/alice.crt sslkey=%s/alice.key", tls, f.dir, f.dir)
	conn, err := pgx.Connect(testContext(t), cert)
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	withCert := &rawClient{Frontend: hijacked.Frontend, conn: hijacked.Conn, t: t}
	withPassword := f.connect(t, "")
	bad.Store(true)
	f.EndInvalid(&sql.Error{Severity: "FATAL", Code: "57P01", Message: "the credential is no longer valid"})
	// It only listens: what it sent to a closed socket would lose it the answer.
	expect(t, "the session of the certificate", withCert.answer(), "FATAL 57P01", "lost")
	if _, err := withPassword.Exec(testContext(t), "insert"); err != nil {
		t.Errorf("the session of the password: %v", err)
	}
	if _, err := pgx.Connect(testContext(t), cert); code(err) != "28000" {
		t.Errorf("a login with the certificate: %v, want 28000", err)
	}
}

// TestHostRules: each admission as PostgreSQL answers it.
func TestHostRules(t *testing.T) {
	var want atomic.Pointer[Admission]
	var knocks atomic.Pointer[Knock]
	f := start(t, func(c *Config) {
		c.Admit = func(k Knock) Admission {
			knocks.Store(&k)
			return *want.Load()
		}
	})
	dsn := func(password, certificate bool) string {
		out := fmt.Sprintf("host=127.0.0.1 port=%d user=alice dbname=db sslmode=verify-full sslrootcert=%s/ca.crt", f.port(), f.dir)
		if password {
			out += " password=" + testPassword
		}
		if certificate {
			out += fmt.Sprintf(" sslcert=%s/alice.crt sslkey=%s/alice.key", f.dir, f.dir)
		}
		return out
	}
	for _, c := range []struct {
		name              string
		want              Admission
		password, certify bool
		code, message     string
	}{
		{"no rule", Admission{}, true, false, "28000", `no pg_hba.conf entry for host "127.0.0.1", user "alice", database "db", SSL encryption`},
		{"no rule, with a certificate", Admission{}, false, true, "28000", `no pg_hba.conf entry for host "127.0.0.1", user "alice", database "db", SSL encryption`},
		{"rejected", Admission{Found: true, Reject: true}, true, true, "28000", `pg_hba.conf rejects connection for host "127.0.0.1", user "alice", database "db", SSL encryption`},
		{"certificate wanted", Admission{Found: true, Certificate: true}, true, false, "28000", "connection requires a valid client certificate"},
		{"certificate shown", Admission{Found: true, Certificate: true}, false, true, "", ""},
		{"password wanted", Admission{Found: true, Password: true}, true, true, "", ""},
		{"both wanted, one there", Admission{Found: true, Certificate: true, Password: true}, true, false, "28000", "connection requires a valid client certificate"},
		{"both wanted", Admission{Found: true, Certificate: true, Password: true}, true, true, "", ""},
		{"trusted", Admission{Found: true}, false, false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			want.Store(&c.want)
			conn, err := pgx.Connect(testContext(t), dsn(c.password, c.certify))
			if err == nil {
				conn.Close(context.Background())
			}
			var refused *pgconn.PgError
			errors.As(err, &refused)
			switch {
			case c.code == "" && err != nil:
				t.Fatal(err)
			case c.code != "" && (refused == nil || refused.Code != c.code || refused.Message != c.message || refused.Severity != "FATAL"):
				t.Errorf("%v, want %s %s", err, c.code, c.message)
			}
			if k := knocks.Load(); k.User != "alice" || k.Database != "db" || !k.Address.IsLoopback() || k.Certificate != c.certify {
				t.Errorf("asked about %+v", k)
			}
		})
	}
	want.Store(&Admission{Found: true, Password: true})
	if _, err := pgx.Connect(testContext(t), dsn(false, true)); err == nil {
		t.Error("a certificate lets in who has to have a password")
	}
}
