//go:build invariants

package agent

import (
	"os"
	"strings"
	"sync"
	"time"
)

// clockFileVariable names a file that holds how far tests have moved this process's
// wall clock, such as 1h or -30s. It may change at any time.
const clockFileVariable = "NODEDB_TEST_CLOCK_FILE"

// rereadAfter bounds how often the file is read: the clock is read all the time.
const rereadAfter = 20 * time.Millisecond

var movedClock struct {
	sync.Mutex
	path   *string
	read   time.Time
	offset time.Duration
}

// wallOffset is how far the wall clock was moved. A file that is not there, or
// says nothing, moves it by 0.
func wallOffset() time.Duration {
	c := &movedClock
	c.Lock()
	defer c.Unlock()
	if c.path == nil {
		c.path = new(os.Getenv(clockFileVariable))
	}
	if *c.path == "" || time.Since(c.read) < rereadAfter {
		return c.offset
	}
	c.read = time.Now()
	b, err := os.ReadFile(*c.path)
	if err != nil {
		b = nil
	}
	c.offset, _ = time.ParseDuration(strings.TrimSpace(string(b)))
	return c.offset
}
