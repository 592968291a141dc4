package feed

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Watch opens a stream, and opens it anew when it breaks, until ctx is done or
// there is no hope. changed gets each response and when its data were true; lost
// is told of each break.
type Watch func(ctx context.Context, r *adminpb.WatchRequest, changed Changed, lost func(error)) error

// Changed takes a response. fresh is when, by this machine's clock, the data
// were seen to be newer than before.
type Changed func(r *adminpb.WatchResponse, fresh time.Time) error

// State of the link to the cluster.
type State int

// The states.
const (
	Connecting State = iota
	Live
	Lost
)

// Link says how the stream does.
type Link struct {
	State   State
	Err     error
	Attempt int
	Next    time.Time // of the next attempt, if the feed itself waits
}

const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 10 * time.Second
)

var errTurn = errors.New("other topics are wanted")

// Feed is a subscription whose topics may change.
type Feed struct {
	watch Watch
	gap   time.Duration // the least time between two snapshots
	now   func() time.Time
	send  func(any) // gets *Snapshot and Link; may block
	wake  chan struct{}
	turn  chan struct{} // Subscribe or Retry was called

	mu struct {
		sync.Mutex
		topics []string
		cancel context.CancelCauseFunc // of the stream that runs
		state  state
		dirty  bool
	}
}

// New makes a feed. gap is the least time between two snapshots.
func New(watch Watch, gap time.Duration, now func() time.Time, send func(any)) *Feed {
	return &Feed{watch: watch, gap: gap, now: now, send: send, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// Subscribe asks for these topics instead. What is known stays.
func (f *Feed) Subscribe(topics ...string) {
	f.mu.Lock()
	same := slices.Equal(f.mu.topics, topics)
	f.mu.topics = slices.Clone(topics)
	f.mu.Unlock()
	if !same {
		f.Retry()
	}
}

// Retry opens the stream anew, now.
func (f *Feed) Retry() {
	f.mu.Lock()
	if f.mu.cancel != nil {
		f.mu.cancel(errTurn)
	}
	f.mu.Unlock()
	signal(f.turn)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run feeds until ctx is done.
func (f *Feed) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { f.pump(ctx) })
	attempt := 0
	for ctx.Err() == nil {
		came, err := f.stream(ctx, attempt)
		if came {
			attempt = 0
		}
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errTurn) {
			attempt = 0
			continue
		}
		attempt++
		f.rest(ctx, attempt, err)
	}
	wg.Wait()
}

// rest waits before the next attempt, unless somebody wants it now.
func (f *Feed) rest(ctx context.Context, attempt int, err error) {
	wait := min(retryFirst<<min(attempt-1, 8), retryMost)
	wait = wait/2 + rand.N(wait/2)
	f.send(Link{State: Lost, Err: err, Attempt: attempt, Next: f.now().Add(wait)})
	select {
	case <-ctx.Done():
	case <-f.turn:
	case <-time.After(wait):
	}
}

// stream follows one stream and reports whether anything came, and why it ended.
func (f *Feed) stream(ctx context.Context, attempt int) (came bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.mu.Lock()
	select { // whoever turned before now gets what they want
	case <-f.turn:
	default:
	}
	topics := f.mu.topics
	f.mu.cancel = cancel
	f.mu.Unlock()
	if len(topics) == 0 {
		select {
		case <-f.turn:
		case <-ctx.Done():
		}
		return false, errTurn
	}
	f.send(Link{State: Connecting, Attempt: attempt})
	live := false
	changed := func(r *adminpb.WatchResponse, fresh time.Time) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !live {
			live, came = true, true
			f.send(Link{State: Live})
		}
		f.mu.Lock()
		f.mu.state.apply(r, topics, fresh)
		f.mu.dirty = true
		f.mu.Unlock()
		signal(f.wake)
		return nil
	}
	lost := func(err error) {
		live = false
		f.send(Link{State: Lost, Err: err, Attempt: 1})
	}
	err = f.watch(ctx, &adminpb.WatchRequest{Topics: topics, Interval: max(0.1, min(f.gap.Seconds(), 60))}, changed, lost)
	if cause := context.Cause(ctx); errors.Is(cause, errTurn) {
		return came, errTurn
	}
	if err == nil {
		err = errors.New("the node ended the stream")
	}
	return came, err
}

// pump hands the newest snapshot on, at most one per gap.
func (f *Feed) pump(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		f.mu.Lock()
		var s *Snapshot
		if f.mu.dirty {
			s, f.mu.dirty = f.mu.state.publish(), false
		}
		f.mu.Unlock()
		if s != nil {
			f.send(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.gap):
		}
	}
}
