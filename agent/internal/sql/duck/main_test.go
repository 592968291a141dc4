package duck

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/worker"
)

func TestMain(m *testing.M) {
	if worker.Requested() {
		os.Exit(worker.Main())
	}
	goleak.VerifyTestMain(m)
}
