package agent

import (
	"os"
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
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bnodedb_[a-z_]+`).FindAllString(string(alerts), -1)
	if len(names) < 5 {
		t.Fatalf("found only %d metrics in docs/alerts.yml", len(names))
	}
	for _, name := range names {
		if !strings.Contains(string(source), `desc("`+strings.TrimPrefix(name, "nodedb_")+`"`) {
			t.Errorf("docs/alerts.yml uses %s, which metrics.go does not export", name)
		}
	}
}
