package cert

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/client/sealedkey"
)

func TestSealedCAKeyOffline(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealedkey.Seal(der, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	file, right, wrong := write("ca.key", sealed), write("right", []byte("correct horse\n")), write("wrong", []byte("x"))
	if got, err := (&caKeyFlags{file, right}).read(); err != nil || !got.Equal(key) {
		t.Errorf("opened: %v", err)
	}
	for passphrase, want := range map[string]string{"": "--ca-passphrase-file", wrong: "passphrase is wrong", filepath.Join(dir, "nowhere"): "--ca-passphrase-file"} {
		if _, err := (&caKeyFlags{file, passphrase}).read(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("passphrase file %q: got %v, want %q", passphrase, err, want)
		}
	}
}
