package kv

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// settler is a Resolver that does as its test says.
type settler struct {
	met []*store.IntentsError
	fn  func(e *store.IntentsError) (passed []cluster.TxnID, again bool)
}

func (s *settler) Resolve(_ context.Context, e *store.IntentsError, try int) ([]cluster.TxnID, bool, error) {
	s.met = append(s.met, e)
	if try > 5 {
		return nil, false, errors.New("the read meets intents for ever")
	}
	passed, again := s.fn(e)
	return passed, again, nil
}

func (s *settler) Blocked(context.Context, []datastate.Blocker) error { return nil }

// open has a transaction lay an intent on row i, and returns its name, its record and
// the intent's time.
func (c *fakeCluster) open(t *testing.T, i int) (id cluster.TxnID, record []byte, ts hlc.Timestamp) {
	t.Helper()
	db, row := c.nodes[1].db, rowOf(0, testCollection, key(i))
	id = cluster.NewTxnID(uint64(db.Now()), 1, 1)
	record = keys.TxnRecord(row, id)
	call := &Call{Range: db.RangeOf(row), Request: &datastate.Prewrite{
		Ops: []datastate.Op{{Row: row, Kind: datastate.Put, Value: []byte("new")}}, Txn: id, Record: record}}
	db.Do(t.Context(), []*Call{call})
	if call.Err != nil || call.Result.Outcome != datastate.Applied {
		t.Fatalf("prewrite: %+v, %v", call.Result, call.Err)
	}
	return id, record, call.TS
}

// resolve ends it.
func (c *fakeCluster) resolve(t *testing.T, i int, id cluster.TxnID, record []byte, at hlc.Timestamp) {
	t.Helper()
	db, row := c.nodes[1].db, rowOf(0, testCollection, key(i))
	call := &Call{Range: db.RangeOf(row), Request: &datastate.Resolve{Txn: id, Record: record, CommitTS: at, Rows: [][]byte{row}}}
	db.Do(t.Context(), []*Call{call})
	if call.Err != nil || call.Result.Outcome != datastate.Applied {
		t.Fatalf("resolve: %+v, %v", call.Result, call.Err)
	}
}

func (c *fakeCluster) get(t *testing.T, ts hlc.Timestamp, i int) string {
	t.Helper()
	rows, err := c.nodes[2].db.Get(t.Context(), GetRequest{TS: ts, Collection: testCollection, Keys: [][]byte{key(i)}})
	if err != nil {
		t.Fatal(err)
	}
	return string(rows[0].Value)
}

// scanned is the value of row i in a scan of everything.
func (c *fakeCluster) scanned(t *testing.T, req ScanRequest, i int) (value string, rows int) {
	t.Helper()
	req.Collection = testCollection
	it, err := c.nodes[2].db.Scan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for {
		batch, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return value, rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows += len(batch)
		for _, r := range batch {
			if string(r.Key) == string(key(i)) {
				value = string(r.Value)
			}
		}
	}
}

// TestReadsMeetIntents: a read goes on once its resolver has found out what becomes of
// the transactions in its way.
func TestReadsMeetIntents(t *testing.T) {
	c := newFakeCluster(t, 2, 3)
	s := &settler{}
	for _, n := range c.nodes {
		n.db.cfg.Resolver = s
	}
	c.load(50)
	id, record, at := c.open(t, 7)
	now := at + 1
	_ = c.nodes[2].clock.Update(now)

	// Of no interest to a read before it.
	if v := c.get(t, at-1, 7); v != "7" || len(s.met) != 0 {
		t.Errorf("before the intent: %q, met %d", v, len(s.met))
	}
	// It commits after the read.
	s.fn = func(e *store.IntentsError) ([]cluster.TxnID, bool) {
		if e.TS != now || len(e.Intents) != 1 || e.Intents[0].TS != at || string(e.Intents[0].Record) != string(record) {
			t.Errorf("met %+v", e)
		}
		return []cluster.TxnID{id}, false
	}
	if v := c.get(t, now, 7); v != "7" || len(s.met) != 1 {
		t.Errorf("passed: %q, met %d", v, len(s.met))
	}
	if v, n := c.scanned(t, ScanRequest{TS: now}, 7); v != "7" || n != 50 || len(s.met) != 2 {
		t.Errorf("passed by a scan: %q of %d rows, met %d", v, n, len(s.met))
	}
	// It has committed, later than the leader's time: a read that has none of its own is
	// made again, and sees it.
	commit := hlc.Timestamp(0)
	s.fn = func(e *store.IntentsError) ([]cluster.TxnID, bool) {
		if commit == 0 {
			commit = e.TS + 1
			_ = c.nodes[2].clock.Update(commit)
			return []cluster.TxnID{id}, true
		}
		if e.TS < commit {
			t.Errorf("read again at %s, before the commit at %s", e.TS, commit)
		}
		c.resolve(t, 7, id, record, commit)
		return nil, false
	}
	if v := c.get(t, 0, 7); v != "new" {
		t.Errorf("after the commit: %q", v)
	}
	if v := c.get(t, commit-1, 7); v != "7" {
		t.Errorf("before the commit: %q", v)
	}
	// Aborted.
	id, record, _ = c.open(t, 8)
	s.fn = func(*store.IntentsError) ([]cluster.TxnID, bool) {
		c.resolve(t, 8, id, record, 0)
		return nil, false
	}
	if v, _ := c.scanned(t, ScanRequest{TS: c.nodes[2].clock.Now() + 1}, 8); v != "8" {
		t.Errorf("aborted: %q", v)
	}
}

// TestAFollowerPassesOverNothing: a transaction commits before the time of a read, is cleaned
// up and forgotten between the read's meeting its intent and its question at the record. The
// answer is that it commits later. That is harmless where the intent is gone, but a replica
// that lags has it still, and not what came of it.
func TestAFollowerPassesOverNothing(t *testing.T) {
	read := map[string]func(*fakeCluster, hlc.Timestamp, Reading) string{
		"get": func(c *fakeCluster, at hlc.Timestamp, r Reading) string {
			rows, err := c.nodes[2].db.Get(t.Context(), GetRequest{TS: at, Collection: testCollection, Keys: [][]byte{key(7)}, Reading: r})
			if err != nil {
				t.Fatal(err)
			}
			return string(rows[0].Value)
		},
		"scan": func(c *fakeCluster, at hlc.Timestamp, r Reading) string {
			v, _ := c.scanned(t, ScanRequest{TS: at, Reading: r}, 7)
			return v
		},
		"scan in order": func(c *fakeCluster, at hlc.Timestamp, r Reading) string {
			v, _ := c.scanned(t, ScanRequest{TS: at, Reading: r, Ordered: true}, 7)
			return v
		},
	}
	for name, read := range read {
		t.Run(name, func(t *testing.T) {
			c, s := newFakeCluster(t, 3, 1), &settler{}
			for _, n := range c.nodes {
				n.db.cfg.Resolver = s
			}
			c.load(20)
			id, record, at := c.open(t, 7)
			_ = c.nodes[2].clock.Update(at + 1)
			c.nodes[2].lag()
			trace := &Trace{}
			s.fn = func(*store.IntentsError) ([]cluster.TxnID, bool) {
				c.resolve(t, 7, id, record, at)
				return []cluster.TxnID{id}, false
			}
			if v := read(c, at+1, Reading{Consistency: AsOf, Trace: trace}); v != "new" {
				t.Errorf("after the commit: %q, read %+v", v, trace.Reads())
			}
			if len(s.met) != 1 {
				t.Errorf("met intents %d times, want once, at the leader", len(s.met))
			}
		})
	}
}

// TestChanged: versions, deletions and intents of others count, one's own do not.
func TestChanged(t *testing.T) {
	c := newFakeCluster(t, 2, 3)
	since := c.load(20)
	db := c.nodes[1].db
	spans := []Span{Point(0, testCollection, key(3)), Point(0, testCollection, key(100)), {Collection: testCollection, Start: key(5), End: key(10)}}
	// later is after all that anybody has written.
	later := func() (ts hlc.Timestamp) {
		for _, r := range c.ranges {
			ts = max(ts, r.lastTS+1)
		}
		for _, n := range c.nodes {
			ts = max(ts, n.clock.Now())
		}
		for _, n := range c.nodes {
			_ = n.clock.Update(ts)
		}
		return ts
	}
	changed := func(own cluster.TxnID) bool {
		t.Helper()
		got, err := db.Changed(t.Context(), spans, since, later(), own)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if changed(cluster.TxnID{}) {
		t.Error("nothing has changed")
	}
	id, record, _ := c.open(t, 6)
	if changed(id) {
		t.Error("its own intent counts")
	}
	c.resolve(t, 6, id, record, 0)
	for name, mut := range map[string]Mutation{
		"a version":  {Collection: testCollection, Key: key(6), Value: []byte("x")},
		"a deletion": {Collection: testCollection, Key: key(7), Delete: true},
		"a new row":  {Collection: testCollection, Key: key(100), Value: []byte("x")},
		"one of two": {Collection: testCollection, Key: key(3), Delete: true},
	} {
		if since = later(); changed(cluster.TxnID{}) {
			t.Errorf("before %s", name)
		}
		if _, err := db.Write(t.Context(), []Mutation{mut}, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		if !changed(cluster.TxnID{}) {
			t.Errorf("%s does not count", name)
		}
	}
}
