package api

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/client"
)

// FuzzQuote holds curl's arguments to what a shell makes of them.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a b", "it's", `"$(rm)"`, "\\", "'", "\n"} {
		f.Add(s)
	}
	if _, err := exec.LookPath("sh"); err != nil {
		f.Skip("no sh")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // no argument holds it
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s. "+quote(s)).Output()
		if err != nil || string(out) != s+"." {
			t.Errorf("%q: the shell makes %q of it, %v", s, out, err)
		}
	})
}

// FuzzRequest: what is no request is refused; --curl never prints the token.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "ListNodes", "{}")
	f.Add("GET", "/health", "")
	f.Add("POST", "/x y", "{")
	f.Fuzz(func(t *testing.T, method, path, data string) {
		r, err := newRequest(method, path, data)
		if err != nil {
			return
		}
		cx := client.Context{Name: "c", Addrs: []string{"h:1"}, TokenFile: "/dir/token", CA: "/ca"}
		if line := curl(&cx, r, data); !strings.Contains(line, "/dir/token") || !strings.Contains(line, "curl") {
			t.Errorf("got %q", line)
		}
	})
}
