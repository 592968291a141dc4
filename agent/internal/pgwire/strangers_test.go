package pgwire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// silent keeps n connections open that send text and nothing more; one that is
// closed is opened again, until the test ends.
func silent(t *testing.T, f *fixture, n int, text []byte) (opened *atomic.Int64) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	opened = &atomic.Int64{}
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", f.Addr().String())
				if err != nil {
					return
				}
				opened.Add(1)
				_, _ = conn.Write(text)
				closer := context.AfterFunc(ctx, func() { conn.Close() })
				_, _ = bytes.NewBuffer(nil).ReadFrom(conn)
				closer()
				conn.Close()
			}
		})
	}
	return opened
}

// TestSilentStrangers logs in while more connections than there are places say
// nothing, or ask for TLS and say nothing more.
func TestSilentStrangers(t *testing.T) {
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"nothing": nil, "ssl request": request} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(c *Config) { c.RequireTLS, c.MaxLogins = true, 128 })
			opened := silent(t, f, 200, text)
			eventually(t, "the places are taken", func() bool { return opened.Load() >= 200 && f.logins.len() == 128 })
			ca := fmt.Sprintf("host=127.0.0.1 port=%d user=alice dbname=db sslmode=verify-full sslrootcert=%s/ca.crt ", f.port(), f.dir)
			for range 3 {
				for _, extra := range []string{
					"password=" + testPassword,
					fmt.Sprintf("sslcert=%s/alice.crt sslkey=%s/alice.key", f.dir, f.dir),
				} {
					conn, err := pgx.Connect(testContext(t), ca+extra)
					if err != nil {
						t.Fatalf("login beside silent strangers with %s: %v", extra, err)
					}
					conn.Close(context.Background())
				}
			}
			if n := f.logins.len(); n > 128 {
				t.Errorf("%d connections log in, the limit is 128", n)
			}
		})
	}
}

// TestSilentOnesAreThrownOut waits for the end of one that never speaks.
func TestSilentOnesAreThrownOut(t *testing.T) {
	f := start(t, func(c *Config) { c.TLSTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("read = %d, %v; want the end of the connection", n, err)
	}
}

// TestRoomPushesOut fills a room and looks who has to go.
func TestRoomPushesOut(t *testing.T) {
	at := func(addr string) *conn {
		return &conn{raw: addressed{addr: &net.TCPAddr{IP: net.ParseIP(addr), Port: 1}}}
	}
	r := newRoom(4, 0)
	enter := func(addr string, s stage) (*conn, *conn) {
		c := at(addr)
		_, victim := r.enter(c, s)
		return c, victim
	}
	neighbour, _ := enter("198.51.100.1", stageSilent)
	first, _ := enter("192.0.2.1", stageSecured)
	second, _ := enter("192.0.2.1", stageSilent)
	third, _ := enter("192.0.2.1", stageSilent)
	for _, want := range []*conn{second, third} {
		if _, victim := enter("192.0.2.1", stageHello); victim != want {
			t.Fatalf("the oldest of those who came least far must go, not %v", victim.raw.RemoteAddr())
		}
	}
	if _, victim := enter("203.0.113.1", stageSilent); victim == neighbour || victim == first {
		t.Error("the newcomer pushed out one of a small network, or one that had come farther")
	}

	perAddress := newRoom(100, 2)
	oldest := at("192.0.2.1")
	perAddress.enter(oldest, stageSecured)
	perAddress.enter(at("192.0.2.1"), stageSecured)
	if _, victim := perAddress.enter(at("192.0.2.2"), stageSecured); victim != nil {
		t.Error("another address is counted")
	}
	if _, victim := perAddress.enter(at("192.0.2.1"), stageSecured); victim != oldest {
		t.Error("an address has more than its share")
	}
}

// addressed is a connection of which only the client's address matters.
type addressed struct {
	net.Conn
	addr net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.addr }

// TestGuessingLocksOutNobody logs in with the right password while another
// address of the network guesses at one name, or at many, as fast as it can.
func TestGuessingLocksOutNobody(t *testing.T) {
	for _, names := range []int{1, 50} {
		t.Run(fmt.Sprint(names, " names"), func(t *testing.T) {
			f := start(t, nil)
			ctx, stop := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer stop()
			var guesses atomic.Int64
			for range 8 {
				wg.Go(func() {
					for ctx.Err() == nil {
						user := "alice"
						if names > 1 {
							user = fmt.Sprint("user", guesses.Load()%int64(names))
						}
						guess(ctx, f, user)
						guesses.Add(1)
					}
				})
			}
			eventually(t, "the attack runs", func() bool { return f.Stats().LoginFailures >= 8 })
			for range 4 {
				conn, err := pgx.Connect(testContext(t), f.dsn(""))
				if err != nil {
					t.Fatalf("the right password beside %d guesses: %v", guesses.Load(), err)
				}
				conn.Close(context.Background())
			}
		})
	}
}

// guess tries a wrong password from 127.0.0.2 and does not wait for the answer.
func guess(ctx context.Context, f *fixture, user string) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	cfg, err := pgx.ParseConfig(f.dsn(""))
	if err != nil {
		panic(err)
	}
	cfg.User, cfg.Password = user, "wrong"
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.2:0"))}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, addr)
	}
	if conn, err := pgx.ConnectConfig(ctx, cfg); err == nil {
		conn.Close(context.Background())
	}
}

// TestWaitingTakesNoPlace holds back the answer of a failure: it must not take
// the place of one that logs in.
func TestWaitingTakesNoPlace(t *testing.T) {
	f := start(t, nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range 9 {
			guess(context.Background(), f, "alice")
		}
	})
	eventually(t, "an answer is held back", func() bool { return f.held.len() > 0 && f.logins.len() == 0 })
}

// TestStrangersDoNotFillTheLog sends what is no TLS, again and again.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	var log lockedBuffer
	f := start(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for i := range 100 {
		conn, err := net.Dial("tcp", f.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte{0x16, 3, 1, byte(i), byte(i), 1, 2, 3, byte(i)})
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = bytes.NewBuffer(nil).ReadFrom(conn)
		conn.Close()
	}
	f.stop()
	if n := strings.Count(log.String(), "sql login refused"); n != 10 {
		t.Errorf("%d lines of 100 broken handshakes, want 10:\n%s", n, log.String())
	}
	if !strings.Contains(log.String(), "count=90") {
		t.Errorf("the count is not told:\n%s", log.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestStopTellsTheHeldBack stops the server while an answer is held back: its
// client is told why, and not that it has sent nonsense.
func TestStopTellsTheHeldBack(t *testing.T) {
	f := start(t, nil)
	for range 10 { // the next answer takes as long as any
		a := f.throttle.attempt("alice", netip.MustParseAddr("127.0.0.1"))
		a.start()
		a.done(failed)
	}
	told := make(chan error, 1)
	go func() {
		cfg, err := pgx.ParseConfig(f.dsn(""))
		if err == nil {
			cfg.Password = "wrong"
			_, err = pgx.ConnectConfig(context.Background(), cfg)
		}
		told <- err
	}()
	eventually(t, "an answer is held back", func() bool { return f.held.len() == 1 })
	f.stop()
	var e *pgconn.PgError
	if err := <-told; !errors.As(err, &e) || e.Code != "57P01" {
		t.Errorf("got %v, want 57P01", err)
	}
}
