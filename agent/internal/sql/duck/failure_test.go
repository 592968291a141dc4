package duck

import (
	"errors"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// TestUnknownFailure has a text for the log, without the statement, and none of it
// for the client.
func TestUnknownFailure(t *testing.T) {
	for _, class := range []uint32{9999, classInternal} {
		err := fromWorker(&frame.Failure{Class: class, Message: "Odd Error: the wheel fell off\nLINE 1: SELECT secret"})
		cause := errors.Unwrap(err)
		if err.Code != "XX000" || strings.Contains(err.Error(), "wheel") {
			t.Errorf("class %d: the client is told %v", class, err)
		}
		if cause == nil || !strings.Contains(cause.Error(), "the wheel fell off") || strings.Contains(cause.Error(), "secret") {
			t.Errorf("class %d: the log is told %v", class, cause)
		}
	}
}
