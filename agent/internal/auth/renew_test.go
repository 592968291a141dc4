package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// nodeDir is a certificate directory of node 1.
func nodeDir(t *testing.T, ca *CA) string {
	t.Helper()
	dir := t.TempDir()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueNode(testCluster, 1, nil, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := KeyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{CACertFile: ca.CertPEM(), CAKeyFile: caKey, NodeCertFile: cert, NodeKeyFile: keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestReplaceNodeSurvivesCrashes stops the replacement between any two of its
// steps: what is found next is the old pair or the new one.
func TestReplaceNodeSurvivesCrashes(t *testing.T) {
	ca := newCA(t, testCluster)
	dir := nodeDir(t, ca)
	old, err := OpenSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := old.Current().Identity.Serial
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueNodeFor(time.Hour, testCluster, 1, nil, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := KeyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := func(what string, renewed bool) {
		t.Helper()
		s, err := OpenSource(dir)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := s.Current().Identity.Serial != before; got != renewed {
			t.Errorf("%s: renewed %v, want %v", what, got, renewed)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*"+newSuffix)); len(left) > 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
	write(NodeCertFile+newSuffix, cert)
	write(NodeKeyFile+newSuffix, keyPEM)
	open("before the first rename", false)
	write(NodeKeyFile, keyPEM)
	write(NodeCertFile+newSuffix, cert)
	open("between the renames", true)
	if err := ReplaceNode(dir, cert, key); err != nil {
		t.Fatal(err)
	}
	open("whole", true)
}

func TestRenewAfterTwoThirds(t *testing.T) {
	ca := newCA(t, testCluster)
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := ca.IssueNodeFor(3*time.Hour, testCluster, 1, nil, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	certs, err := ParseCerts(text)
	if err != nil {
		t.Fatal(err)
	}
	life := certs[0].NotAfter.Sub(certs[0].NotBefore)
	if got := RenewAfter(certs[0]).Sub(certs[0].NotBefore); got != life*2/3 {
		t.Errorf("renewed after %s of %s", got, life)
	}
}

func TestCAIsStagedAndActivated(t *testing.T) {
	ca := newCA(t, testCluster)
	dir := nodeDir(t, ca)
	next, err := StageCA(dir, testCluster, none)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := StageCA(dir, testCluster, none); err != nil || !bytes.Equal(again, next) {
		t.Errorf("staged again: another CA, %v", err)
	}
	certs, err := ParseCerts(next)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := ActivateCA(dir, "another"); done || err != nil {
		t.Errorf("activate another: %v %v", done, err)
	}
	both := append(ca.CertPEM(), next...)
	if err := ReplaceRoots(dir, both); err != nil {
		t.Fatal(err)
	}
	if done, err := ActivateCA(dir, Fingerprint(certs[0])); !done || err != nil {
		t.Fatalf("activate: %v %v", done, err)
	}
	signs, err := LoadCA(dir, none)
	if err != nil || Fingerprint(signs.Cert()) != Fingerprint(certs[0]) {
		t.Errorf("the CA that signs is %v, %v", signs, err)
	}
	if done, err := ActivateCA(dir, Fingerprint(certs[0])); done || err != nil {
		t.Errorf("activated again: %v %v", done, err)
	}
	// The node's certificate is still of the old CA: it may not lose that root.
	if err := ReplaceRoots(dir, next); err == nil {
		t.Error("the root of the node's own certificate was removed")
	}
	if err := os.Remove(filepath.Join(dir, CAKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := StageCA(dir, testCluster, none); err == nil {
		t.Error("a node without the CA's key stages one")
	}
}

func TestChangedFilesAreNoticed(t *testing.T) {
	dir := nodeDir(t, newCA(t, testCluster))
	s, err := OpenSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Changed() {
		t.Error("changed right after it was read")
	}
	if err := os.WriteFile(filepath.Join(dir, NodeCertFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := s.Current()
	if !s.Changed() || s.Reload() == nil || s.Current() != before {
		t.Error("a broken file: it must be noticed, refused, and leave the old one in force")
	}
	if s.Changed() {
		t.Error("the same broken file is noticed again and again")
	}
}
