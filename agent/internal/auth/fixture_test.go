package auth

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

const testCluster = "4f0f6a4e-3b1c-4d6e-9d3a-2f1c7a9b5e11"

func newCA(t testing.TB, clusterID string) *CA {
	t.Helper()
	ca, err := NewCA(clusterID)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parseOne(t testing.TB, pem []byte) *x509.Certificate {
	t.Helper()
	cs, err := ParseCerts(pem)
	if err != nil {
		t.Fatal(err)
	}
	return cs[0]
}

func nodeSource(t testing.TB, ca *CA, clusterID string, id cluster.NodeID) *Source {
	t.Helper()
	k := newKey(t)
	pem, err := ca.IssueNode(clusterID, id, []string{"127.0.0.1", "localhost"}, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBundle([]*x509.Certificate{ca.Cert()}, parseOne(t, pem), k)
	if err != nil {
		t.Fatal(err)
	}
	return NewSource(b)
}

func clientConfig(t testing.TB, ca *CA, clusterID, user string) *tls.Config {
	t.Helper()
	k := newKey(t)
	pem, err := ca.IssueClient(clusterID, user, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert())
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost",
		Certificates: []tls.Certificate{{Certificate: [][]byte{parseOne(t, pem).Raw}, PrivateKey: k}}}
}

// handshake connects client to server over a pipe-like loopback connection and
// returns both ends' errors after one byte went each way.
func handshake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		tc := tls.Server(c, server)
		err = tc.HandshakeContext(t.Context())
		state = tc.ConnectionState()
		if err == nil {
			_, err = io.CopyN(tc, tc, 1)
		}
		done <- err
	}()
	clientErr = func() error {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		tc := tls.Client(c, client)
		if err := tc.HandshakeContext(t.Context()); err != nil {
			return err
		}
		_, werr := tc.Write([]byte{1})
		_, rerr := io.ReadFull(tc, make([]byte, 1))
		return errors.Join(werr, rerr)
	}()
	return state, <-done, clientErr
}

func write(t testing.TB, dir, name string, b []byte, mode os.FileMode) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, b, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
}
