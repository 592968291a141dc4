package storage

import (
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Reader reads ordered bytes.
type Reader interface {
	// Get returns a copy of the value of key.
	Get(key []byte) (value []byte, ok bool, err error)
	// NewIter iterates over [start, end). The caller closes the iterator.
	NewIter(start, end []byte) (*Iterator, error)
	// NewRowIter makes an iterator for SeekRowGE alone, which asks the filters of all
	// levels: most of its rows may not exist.
	NewRowIter() (*Iterator, error)
}

// Span is what an iterator visits: [Start, End), and of the versions of rows at
// least those of the times From to To. A zero To asks for all keys.
//
// Blocks that hold no such version are skipped, tables too, and with them whatever
// else is there: keys that are no versions, and versions of other times, are met or
// not. Who asks for times looks at each version's own.
type Span struct {
	Start, End []byte
	From, To   hlc.Timestamp
}

// SpanReader reads spans by time, too.
type SpanReader interface {
	Reader
	// NewSpanIter iterates over what span asks for.
	NewSpanIter(span Span) (*Iterator, error)
}

// Writer takes writes.
type Writer interface {
	Set(key, value []byte) error
	Delete(key []byte) error
	DeleteRange(start, end []byte) error
	// DeleteSized removes key, whose value has the length that is given: the engine plans
	// by it what to compact.
	DeleteSized(key []byte, value int) error
}

// ReadWriter is both.
type ReadWriter interface {
	Reader
	Writer
}

// Batch is a set of writes that happen together or not at all.
type Batch struct {
	b     *pebble.Batch
	blind bool
	fs    *syncedFS // knows whether the log failed
}

// Set writes value at key; both are copied.
func (b *Batch) Set(key, value []byte) error { return mark(b.b.Set(key, value, nil)) }

// Filled is a write whose key and value are made in the batch itself, where Set would
// copy them to. Both must be filled before Done, which ends the write, and nothing
// else may be written in between.
type Filled struct {
	Key, Value []byte
	op         *pebble.DeferredBatchOp
}

// Fill begins a write of a key and a value of those lengths.
func (b *Batch) Fill(key, value int) Filled {
	op := b.b.SetDeferred(key, value)
	return Filled{Key: op.Key, Value: op.Value, op: op}
}

// Done ends the write.
func (f Filled) Done() error { return mark(f.op.Finish()) }

// Delete removes key.
func (b *Batch) Delete(key []byte) error { return mark(b.b.Delete(key, nil)) }

// DeleteSized removes key, of whose value the length is known.
func (b *Batch) DeleteSized(key []byte, value int) error {
	return mark(b.b.DeleteSized(key, uint32(min(value, math.MaxInt32)), nil)) //nolint:gosec // bounded
}

// DeleteRange removes [start, end).
func (b *Batch) DeleteRange(start, end []byte) error {
	return mark(b.b.DeleteRange(start, end, nil))
}

// Get returns a copy of the value of key, with the batch's own writes applied.
func (b *Batch) Get(key []byte) ([]byte, bool, error) { return get(b.b, key) }

// NewIter iterates over [start, end) with the batch's writes so far applied.
// Writes made after NewIter are not seen by the iterator.
func (b *Batch) NewIter(start, end []byte) (*Iterator, error) { return newIter(b.b, start, end) }

// NewRowIter makes an iterator for SeekRowGE alone.
func (b *Batch) NewRowIter() (*Iterator, error) { return newRowIter(b.b) }

// Empty reports whether nothing was written.
func (b *Batch) Empty() bool { return b.b.Empty() }

// Len returns the size of the batch in bytes.
func (b *Batch) Len() int { return b.b.Len() }

// Commit makes the batch's writes visible and, with sync, durable. After an
// error of a synced commit the engine must not be used.
func (b *Batch) Commit(sync bool) (err error) {
	defer recoverFatal(&err)
	if err := b.fs.failed(); err != nil {
		return err // it would wait for a flush that does not come
	}
	o := pebble.NoSync
	if sync {
		o = pebble.Sync
	}
	return unlessFailed(b.fs, b.b.Commit(o))
}

// Close releases the batch, committed or not.
func (b *Batch) Close() error { return mark(b.b.Close()) }

// Snapshot is a view of one point in time.
type Snapshot struct{ s *pebble.Snapshot }

// Get returns a copy of the value of key.
func (s *Snapshot) Get(key []byte) ([]byte, bool, error) { return get(s.s, key) }

// NewIter iterates over [start, end).
func (s *Snapshot) NewIter(start, end []byte) (*Iterator, error) { return newIter(s.s, start, end) }

// NewRowIter makes an iterator for SeekRowGE alone.
func (s *Snapshot) NewRowIter() (*Iterator, error) { return newRowIter(s.s) }

// NewSpanIter iterates over what span asks for.
func (s *Snapshot) NewSpanIter(span Span) (*Iterator, error) { return newSpanIter(s.s, span) }

// Close releases the snapshot; every iterator of it must be closed before.
func (s *Snapshot) Close() error { return mark(s.s.Close()) }

func get(r pebble.Reader, key []byte) ([]byte, bool, error) {
	v, c, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, mark(err)
	}
	value := append([]byte{}, v...)
	return value, true, mark(c.Close())
}

func newIter(r pebble.Reader, start, end []byte) (*Iterator, error) {
	return openIter(r, &pebble.IterOptions{LowerBound: start, UpperBound: end})
}

func newRowIter(r pebble.Reader) (*Iterator, error) {
	return openIter(r, &pebble.IterOptions{UseL6Filters: true})
}

func newSpanIter(r pebble.Reader, s Span) (*Iterator, error) {
	o := &pebble.IterOptions{LowerBound: s.Start, UpperBound: s.End}
	if s.To != 0 {
		o.PointKeyFilters = []pebble.BlockPropertyFilter{timesFilter(s.From, s.To)}
	}
	return openIter(r, o)
}

func openIter(r pebble.Reader, o *pebble.IterOptions) (*Iterator, error) {
	it, err := r.NewIter(o)
	if err != nil {
		return nil, mark(err)
	}
	return &Iterator{it}, nil
}

// Iterator walks over keys in order. Key and Value are valid until the next
// move. A move that finds nothing leaves the iterator invalid; Err says whether
// that was the end or a failure.
type Iterator struct{ it *pebble.Iterator }

// SetBounds has the iterator walk over [start, end) from now on. It is invalid until it moves.
func (i *Iterator) SetBounds(start, end []byte) { i.it.SetBounds(start, end) }

// First moves to the first key.
func (i *Iterator) First() bool { return i.it.First() }

// Last moves to the last key.
func (i *Iterator) Last() bool { return i.it.Last() }

// Next moves forward.
func (i *Iterator) Next() bool { return i.it.Next() }

// Prev moves backward.
func (i *Iterator) Prev() bool { return i.it.Prev() }

// SeekGE moves to the first key at or after key.
func (i *Iterator) SeekGE(key []byte) bool { return i.it.SeekGE(key) }

// SeekRowGE moves to the first version of key's row at or after key. Next goes no
// further than the row.
func (i *Iterator) SeekRowGE(key []byte) bool { return i.it.SeekPrefixGE(key) }

// NextRow moves forward to the first key of another row.
func (i *Iterator) NextRow() bool { return i.it.NextPrefix() }

// SeekLT moves to the last key before key.
func (i *Iterator) SeekLT(key []byte) bool { return i.it.SeekLT(key) }

// Valid reports whether the iterator is at a key.
func (i *Iterator) Valid() bool { return i.it.Valid() }

// Key returns the key under the iterator.
func (i *Iterator) Key() []byte { return i.it.Key() }

// Value returns the value under the iterator.
func (i *Iterator) Value() []byte { return i.it.Value() }

// Err returns the error that stopped the iteration, if one did.
func (i *Iterator) Err() error { return mark(i.it.Error()) }

// Close releases the iterator and returns its error.
func (i *Iterator) Close() error { return mark(i.it.Close()) }
