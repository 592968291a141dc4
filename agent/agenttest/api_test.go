package agenttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExamplesOfTheAPI runs every curl example of docs/API.md as it stands there.
func TestExamplesOfTheAPI(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "API.md"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(c.CredsDir(), "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	auth := filepath.Join(c.dir, "auth")
	if err := os.WriteFile(auth, append([]byte("Authorization: Bearer "), token...), 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 40 {
		t.Fatalf("%d examples in docs/API.md", len(blocks))
	}
	wanted := regexp.MustCompile(`# HTTP (\d+) here`)
	for _, b := range blocks {
		name := regexp.MustCompile(`Admin/(\w+)`).FindStringSubmatch(b[1])[1]
		t.Run(name, func(t *testing.T) {
			// A stream is cut off by its --max-time: that is curl's 28.
			script := "curl() { command curl -w '\\n%{http_code}' \"$@\" || [ $? = 28 ]; }\n" + b[1]
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
			cmd.Env = append(os.Environ(), "NODE=https://"+c.Node(1).Admin, "CA="+filepath.Join(c.CredsDir(), "ca.crt"), "AUTH="+auth)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			got, want := lines[len(lines)-1], "200"
			if m := wanted.FindStringSubmatch(b[1]); m != nil {
				want = m[1]
			}
			if got != want || !strings.HasPrefix(string(out), "{") {
				t.Errorf("HTTP %s, want %s: %.500s", got, want, out)
			}
		})
	}
}
