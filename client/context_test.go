package client

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContextFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "context.yaml")
	f, err := ReadFile(path)
	if err != nil {
		t.Fatalf("a file that does not exist: %v", err)
	}
	if _, err := f.Select(""); !errors.Is(err, ErrNoContext) {
		t.Errorf("nothing to choose: got %v", err)
	}
	f.Put(Context{Name: "a", Addrs: []string{"h:1", "h:2"}, CA: "ca.crt", Cert: "/abs/c.crt", Key: "k"})
	f.Put(Context{Name: "b", Addrs: []string{"h:3"}, Protected: true})
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v %v, want 0600", info.Mode(), err)
	}
	g, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Select("")
	if err != nil || c.Name != "a" || c.CA != filepath.Join(filepath.Dir(path), "ca.crt") || c.Cert != "/abs/c.crt" {
		t.Errorf("current: got %+v %v", c, err)
	}
	if !g.Remove("a") || g.Remove("a") || g.Current != "" {
		t.Errorf("remove: %+v", g)
	}
	if c, err := g.Select(""); err != nil || c.Name != "b" || !c.Protected {
		t.Errorf("the only one left: got %+v %v", c, err)
	}
}

func TestContextFileMistakes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"unknown key": "contexts:\n  - name: a\n    adresses: [x]\n",
		"newer":       "version: 99\n",
		"twice":       "contexts:\n  - name: a\n  - name: a\n",
		"nameless":    "contexts:\n  - addrs: [x]\n",
		"no yaml":     "\t{",
	} {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}

func TestSecretsThatOthersCanReadAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(" secret \n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(Context{Name: "a", Addrs: []string{"h:1"}, TokenFile: path})
	if err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "secret ") {
		t.Errorf("got %v, want the cure", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := readSecret(path); err != nil || s != "secret" {
		t.Errorf("got %q %v", s, err)
	}
	// So are keys, whichever way they are read.
	key := filepath.Join(t.TempDir(), "root.key")
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		if err := errors.Join(os.WriteFile(key, []byte("-----BEGIN"), 0o600), os.Chmod(key, mode)); err != nil {
			t.Fatal(err)
		}
		c := Context{Name: "a", Addrs: []string{"h:1"}, Cert: path, Key: key}
		_, err := Dial(c)
		_, uerr := c.User()
		for _, err := range []error{err, uerr} {
			if err == nil || !strings.Contains(err.Error(), "chmod 600 "+key) {
				t.Errorf("a key of mode %v: got %v, want the cure", mode, err)
			}
		}
	}
	for name, c := range map[string]Context{
		"no address":       {},
		"no port":          {Addrs: []string{"host"}},
		"cert without key": {Addrs: []string{"h:1"}, Cert: path},
		"no such CA":       {Addrs: []string{"h:1"}, CA: path + "x"},
		"CA is no cert":    {Addrs: []string{"h:1"}, CA: path},
	} {
		if _, err := Dial(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzContextFile(f *testing.F) {
	f.Add([]byte("version: 1\ncurrent: a\ncontexts:\n  - name: a\n    addrs: [\"h:1\"]\n"))
	f.Add([]byte("contexts: [{name: a, addrs: &x [*x]}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := &File{path: "/dir/context.yaml"}
		if err := file.decode(b); err != nil {
			return
		}
		if c, err := file.Select(""); err == nil && file.index(c.Name) < 0 {
			t.Errorf("selected %q, which is not there", c.Name)
		}
	})
}
