package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestConfigRoundTrip(t *testing.T) {
	dir := t.TempDir()
	c := DefaultConfig(dir)
	c.Locality, c.AdvertiseHost, c.ListenSQL = "region=eu,zone=a", "db1.example", "0.0.0.0:1"
	text, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ConfigPath(dir), text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(dir, ConfigPath(dir))
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Fatalf("got %+v, %v; want %+v", got, err, c)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	if a := got.Advertised(); a.SQL != "db1.example:1" || a.Gossip != "db1.example:6434" {
		t.Errorf("advertised %+v", a)
	}
}

func TestConfigUnknownKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.yaml")
	for text, want := range map[string]string{
		"listenSqll: 127.0.0.1:1\n":  "listenSqll",
		"cacheBytes: many\n":         "int64",
		"electionTimeout: 1 hour\n":  "into time.Duration",
		"listenSql: [1\n":            "yaml",
		"dataDir: /somewhere/else\n": "dataDir",
		"":                           "is empty",
		"# nothing\n":                "is empty",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig("d", path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	c := DefaultConfig("")
	c.ListenSQL, c.ListenRPC, c.ListenGossip, c.ListenAdmin = "nonsense", "127.0.0.1:http", "0.0.0.0:1", "[::]:70000"
	c.ElectionTimeout, c.CacheBytes, c.MaxConnections, c.LogLevel, c.Locality = 1, 1, 0, "loud", "eu; rm -rf"
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"no data directory", `--listen-sql "nonsense"`, `--listen-rpc "127.0.0.1:http"`, "--listen-gossip \"0.0.0.0:1\" listens on every address",
		`--listen-admin "[::]:70000" is not host:port`, "electionTimeout", "cacheBytes", "maxConnections", "logLevel", "locality",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	ok := DefaultConfig("d")
	for _, host := range []string{"0.0.0.0", "node.2", "a b"} {
		ok.AdvertiseHost = host
		if ok.Validate() == nil {
			t.Errorf("--advertise-host %q was accepted", host)
		}
		if listens := DefaultConfig("d"); host != "0.0.0.0" {
			listens.ListenAdmin = host + ":6480"
			if listens.Validate() == nil {
				t.Errorf("--listen-admin %q was accepted", listens.ListenAdmin)
			}
		}
	}
}

func FuzzDecodeConfig(f *testing.F) {
	c := DefaultConfig("d")
	text, err := c.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("listenSql: 12\t..0.1:6"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := DefaultConfig("d")
		if c.decode(text) != nil || c.Validate() != nil {
			return
		}
		if a := c.Advertised(); checkAddresses(a) != nil {
			t.Fatalf("a valid configuration advertises %+v", a)
		}
	})
}
