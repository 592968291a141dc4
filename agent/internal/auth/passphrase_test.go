package auth

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// none is no passphrase.
var none = &Passphrase{}

func passphrase(t *testing.T, text string) *Passphrase {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := ReadPassphrase(path)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSealedCAKey keeps a CA's key encrypted through a move and a rotation.
func TestSealedCAKey(t *testing.T) {
	ca := newCA(t, testCluster)
	dir, pass := nodeDir(t, ca), passphrase(t, "correct horse")
	plain, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := TakeCAKey(dir, plain, pass); err != nil || got.Pin() != ca.Pin() {
		t.Fatalf("taken: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, CAKeyFile))
	if err != nil || bytes.Contains(text, []byte("BEGIN PRIVATE KEY")) {
		t.Errorf("ca.key is not encrypted: %v\n%s", err, text)
	}
	for name, p := range map[string]*Passphrase{"another": passphrase(t, "wrong"), "none": none, "unreadable": ReadPassphrase(filepath.Join(dir, "nowhere"))} {
		for range 2 {
			if _, err := LoadCA(dir, p); !errors.Is(err, ErrSealed) {
				t.Errorf("%s: got %v, want that it cannot be opened", name, err)
			}
		}
		if _, err := StageCA(dir, testCluster, p); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: staged: %v", name, err)
		}
	}
	t.Setenv(PassphraseVariable, "correct horse")
	if _, err := LoadCA(dir, ReadPassphrase("")); err != nil {
		t.Errorf("passphrase of the environment: %v", err)
	}
	next, err := StageCA(dir, testCluster, pass)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := StageCA(dir, testCluster, pass); err != nil || !bytes.Equal(again, next) {
		t.Errorf("staged again: another CA, %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, NextCAKeyFile)); err != nil || bytes.Contains(text, []byte("BEGIN PRIVATE KEY")) {
		t.Errorf("ca-next.key is not encrypted: %v", err)
	}
	write(t, dir, CAKeyFile, bytes.Replace(text, []byte("Salt: "), []byte("Salt: x"), 1), 0o600)
	if _, err := LoadCA(dir, pass); !errors.Is(err, ErrSealed) {
		t.Errorf("damaged: %v", err)
	}
}

// TestUnreadablePassphrase: a node that should encrypt never writes in the clear.
func TestUnreadablePassphrase(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "open", []byte("x"), 0o644)
	write(t, dir, "empty", []byte("\n"), 0o600)
	for _, name := range []string{"open", "empty", "nowhere"} {
		p := ReadPassphrase(filepath.Join(dir, name))
		if _, err := newCA(t, testCluster).SealedPEM(p); err == nil || p.Err() == nil {
			t.Errorf("%s: written, though the passphrase cannot be read", name)
		}
	}
}
