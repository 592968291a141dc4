package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// metaRange is the meta range of one node, without raft.
type metaRange struct {
	t       testing.TB
	machine *metastate.Machine
	engine  *storage.Engine

	mu    sync.Mutex
	index uint64
	now   time.Time
	fail  error // what propose answers
	calls int
}

func newMetaRange(t testing.TB) *metaRange {
	t.Helper()
	e, err := storage.Open(storage.Options{Dir: "store", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return &metaRange{t: t, machine: metastate.New(), engine: e, now: time.Now()}
}

func (m *metaRange) propose(_ context.Context, c metastate.Command) (metastate.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.fail != nil {
		return metastate.Result{}, m.fail
	}
	b, err := metastate.EncodeCommand(c)
	if err != nil {
		return metastate.Result{}, err
	}
	batch := m.engine.NewBatch()
	defer func() { _ = batch.Close() }()
	m.index++
	out, err := m.machine.Apply(batch, nil, m.index, hlc.New(m.now), b)
	if err != nil {
		return metastate.Result{}, err
	}
	if err := batch.Commit(false); err != nil {
		return metastate.Result{}, err
	}
	return metastate.DecodeResult(out)
}

// founder is a first node, made by Init, that answers joins.
type founder struct {
	t      testing.TB
	dir    string
	meta   *metaRange
	server *joinServer
	addr   string
	seen   *int // requests that reached the handler
	asked  int  // times that the meta range was asked how far it has come
	denied []audit.Entry
}

func testConfig(dir string, port int) Config {
	c := DefaultConfig(dir)
	c.ListenSQL, c.ListenRPC = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	c.ListenGossip, c.ListenAdmin = fmt.Sprintf("127.0.0.1:%d", port+2), fmt.Sprintf("127.0.0.1:%d", port+3)
	c.Version = "test"
	return c
}

var testInit = InitOptions{Name: "n1", ClusterName: "prod", Ranges: 7, Replicas: 3}

func newFounder(t testing.TB) *founder {
	t.Helper()
	f := &founder{t: t, dir: filepath.Join(t.TempDir(), "n1"), meta: newMetaRange(t), seen: new(int)}
	if _, err := Init(testConfig(f.dir, 7000), testInit); err != nil {
		t.Fatal(err)
	}
	id, err := LoadIdentity(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := auth.OpenSource(certsPath(f.dir))
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(f.dir, 7000)
	if res, err := f.meta.propose(t.Context(), metastate.Command{InitCluster: &metastate.InitCluster{
		ClusterID: id.ClusterID, Name: id.ClusterName, CACert: string(certs.Current().RootPEM()),
		Node: cluster.Node{ID: 1, UUID: id.UUID, Name: id.Name, Addresses: cfg.Advertised()}, Ranges: firstDescriptors(1, 7),
	}}); err != nil || res.Err() != nil {
		t.Fatal(err, res.Err())
	}
	f.server = &joinServer{id: id, certDir: certsPath(f.dir), caPass: auth.ReadPassphrase(""), certs: certs, keys: sync.OnceValue(func() [][]byte { return [][]byte{gossip.NewKey()} }),
		view: f.meta.machine.View, propose: f.meta.propose, logger: slog.New(slog.DiscardHandler), refused: logsample.New(slog.New(slog.DiscardHandler)),
		catchUp: func(context.Context) error { f.asked++; return nil }, denied: func(e audit.Entry) { f.denied = append(f.denied, e) }}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*f.seen++
		f.server.ServeHTTP(w, r)
	}))
	s.TLS = certs.AdminConfig()
	s.StartTLS()
	t.Cleanup(s.Close)
	f.addr = s.Listener.Addr().String()
	return f
}

// token makes a join token and returns the file that holds it.
func (f *founder) token(uses int, node string) string {
	f.t.Helper()
	id, token, hash, err := auth.NewJoinToken([]byte(f.meta.machine.View().CACert))
	if err != nil {
		f.t.Fatal(err)
	}
	if res, err := f.meta.propose(f.t.Context(), metastate.Command{CreateJoinToken: &metastate.CreateJoinToken{
		ID: id, Hash: hash[:], Node: node, Uses: uses, ExpiresAt: f.meta.now.Add(15 * time.Minute),
	}}); err != nil || res.Err() != nil {
		f.t.Fatal(err, res.Err())
	}
	return tokenFile(f.t, token)
}

func tokenFile(t testing.TB, token string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(p, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// wantExit checks an error's exit code and text, and that it holds no secret.
func wantExit(t testing.TB, err error, code int, text string) {
	t.Helper()
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != code || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v (%#v), want exit %d and %q", err, err, code, text)
	}
}

func wantNothing(t testing.TB, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		left, _ := os.ReadDir(dir)
		t.Fatalf("%s is left behind: %v", dir, left)
	}
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	cfg := testConfig(dir, 7000)
	res, err := Init(cfg, testInit)
	if err != nil {
		t.Fatal(err)
	}
	id, err := LoadIdentity(dir)
	if err != nil || id.Node != 1 || id.ClusterID != res.ClusterID || id.Name != "n1" {
		t.Fatalf("identity %+v, %v", id, err)
	}
	b, err := auth.LoadBundle(certsPath(dir))
	if err != nil || b.Identity.Node != 1 || b.Identity.Cluster != id.ClusterID {
		t.Fatalf("certificates: %+v, %v", b, err)
	}
	// psql with verify-full goes by the address that it dials.
	if err := b.Certificate().VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if err := b.Certificate().VerifyHostname("localhost"); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"certs/ca.key", "certs/node.key", "gossip.key", "init.json", "creds/root.key", "creds/root.password", "creds/admin.token"} {
		fi, err := os.Stat(filepath.Join(dir, secret))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", secret, fi, err)
		}
	}
	checkCreds(t, dir)
	_, err = Init(cfg, testInit)
	wantExit(t, err, ExitDataDir, "in use")
}

// checkCreds compares the credentials with what the first start will store.
func checkCreds(t *testing.T, dir string) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var rec bootstrapRecord
	if err := json.Unmarshal(read("init.json"), &rec); err != nil {
		t.Fatal(err)
	}
	id, hash, err := auth.ParseBearer(string(read("creds/admin.token")))
	if err != nil || len(rec.Tokens) != 1 || rec.Tokens[0].ID != id || string(rec.Tokens[0].Hash) != string(hash[:]) {
		t.Errorf("token: %+v, %v", rec.Tokens, err)
	}
	if len(rec.Users) != 1 || rec.Users[0].AdminRole != "admin" || !auth.IsSCRAMVerifier(rec.Users[0].Verifier) {
		t.Errorf("users: %+v", rec.Users)
	}
	if strings.Contains(string(read("init.json")), strings.TrimSpace(string(read("creds/root.password")))) {
		t.Error("init.json holds the password")
	}
	var c struct{ Contexts []map[string]any }
	if err := yaml.Unmarshal(read("creds/context.yaml"), &c); err != nil || len(c.Contexts) != 1 {
		t.Fatalf("context: %+v, %v", c, err)
	}
	for _, key := range []string{"ca", "cert", "key", "sqlPasswordFile"} {
		read(filepath.Join("creds", fmt.Sprint(c.Contexts[0][key])))
	}
}

func TestInitRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		mut  func(*Config, *InitOptions)
		code int
		text string
	}{
		"ranges":                    {func(_ *Config, o *InitOptions) { o.Ranges = 1025 }, ExitUsage, "--ranges"},
		"replicas":                  {func(_ *Config, o *InitOptions) { o.Replicas = 2 }, ExitUsage, "--replicas"},
		"name":                      {func(_ *Config, o *InitOptions) { o.Name = "a b\x1b[2J" }, ExitUsage, "--name"},
		"a name for another number": {func(_ *Config, o *InitOptions) { o.Name = "n7" }, ExitUsage, "use n1, or a name that is no number"},
		"a name that is a number":   {func(_ *Config, o *InitOptions) { o.Name = "1" }, ExitUsage, "write it as n4"},
		"address":                   {func(c *Config, _ *InitOptions) { c.ListenRPC = "x" }, ExitUsage, "--listen-rpc"},
		"creds in use": {func(c *Config, o *InitOptions) {
			o.CredsDir = filepath.Join(filepath.Dir(c.DataDir), "creds")
			if err := os.MkdirAll(filepath.Join(o.CredsDir, "x"), 0o700); err != nil {
				panic(err)
			}
		}, ExitDataDir, "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, o := testConfig(filepath.Join(t.TempDir(), "d"), 7000), testInit
			tt.mut(&cfg, &o)
			_, err := Init(cfg, o)
			wantExit(t, err, tt.code, tt.text)
			wantNothing(t, cfg.DataDir)
		})
	}
}

func TestFirstDescriptors(t *testing.T) {
	for _, count := range []int{1, 3, 7, 64, 100, 1000, 1024} {
		next := cluster.VShard(0).Key()
		least, most := cluster.VShards, 0
		for _, d := range firstDescriptors(1, count) {
			if err := d.Validate(); err != nil {
				t.Fatal(count, err)
			}
			if d.IsMeta() {
				continue
			}
			if d.Start != next {
				t.Fatalf("%d ranges: one begins at %s, not %s", count, d.Start, next)
			}
			next = d.End
			least, most = min(least, int(d.End.VShard()-d.Start.VShard())), max(most, int(d.End.VShard()-d.Start.VShard()))
		}
		if next.VShard() != cluster.VShards || most-least > 1 {
			t.Errorf("%d ranges end at %s, of %d to %d vshards", count, next, least, most)
		}
	}
}

func TestJoin(t *testing.T) {
	f := newFounder(t)
	dir := filepath.Join(t.TempDir(), "n2")
	cfg, o := testConfig(dir, 7010), JoinOptions{Peer: f.addr, TokenFile: f.token(1, ""), Name: "beta"}
	id, err := Join(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	if id.Node != 2 || id.Name != "beta" || id.ClusterID != f.server.id.ClusterID {
		t.Errorf("identity %+v", id)
	}
	if book, err := openPeerBook(dir); err != nil || len(book.mu.stored) != 1 || book.mu.stored[0].RPC != "127.0.0.1:7001" {
		t.Errorf("addresses of the others: %+v, %v", book, err)
	}
	b, err := auth.LoadBundle(certsPath(dir))
	if err != nil || b.Identity.Node != 2 {
		t.Fatalf("certificates: %+v, %v", b, err)
	}
	if text, err := auth.ReadSecret(gossipKeyPath(dir)); err != nil || string(text) != string(gossip.EncodeKeys(f.server.keys())) {
		t.Errorf("gossip key: %v", err)
	}
	if got, err := LoadConfig(dir, ConfigPath(dir)); err != nil || got.ListenSQL != cfg.ListenSQL {
		t.Errorf("configuration: %+v, %v", got, err)
	}
	if n := f.meta.machine.View().Nodes[2]; n == nil || n.UUID != id.UUID || n.Membership != cluster.Joining {
		t.Errorf("record %+v", n)
	}
	// Asking again changes nothing.
	again, err := Join(t.Context(), cfg, o)
	if err != nil || again.UUID != id.UUID {
		t.Errorf("again: %+v, %v", again, err)
	}
	// The token is used up for others.
	other := testConfig(filepath.Join(t.TempDir(), "n3"), 7020)
	_, err = Join(t.Context(), other, JoinOptions{Peer: f.addr, TokenFile: o.TokenFile})
	wantExit(t, err, ExitIdentity, "used up")
	wantNothing(t, other.DataDir)
}

// A join whose answer was lost goes on with the same key and gets the same node.
func TestJoinGoesOn(t *testing.T) {
	f := newFounder(t)
	dir := filepath.Join(t.TempDir(), "n2")
	cfg, o := testConfig(dir, 7010), JoinOptions{Peer: f.addr, TokenFile: f.token(1, "")}
	propose := f.server.propose
	f.server.propose = func(ctx context.Context, c metastate.Command) (metastate.Result, error) {
		if _, err := propose(ctx, c); err != nil {
			return metastate.Result{}, err
		}
		return metastate.Result{}, errors.New("the answer was lost")
	}
	_, err := Join(t.Context(), cfg, o)
	wantExit(t, err, ExitUnreachable, "repeat the same command")
	f.server.propose = propose
	// Not with another token: the first one may have been consumed.
	_, err = Join(t.Context(), cfg, JoinOptions{Peer: f.addr, TokenFile: f.token(1, "")})
	wantExit(t, err, ExitDataDir, "another token")
	id, err := Join(t.Context(), cfg, o)
	if err != nil || id.Node != 2 || len(f.meta.machine.View().Nodes) != 2 {
		t.Fatalf("got %+v, %v", id, err)
	}
	if _, err := os.Stat(pendingPath(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("join.json is left: %v", err)
	}
}

func TestJoinRefusals(t *testing.T) {
	f, stranger := newFounder(t), newFounder(t)
	good := func() string { return f.token(1, "") }
	edit := func(path string, mut func(string) string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return tokenFile(t, mut(strings.TrimSpace(string(b))))
	}
	open := good()
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tests := []struct {
		name, peer, token string
		mut               func(*Config, *JoinOptions)
		code              int
		text              string
	}{
		{"another cluster", stranger.addr, good(), nil, ExitIdentity, "nothing was sent"},
		{"unreachable", "127.0.0.1:1", good(), nil, ExitUnreachable, "cannot reach the cluster at 127.0.0.1:1"},
		{"no TLS", plain.Listener.Addr().String(), good(), nil, ExitUnreachable, "cannot reach the cluster"},
		{"no port", "somewhere", good(), nil, ExitUsage, "--peer"},
		{"no token", f.addr, filepath.Join(t.TempDir(), "none"), nil, ExitUsage, "no such file"},
		{"open token", f.addr, open, nil, ExitUsage, "chmod 600"},
		{"garbage", f.addr, tokenFile(t, "hello"), nil, ExitUsage, "not a join token"},
		{"unknown token", f.addr, edit(good(), func(s string) string { return strings.Replace(s, s[9:17], "aaaaaaaa", 1) }), nil, ExitIdentity, "not known"},
		{"wrong secret", f.addr, edit(good(), func(s string) string { return s[:18] + strings.Repeat("A", 32) + s[50:] }), nil, ExitIdentity, "not known"},
		{"for another name", f.addr, f.token(1, "gamma"), nil, ExitIdentity, `for the node named "gamma"`},
		{"name taken", f.addr, good(), func(_ *Config, o *JoinOptions) { o.Name = "n1" }, ExitUsage, "taken"},
		{"bad name", f.addr, good(), func(_ *Config, o *JoinOptions) { o.Name = "a/b" }, ExitUsage, "--name"},
		{"bad address", f.addr, good(), func(c *Config, _ *JoinOptions) { c.ListenSQL = "0.0.0.0:5" }, ExitUsage, "--advertise-host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, o := testConfig(filepath.Join(t.TempDir(), "d"), 7010), JoinOptions{Peer: tt.peer, TokenFile: tt.token}
			if tt.mut != nil {
				tt.mut(&cfg, &o)
			}
			_, err := Join(t.Context(), cfg, o)
			wantExit(t, err, tt.code, tt.text)
			wantNothing(t, cfg.DataDir)
			if b, _ := os.ReadFile(tt.token); len(b) > 60 && strings.Contains(err.Error(), string(b[18:50])) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
	if *stranger.seen != 0 {
		t.Error("the other cluster got a request")
	}
	if n := len(f.meta.machine.View().Nodes); n != 1 {
		t.Errorf("%d nodes", n)
	}
}

func TestJoinExpires(t *testing.T) {
	f := newFounder(t)
	token := f.token(1, "")
	f.meta.now = f.meta.now.Add(time.Hour)
	_, err := Join(t.Context(), testConfig(filepath.Join(t.TempDir(), "d"), 7010), JoinOptions{Peer: f.addr, TokenFile: token})
	wantExit(t, err, ExitIdentity, "expired")
}

func TestJoinWithoutCAKey(t *testing.T) {
	f := newFounder(t)
	if err := os.Remove(filepath.Join(f.server.certDir, auth.CAKeyFile)); err != nil {
		t.Fatal(err)
	}
	_, err := Join(t.Context(), testConfig(filepath.Join(t.TempDir(), "d"), 7010), JoinOptions{Peer: f.addr, TokenFile: f.token(1, "")})
	wantExit(t, err, ExitIdentity, "holds no CA key")
}

// A directory that is somebody's is not touched.
func TestJoinIntoAnotherCluster(t *testing.T) {
	f, other := newFounder(t), newFounder(t)
	_, err := Join(t.Context(), testConfig(other.dir, 7010), JoinOptions{Peer: f.addr, TokenFile: f.token(1, "")})
	wantExit(t, err, ExitIdentity, "another cluster")
	if _, err := auth.LoadBundle(certsPath(other.dir)); err != nil {
		t.Error(err)
	}
	busy := t.TempDir()
	if err := os.WriteFile(filepath.Join(busy, "photo"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Join(t.Context(), testConfig(busy, 7010), JoinOptions{Peer: f.addr, TokenFile: f.token(1, "")})
	wantExit(t, err, ExitDataDir, "in use")
}

// brokenBody fails the test that reads it.
type brokenBody struct{ t *testing.T }

func (b brokenBody) Read([]byte) (int, error) {
	b.t.Error("a stranger's body was read")
	return 0, io.EOF
}

// Whoever has no token makes the meta range do nothing, is refused before the
// body is read, and leaves a record on this node, without a word of its own.
func TestJoinServerLimitsStrangers(t *testing.T) {
	f := newFounder(t)
	post := func(token string) int {
		r := httptest.NewRequest(http.MethodPost, "/join", brokenBody{t})
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, r)
		return w.Code
	}
	before := f.meta.calls
	codes := map[int]int{}
	_, unknown, _, err := auth.NewJoinToken([]byte(f.meta.machine.View().CACert))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		codes[post(unknown)]++
	}
	if codes[http.StatusTooManyRequests] < 80 || codes[http.StatusForbidden] == 0 || f.asked > 20 || f.meta.calls != before {
		t.Errorf("answers %v, %d questions, %d proposals", codes, f.asked, f.meta.calls-before)
	}
	known, err := os.ReadFile(f.token(1, ""))
	if err != nil {
		t.Fatal(err)
	}
	before, f.asked = f.meta.calls, 0
	parts := strings.Split(strings.TrimSpace(string(known)), ".")
	parts[2] = strings.Split(unknown, ".")[2]
	if code := post(strings.Join(parts, ".")); code != http.StatusForbidden || f.meta.calls != before || f.asked != 0 {
		t.Errorf("known token, wrong secret: HTTP %d, %d proposals", code, f.meta.calls-before)
	}
	for _, none := range []string{"", "ndb_x_y", "ndbjoin1.aaaaaaaa.x.y", strings.Repeat("x", 5000)} {
		if code := post(none); code != http.StatusForbidden {
			t.Errorf("token %.20q: HTTP %d", none, code)
		}
	}
	whys := map[string]int{}
	for _, e := range f.denied {
		whys[e.Why]++
		if e.Action != "Join" || e.Decision != metastate.DecisionRefused || e.Source != "192.0.2.1" || e.User != "" {
			t.Errorf("recorded %+v", e)
		}
	}
	if whys["unknown join token"] < 2 || whys["no join token"] != 4 || len(whys) != 3 {
		t.Errorf("recorded %v", whys)
	}
}

// A token that this node has not heard of yet is good: the node asks first.
func TestJoinWithATokenThatIsNew(t *testing.T) {
	f := newFounder(t)
	behind := *f.meta.machine.View()
	token := f.token(1, "")
	f.server.view = func() *metastate.View {
		if f.asked == 0 {
			return &behind
		}
		return f.meta.machine.View()
	}
	if _, err := Join(t.Context(), testConfig(filepath.Join(t.TempDir(), "n2"), 7010), JoinOptions{Peer: f.addr, TokenFile: token}); err != nil || f.asked != 1 {
		t.Errorf("got %v, asked %d times", err, f.asked)
	}
	f = newFounder(t)
	f.server.view = func() *metastate.View { return &behind }
	f.server.catchUp = func(context.Context) error { return errors.New("no leader") }
	_, err := Join(t.Context(), testConfig(filepath.Join(t.TempDir(), "n2"), 7010), JoinOptions{Peer: f.addr, TokenFile: f.token(1, "")})
	wantExit(t, err, ExitUnreachable, "repeat the same command later")
}

func TestJoinRequestIsChecked(t *testing.T) {
	cfg := testConfig("d", 7010)
	good := joinRequest{UUID: "7c9e6679-7425-40de-944b-e07fc1f90ae7", Addresses: cfg.Advertised(), Version: "v1"}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, mut := range map[string]func(*joinRequest){
		"uuid":                 func(r *joinRequest) { r.UUID = "x" },
		"version":              func(r *joinRequest) { r.Version = "\x1b[2J" },
		"name":                 func(r *joinRequest) { r.Name = "\x1b[2J" },
		"locality":             func(r *joinRequest) { r.Locality = "\x1b[2J" },
		"another node's name":  func(r *joinRequest) { r.Addresses.RPC = "node.1:6433" },
		"every address":        func(r *joinRequest) { r.Addresses.Gossip = "0.0.0.0:1" },
		"address without port": func(r *joinRequest) { r.Addresses.Admin = "h" },
	} {
		r := good
		mut(&r)
		if r.check() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzJoinAnswers(f *testing.F) {
	b, err := json.Marshal(joinResponse{ClusterID: "c", Node: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(200, b)
	f.Add(403, []byte(`{"error":"no"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r, err := readJoinAnswer(status, body)
		var exit *ExitError
		if (r == nil) == (err == nil) || err != nil && !errors.As(err, &exit) {
			t.Fatalf("got %+v, %v", r, err)
		}
	})
}
