package kv

import (
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/store"
)

// scanView is the view that a scan reads from. While the scan waits for its reader
// the view may be taken from it: the reader has every row up to a key by then, and
// goes on from there, at its timestamp, with a new view.
type scanView struct {
	views  *views
	handle *store.ReadHandle
	since  time.Time
	age    time.Duration // at which it is taken

	mu struct {
		sync.Mutex
		timer   *time.Timer // nil: the scan has not waited yet
		reading bool        // by the scan: not to be closed under its hands
		due     bool        // to be closed as soon as the scan does not read
		closed  bool
	}
}

// views are those of scans that wait for their readers.
type views struct {
	mu struct {
		sync.Mutex
		open  map[*scanView]struct{}
		taken uint64
	}
}

// ViewStats say what scans keep of the past.
type ViewStats struct {
	Open   int           // views of scans whose readers have not taken all
	Oldest time.Duration // the age of the oldest, 0: there is none
	Taken  uint64        // views that were taken from readers that did not read, since the start
}

// Views returns what the scans of this node keep.
func (s *Server) Views() ViewStats {
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	st := ViewStats{Open: len(s.views.mu.open), Taken: s.views.mu.taken}
	for v := range s.views.mu.open {
		st.Oldest = max(st.Oldest, time.Since(v.since))
	}
	return st
}

// begin makes the view of a scan, which is reading from it.
func (vs *views) begin(h *store.ReadHandle, age time.Duration) *scanView {
	v := &scanView{views: vs, handle: h, since: time.Now(), age: age}
	v.mu.reading = true
	return v
}

func (vs *views) add(v *scanView) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.mu.open == nil {
		vs.mu.open = map[*scanView]struct{}{}
	}
	vs.mu.open[v] = struct{}{}
}

func (vs *views) remove(v *scanView, taken uint64) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	delete(vs.mu.open, v)
	vs.mu.taken += taken
}

// take closes the view, at once or when the scan does not read.
func (v *scanView) take() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.due = true; !v.mu.reading {
		v.end(1)
	}
}

// rest says that the scan waits for its reader. Most scans never do.
func (v *scanView) rest() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.timer == nil {
		v.views.add(v)
		v.mu.timer = time.AfterFunc(v.age-time.Since(v.since), v.take)
	}
	if v.mu.reading = false; v.mu.due {
		v.end(1)
	}
}

// read says that the scan goes on; false: the view is gone.
func (v *scanView) read() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.closed {
		return false
	}
	v.mu.reading = true
	return true
}

// close ends the view with its scan, or before the scan waits for the last time.
func (v *scanView) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.end(0)
}

// end closes the view; v.mu is held.
func (v *scanView) end(taken uint64) {
	if v.mu.closed {
		return
	}
	v.mu.closed = true
	v.handle.Close()
	if v.mu.timer != nil {
		v.mu.timer.Stop()
		v.views.remove(v, taken)
	}
}
