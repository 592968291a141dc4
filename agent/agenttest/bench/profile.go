package bench

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest"
)

// profile writes CPU profiles of our nodes into $BENCH_PROFILE while 64 clients
// are at work, over all turns: a node that waits for its turn adds nothing.
func (b *bench) profile(t *testing.T, what string, clients, contenders int) (wait func()) {
	t.Helper()
	if b.opts.Profile == "" || clients != 64 {
		return func() {}
	}
	creds := b.c.CredsDir()
	pair, err := tls.LoadX509KeyPair(filepath.Join(creds, "root.crt"), filepath.Join(creds, "root.key"))
	b.must(t, err)
	ca, err := os.ReadFile(filepath.Join(creds, "ca.crt")) //nolint:gosec // the cluster's own directory
	b.must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	seconds := int((b.opts.Turn + warmup).Seconds() * float64(b.opts.Rounds*contenders))
	var wg sync.WaitGroup
	for _, n := range b.c.Nodes() {
		wg.Go(func() {
			if err := fetchProfile(t, web, n, seconds, filepath.Join(b.opts.Profile, what+"-"+n.Name+".pprof")); err != nil {
				t.Errorf("profile %s: %v", n.Name, err)
			}
		})
	}
	return wg.Wait
}

func fetchProfile(t *testing.T, web *http.Client, n *agenttest.Node, seconds int, path string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%s/debug/pprof/profile?seconds=%d", n.Admin, seconds), nil)
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the node answers %s", resp.Status)
	}
	f, err := os.Create(path) //nolint:gosec // the user's directory
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
