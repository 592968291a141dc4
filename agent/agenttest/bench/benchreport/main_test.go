package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	text := `{"format":1,"kind":"run","cpus":2}
{"format":1,"kind":"step","step":"insert","title":"one row"}
{"format":1,"kind":"figure","step":"insert","case":"1 client","system":"nodedb","metric":"rate","value":500,"unit":"/s","better":"more"}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "usage: benchreport FILE"},
		{[]string{path, path, path}, 2, "usage"},
		{[]string{path + "x"}, 1, "no such file"},
		{[]string{path}, 0, "500/s"},
		{[]string{"-md", path}, 0, "| insert: 1 client, rate | 500/s |"},
		{[]string{path, path}, 0, "same"},
	} {
		var out, errs bytes.Buffer
		if code := run(tt.args, &out, &errs); code != tt.code || !strings.Contains(out.String()+errs.String(), tt.want) {
			t.Errorf("benchreport %q: exit %d, want %d and %q:\n%s%s", tt.args, code, tt.code, tt.want, out.String(), errs.String())
		}
	}
}
