package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestEmptyStore begins where a crash may have left an earlier attempt.
func TestEmptyStore(t *testing.T) {
	for name, crash := range map[string]func(t *testing.T, dir string){
		"the first time": func(*testing.T, string) {},
		"before the new store is in place": func(t *testing.T, dir string) {
			must(t, os.Mkdir(freshStorePath(dir), 0o700), os.WriteFile(filepath.Join(freshStorePath(dir), "junk"), nil, 0o600))
		},
		"between the two": func(t *testing.T, dir string) {
			must(t, os.Rename(storePath(dir), lostStorePath(dir)), os.Mkdir(freshStorePath(dir), 0o700))
		},
		"before the old store is removed": func(t *testing.T, dir string) { must(t, os.Mkdir(lostStorePath(dir), 0o700)) },
		"a store that was deleted":        func(t *testing.T, dir string) { must(t, os.RemoveAll(storePath(dir))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "n1")
			if _, err := Init(DefaultConfig(dir), testInit); err != nil {
				t.Fatal(err)
			}
			id, err := LoadIdentity(dir)
			must(t, err)
			plantStore(t, dir, id.UUID)
			crash(t, dir)
			answer := &resetAnswer{
				ResetGrant: operation.ResetGrant{Generation: 1, Lost: []operation.LostReplica{{Range: 7, Replica: 1, Next: 4}}},
				Peers:      []PeerAddress{{Node: 2, UUID: "u2", RPC: "a:1", Gossip: "a:2", Admin: "a:3"}},
			}
			must(t, emptyStore(dir, id, answer))
			if book, err := openPeerBook(dir); err != nil || len(book.mu.stored) != 1 || book.mu.stored[0] != answer.Peers[0] {
				t.Errorf("peers %+v %v, want the one that the cluster told", book, err)
			}
			for _, path := range []string{freshStorePath(dir), lostStorePath(dir)} {
				if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", path, err)
				}
			}
			e, err := storage.Open(storage.Options{Dir: storePath(dir)})
			must(t, err)
			defer e.Close()
			if next, err := replica.Tombstone(e, 7); err != nil || next != 4 {
				t.Errorf("tombstone %d %v, want 4", next, err)
			}
			if ids, err := replica.List(e); err != nil || len(ids) > 0 {
				t.Errorf("replicas %v %v, want none", ids, err)
			}
			id.Started = true
			if err := (&Node{cfg: DefaultConfig(dir), id: id, engine: e}).checkStore(); err != nil {
				t.Errorf("the node does not take the store for its own: %v", err)
			}
		})
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestResetIsForNodes(t *testing.T) {
	const clusterID = "c1"
	ca, err := auth.NewCA(clusterID)
	must(t, err)
	key, err := auth.NewKey()
	must(t, err)
	cert := func(text []byte, err error) *x509.Certificate {
		must(t, err)
		block, _ := pem.Decode(text)
		c, err := x509.ParseCertificate(block.Bytes)
		must(t, err)
		return c
	}
	node := cert(ca.IssueNode(clusterID, 3, nil, key.Public()))
	var asked operation.ResetRequest
	grant, fails := operation.ResetGrant{Generation: 1}, error(nil)
	s := &resetServer{
		clusterID: clusterID, view: metastate.New().View, failed: func(error) {},
		ask: func(_ context.Context, r operation.ResetRequest) (operation.ResetGrant, error) {
			asked = r
			return grant, fails
		},
	}
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		body string
		fail error
		want int
		text string
	}{
		{"nobody", nil, `{"uuid":"u3"}`, nil, http.StatusForbidden, "only a node"},
		{"a user", cert(ca.IssueClient(clusterID, "root", key.Public())), `{"uuid":"u3"}`, nil, http.StatusForbidden, "not a node"},
		{"a node of another cluster", cert(ca.IssueNode("c2", 3, nil, key.Public())), `{"uuid":"u3"}`, nil, http.StatusForbidden, "belongs to cluster c2"},
		{"another version", node, `{"uuid":"u3","force":true}`, nil, http.StatusBadRequest, "this version"},
		{"without a quorum", node, `{"uuid":"u3"}`, errors.New("no leader"), http.StatusServiceUnavailable, "no quorum"},
		{"a node", node, `{"uuid":"u3"}`, nil, http.StatusOK, `"generation":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked, fails = operation.ResetRequest{}, c.fail
			r := httptest.NewRequest(http.MethodPost, "/reset", strings.NewReader(c.body))
			if c.cert != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.cert}, VerifiedChains: [][]*x509.Certificate{{c.cert}}}
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.want || !strings.Contains(w.Body.String(), c.text) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.want, c.text)
			}
			if may := c.want == http.StatusOK || c.fail != nil; may != (asked == operation.ResetRequest{Node: 3, UUID: "u3"}) {
				t.Errorf("asked for %+v", asked)
			}
		})
	}
}
