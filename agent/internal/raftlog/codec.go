package raftlog

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Formats of the stored values; docs/FORMATS.md.
const (
	entryFormat     byte = 1
	hardStateFormat byte = 1
	positionFormat  byte = 1
)

// Position is a place in a log.
type Position struct{ Index, Term uint64 }

// entryLen is the length of an encoded entry.
func entryLen(e *pb.Entry) int {
	n := 3 + len(e.GetData()) // format, type, and the first byte of the term
	for term := e.GetTerm(); term >= 0x80; term >>= 7 {
		n++
	}
	return n
}

// encodeEntry encodes e without its index, which is in the key.
func encodeEntry(buf []byte, e *pb.Entry) []byte {
	buf = append(buf, entryFormat, byte(e.GetType()))
	buf = binary.AppendUvarint(buf, e.GetTerm())
	return append(buf, e.GetData()...)
}

// decodeEntry decodes a stored entry; the data is copied.
func decodeEntry(index uint64, v []byte) (*pb.Entry, error) {
	term, data, err := splitEntry(v)
	if err != nil {
		return nil, err
	}
	e := NewEntry(pb.EntryType(v[1]), term, index)
	if len(data) > 0 {
		e.Data = append([]byte(nil), data...)
	}
	return e, nil
}

// splitEntry reads a stored entry's term and data; data aliases v.
func splitEntry(v []byte) (term uint64, data []byte, err error) {
	if err := storage.CheckFormat(v, entryFormat, 3, "raft entry"); err != nil {
		return 0, nil, err
	}
	if pb.EntryType(v[1]) > pb.EntryConfChangeV2 {
		return 0, nil, gate.Newer("raft entry of type %d", v[1])
	}
	term, n := binary.Uvarint(v[2:])
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: raft entry", storage.ErrCorruption)
	}
	return term, v[2+n:], nil
}

// NewEntry makes an entry in one allocation.
func NewEntry(kind pb.EntryType, term, index uint64) *pb.Entry {
	a := &struct {
		e     pb.Entry
		kind  pb.EntryType
		term  uint64
		index uint64
	}{kind: kind, term: term, index: index}
	a.e.Type, a.e.Term, a.e.Index = &a.kind, &a.term, &a.index
	return &a.e
}

func encodeHardState(hs *pb.HardState) []byte {
	b := append(make([]byte, 0, 25), hardStateFormat)
	b = binary.BigEndian.AppendUint64(b, hs.GetTerm())
	b = binary.BigEndian.AppendUint64(b, hs.GetVote())
	return binary.BigEndian.AppendUint64(b, hs.GetCommit())
}

func decodeHardState(v []byte) (*pb.HardState, error) {
	if err := storage.CheckFixed(v, hardStateFormat, 25, "hard state"); err != nil {
		return nil, err
	}
	return &pb.HardState{
		Term:   new(binary.BigEndian.Uint64(v[1:])),
		Vote:   new(binary.BigEndian.Uint64(v[9:])),
		Commit: new(binary.BigEndian.Uint64(v[17:])),
	}, nil
}

func encodePosition(p Position) []byte {
	b := append(make([]byte, 0, 17), positionFormat)
	b = binary.BigEndian.AppendUint64(b, p.Index)
	return binary.BigEndian.AppendUint64(b, p.Term)
}

func decodePosition(v []byte) (Position, error) {
	if err := storage.CheckFixed(v, positionFormat, 17, "truncated state"); err != nil {
		return Position{}, err
	}
	return Position{binary.BigEndian.Uint64(v[1:]), binary.BigEndian.Uint64(v[9:])}, nil
}
