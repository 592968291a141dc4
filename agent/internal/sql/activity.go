package sql

import (
	"strings"
	"sync"
	"time"
)

// maxQueryHead bounds what is kept of a statement's text for the listing.
const maxQueryHead = 100

// activity is what others may see of a session.
type activity struct {
	mu struct {
		sync.Mutex
		SessionInfo
	}
}

func (a *activity) start(o SessionOptions) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.SessionInfo = SessionInfo{PID: o.PID, User: o.User, ApplicationName: o.ApplicationName, Remote: o.Remote, State: "idle", Since: time.Now()}
}

func (a *activity) setApplication(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.ApplicationName = name
}

// work says that a statement began.
func (a *activity) work(text string, at time.Time) {
	if len(text) > maxQueryHead {
		text = strings.ToValidUTF8(text[:maxQueryHead], "") + "..."
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.State, a.mu.Since, a.mu.QueryHead = "active", at, text
}

// rest says that the session waits for its client.
func (a *activity) rest(tx byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.Since = time.Now()
	switch tx {
	case 'T':
		a.mu.State = "idle in transaction"
	case 'E':
		a.mu.State = "idle in transaction (aborted)"
	default:
		a.mu.State = "idle"
	}
}

func (a *activity) info() SessionInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.SessionInfo
}
