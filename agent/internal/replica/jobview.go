package replica

import (
	"errors"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

// errVoid ends a job whose range is not what it was when the job was asked for.
var errVoid = errors.New("the range has changed since")

// jobView is the view that a job reads beside the loop. The goroutine of the replica
// opens it; whoever carries the job out takes it once, or drops it.
type jobView struct {
	mu      sync.Mutex
	view    *storage.Snapshot // guarded by mu
	dropped bool              // guarded by mu
}

// open takes the view, between two applies; false: the job was dropped.
func (v *jobView) open(e *storage.Engine) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dropped {
		return false
	}
	v.view = e.NewSnapshot()
	return true
}

// take hands the view over to be closed; nil if there is none.
func (v *jobView) take() *storage.Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	view := v.view
	v.view = nil
	return view
}

// Drop gives the job up; it may race with Open.
func (v *jobView) Drop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropped = true
	if v.view != nil {
		_ = v.view.Close() // nobody has read it
		v.view = nil
	}
}
