package kv

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

const testClock hlc.Timestamp = 77

func TestMessagesRoundTrip(t *testing.T) {
	check := func(name string, want, got any, clock hlc.Timestamp, err error) {
		t.Helper()
		if err != nil || clock != testClock || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, clock %s, error %v; want %+v", name, got, clock, err, want)
		}
	}
	propose := proposeRequest{Range: 3, Command: store.Command{ID: [16]byte{1, 15: 9}, Retry: true, Keep: true, InPlaceOf: [16]byte{2, 15: 8}, Payload: []byte("p")}}
	gotPropose, clock, err := decodeProposeRequest(propose.encode(testClock))
	check("propose request", propose, gotPropose, clock, err)

	proposed := proposeReply{TS: 5, Result: []byte("r")}
	gotProposed, clock, err := decodeProposeReply(proposed.encode(testClock))
	check("propose reply", proposed, gotProposed, clock, err)

	read := readRequest{Range: 3, TS: 9, Rows: [][]byte{[]byte("a"), {}}}
	gotRead, clock, err := decodeReadRequest(read.encode(testClock))
	check("read request", read, gotRead, clock, err)

	rows := readReply{Rows: []readRow{{Value: []byte("v"), Version: 4}, {}, {Value: []byte{}, Version: 1}}}
	gotRows, clock, err := decodeReadReply(rows.encode(testClock))
	check("read reply", rows, gotRows, clock, err)

	scan := scanRequest{
		Range: 4, TS: 8, Collection: 7, From: cluster.VShard(1).Key(), To: cluster.VShard(1024).Key(), Start: []byte("a"), End: []byte("z"), Ordered: true, Reverse: true,
		After: &position{VShard: 5, Key: []byte("k")}, MaxRows: 10, MaxBytes: 20, MaxChunks: 30, Limit: 40, Program: []byte("program"),
	}
	gotScan, clock, err := decodeScanRequest(scan.encode(testClock))
	check("scan request", scan, gotScan, clock, err)

	w := newChunkWriter(testClock, 0)
	w.add([]byte("k"), []byte("v"), 3)
	w.read.note([]byte("k"), []byte("v"))
	w.last = &position{VShard: 2, Key: []byte("k")}
	want := scanChunk{Rows: []Row{{Key: []byte("k"), Value: []byte("v"), Version: 3}}, Last: w.last, More: true}
	gotChunk, clock, err := decodeScanChunk(w.finish(true))
	want.Read = w.read
	check("scan chunk", want, gotChunk, clock, err)
}

func TestErrorsRoundTrip(t *testing.T) {
	for _, want := range []error{
		&store.NotLeaderError{Range: 4, Leader: 2, Generation: 7},
		&store.RangeNotFoundError{Range: 9},
		&store.RangeMismatchError{Descriptor: cluster.RangeDescriptor{ID: 4, Start: cluster.VShard(1).Key(), End: cluster.VShard(9).Key(), Generation: 3, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}}},
		&store.AmbiguousError{Cause: errors.New("lost")},
		&store.ReplicaFailedError{Range: 3, Cause: errors.New("disk")},
		store.ErrProposalLost, store.ErrOverloaded, store.ErrStopped, store.ErrTooLarge, store.ErrDiskFull, context.Canceled,
		&RemoteError{Message: "odd"}, &ProgramError{Cause: errors.New("division by zero")},
		&ClockError{At: 1, Of: 3, Ahead: 4995 * time.Millisecond, Limit: 500 * time.Millisecond},
	} {
		reply := proposeReply{Err: want}
		got, _, err := decodeProposeReply(reply.encode(testClock))
		if err != nil || !reflect.DeepEqual(got.Err, want) {
			t.Errorf("%v came back as %#v (error %v)", want, got.Err, err)
		}
	}
}

// FuzzDecode feeds any bytes to every decoder: none may panic, and what one
// accepts must survive being encoded and decoded again.
func FuzzDecode(f *testing.F) {
	f.Add((&proposeRequest{Range: 3, Command: store.Command{Payload: []byte("p")}}).encode(1))
	f.Add((&proposeReply{TS: 5, Result: []byte("r")}).encode(1))
	f.Add((&proposeReply{Err: &store.RangeMismatchError{}}).encode(1))
	f.Add((&readRequest{Range: 3, Rows: [][]byte{[]byte("a")}}).encode(1))
	f.Add((&readReply{Rows: []readRow{{Value: []byte("v")}}}).encode(1))
	f.Add((&scanRequest{Range: 4, From: cluster.VShard(0).Key(), To: cluster.VShard(1024).Key(), After: &position{}}).encode(1))
	w := newChunkWriter(1, 0)
	w.add([]byte("k"), []byte("v"), 3)
	f.Add(w.finish(true))
	f.Add([]byte{messageFormat, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, clock, err := decodeProposeRequest(b); err == nil {
			if again, _, err := decodeProposeRequest(m.encode(clock)); err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("propose request %+v came back as %+v, %v", m, again, err)
			}
		}
		if m, clock, err := decodeProposeReply(b); err == nil && m.Err == nil {
			if again, _, err := decodeProposeReply(m.encode(clock)); err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("propose reply %+v came back as %+v, %v", m, again, err)
			}
		}
		if m, clock, err := decodeReadRequest(b); err == nil {
			if again, _, err := decodeReadRequest(m.encode(clock)); err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("read request %+v came back as %+v, %v", m, again, err)
			}
		}
		if m, clock, err := decodeReadReply(b); err == nil && m.Err == nil {
			if again, _, err := decodeReadReply(m.encode(clock)); err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("read reply %+v came back as %+v, %v", m, again, err)
			}
		}
		if m, clock, err := decodeScanRequest(b); err == nil {
			if again, _, err := decodeScanRequest(m.encode(clock)); err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("scan request %+v came back as %+v, %v", m, again, err)
			}
		}
		_, _, _ = decodeScanChunk(b)
	})
}
