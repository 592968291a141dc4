package agent

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAlertsNameMetrics holds docs/alerts.yml true: an alert on a metric that
// nobody exports would never fire.
func TestAlertsNameMetrics(t *testing.T) {
	alerts, err := os.ReadFile("../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, file := range []string{"metrics.go", "leasemetrics.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	names := regexp.MustCompile(`\bnodedb_[a-z_]+`).FindAllString(string(alerts), -1)
	if len(names) < 5 {
		t.Fatalf("found only %d metrics in docs/alerts.yml", len(names))
	}
	for _, name := range names {
		if !strings.Contains(string(source), `desc("`+strings.TrimPrefix(name, "nodedb_")+`"`) {
			t.Errorf("docs/alerts.yml uses %s, which no node exports", name)
		}
	}
}

// TestLinksOfTheDocs: at 3 a.m. a link leads to the section that it names.
func TestLinksOfTheDocs(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../README.md", "../docs/*.md", "../docs/adr/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	link := regexp.MustCompile(`\]\(([^()\s]*\.(?:md|yml))?(#[^()\s]+)?\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to := file
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(file), m[1])
			}
			if strings.Contains(m[1], "://") {
				continue
			}
			target, err := os.ReadFile(to)
			if err != nil || m[2] != "" && !hasSection(string(target), m[2][1:]) {
				t.Errorf("%s: the link %s%s leads nowhere (%v)", file, m[1], m[2], err)
			}
		}
	}
}

// hasSection reports whether a heading has the anchor: lower case, hyphens for
// blanks, nothing else but letters and digits.
func hasSection(text, anchor string) bool {
	other := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		if strings.ReplaceAll(other.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
