package client

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"token ndb_abc_DEF-1 used":                                             "token [redacted token] used",
		"join ndbjoin1.id.secret.pin":                                          "join [redacted join token]",
		`{"verifier":"SCRAM-SHA-256$4096:c2FsdA==$a+b/c=:d="}`:                 `{"verifier":"[redacted verifier]"}`,
		"Authorization: Bearer abc.def":                                        "Authorization: Bearer [redacted]",
		"password=hunter2 x":                                                   "password=[redacted] x",
		`"password": "hunter 2"`:                                               `"password": [redacted]`,
		"ALTER USER a PASSWORD 'hunter2'":                                      "ALTER USER a PASSWORD '[redacted]'",
		"postgres://a:hunter2@h/d":                                             "postgres://a:[redacted]@h/d",
		"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nx": "[redacted private key]\nx",
		"-----BEGIN PRIVATE KEY-----\ncut off":                                 "[redacted private key]",
		"nodedb_store_disk_used_bytes 12":                                      "nodedb_store_disk_used_bytes 12",
	} {
		if got := string(Redact([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("x", "y")
	f.Add("password=", "' --")
	f.Fuzz(func(t *testing.T, before, after string) {
		const planted = "ndb_plantedS3cr3t"
		if out := string(Redact([]byte(before + " " + planted + " " + after))); strings.Contains(out, "plantedS3cr3t") {
			t.Errorf("the secret is in %q", out)
		}
	})
}
