package admin

import (
	"fmt"
	"sync"
	"time"
)

// What one principal, or one address that fails to log in, may ask of a node.
const (
	callsPerSecond    = 50
	callsBurst        = 200
	callsAtOnce       = 32 // of one principal; watches have their own limit
	failuresPerSecond = 2
	failuresBurst     = 60
	bucketsMost       = 4096 // principals and addresses that are remembered
)

// limiter keeps one caller from taking all of a node.
type limiter struct {
	now func() time.Time
	mu  struct {
		sync.Mutex
		calls    map[string]*bucket
		failures map[string]*bucket
	}
}

// bucket holds what is left; it fills up with time.
type bucket struct {
	left   float64
	at     time.Time
	atOnce int
}

func newLimiter(now func() time.Time) *limiter {
	l := &limiter{now: now}
	l.mu.calls, l.mu.failures = map[string]*bucket{}, map[string]*bucket{}
	return l
}

// take returns the bucket of key, filled up to now.
func take(buckets map[string]*bucket, key string, now time.Time, rate, burst float64) *bucket {
	b := buckets[key]
	if b == nil {
		if len(buckets) >= bucketsMost {
			forget(buckets, now, rate, burst)
		}
		b = &bucket{left: burst, at: now}
		buckets[key] = b
	}
	b.left = min(burst, b.left+rate*now.Sub(b.at).Seconds())
	b.at = now
	return b
}

// forget drops the buckets that are full again: they say nothing. If none is,
// all go: to forget is better than to grow.
func forget(buckets map[string]*bucket, now time.Time, rate, burst float64) {
	for k, b := range buckets {
		if b.atOnce == 0 && b.left+rate*now.Sub(b.at).Seconds() >= burst {
			delete(buckets, k)
		}
	}
	if len(buckets) >= bucketsMost {
		clear(buckets)
	}
}

// enter begins a call of a principal. The caller calls free when it is over.
func (l *limiter) enter(principal string, unary bool) (free func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := take(l.mu.calls, principal, l.now(), callsPerSecond, callsBurst)
	if b.left < 1 {
		return nil, &Error{Kind: KindLimited, Message: fmt.Sprintf("too many calls: %d a second are served to each caller", callsPerSecond)}
	}
	if unary && b.atOnce >= callsAtOnce {
		return nil, &Error{Kind: KindLimited, Message: fmt.Sprintf("too many calls at once: %d are served to each caller", callsAtOnce)}
	}
	b.left--
	if !unary {
		return func() {}, nil
	}
	b.atOnce++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		b.atOnce--
	}, nil
}

// failed notes that an address failed to authenticate, and returns an error when
// it has done so too often to be logged and told why again. Good credentials from
// there are served all the same: others may share the address.
func (l *limiter) failed(source string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := take(l.mu.failures, source, l.now(), failuresPerSecond, failuresBurst)
	if b.left < 1 {
		return &Error{Kind: KindUnauthenticated, Message: "not authenticated; this address has failed so often that its calls are no longer recorded one by one"}
	}
	b.left--
	return nil
}
