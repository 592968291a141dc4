package metastate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sort"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// auditChain reads the records of one class, oldest first.
type auditChain struct {
	class AuditClass
	it    *storage.Iterator
	next  *AuditRecord // nil: there is none
	seq   uint64       // of the record before next
}

func openAuditChain(r storage.Reader, class AuditClass) (*auditChain, error) {
	it, err := r.NewIter(keys.Record(cluster.MetaRangeID, kindAudit, auditKey(class, 0)), keys.Record(cluster.MetaRangeID, kindAudit, auditKey(class, ^uint64(0))))
	if err != nil {
		return nil, fmt.Errorf("read audit records: %w", err)
	}
	c := &auditChain{class: class, it: it}
	return c, c.take(it.First())
}

// take decodes the record that the iterator stands at.
func (c *auditChain) take(ok bool) error {
	if c.next != nil {
		c.seq = c.next.Sequence
	}
	c.next = nil
	if !ok {
		return c.it.Err()
	}
	rec := &AuditRecord{}
	if err := decodeRecord(c.it.Value(), rec); err != nil {
		return &BrokenAuditError{Class: c.class, Sequence: c.seq + 1, Why: "it cannot be read: " + err.Error()}
	}
	c.next = rec
	return nil
}

// skip moves to the first record after the sequence, without reading all before it:
// sequences rise with places. Records that cannot be read are verify's to tell.
func (c *auditChain) skip(after uint64) error {
	if c.next == nil || c.next.Sequence > after || !c.it.Last() {
		return c.it.Err()
	}
	newest := &AuditRecord{}
	if err := decodeRecord(c.it.Value(), newest); err != nil {
		return c.take(c.it.First())
	}
	first := c.next.Place
	at := func(i int) []byte {
		return keys.Record(cluster.MetaRangeID, kindAudit, auditKey(c.class, first+uint64(i)))
	}
	n := sort.Search(int(newest.Place-first)+1, func(i int) bool { //nolint:gosec // bounded by the quota
		rec := &AuditRecord{}
		return c.it.SeekGE(at(i)) && decodeRecord(c.it.Value(), rec) == nil && rec.Sequence > after
	})
	return c.take(c.it.SeekGE(at(n)))
}

func (c *auditChain) advance() error { return c.take(c.it.Next()) }

// ReadAudit calls fn with the records of all classes after the sequence, oldest
// first, until it returns false.
func ReadAudit(r storage.Reader, after uint64, fn func(*AuditRecord) bool) (err error) {
	var chains []*auditChain
	defer func() {
		for _, c := range chains {
			err = errors.Join(err, c.it.Close())
		}
	}()
	for _, class := range AuditClasses {
		c, err := openAuditChain(r, class)
		if c != nil {
			chains = append(chains, c)
		}
		if err == nil {
			err = c.skip(after)
		}
		if err != nil {
			return err
		}
	}
	for {
		var oldest *auditChain
		for _, c := range chains {
			if c.next != nil && (oldest == nil || c.next.Sequence < oldest.next.Sequence) {
				oldest = c
			}
		}
		if oldest == nil || !fn(oldest.next) {
			return nil
		}
		if err := oldest.advance(); err != nil {
			return err
		}
	}
}

// AuditPlaces is how far each chain is to be compared.
type AuditPlaces map[AuditClass]uint64

// Places are those of the newest records.
func (h *AuditHeads) Places() AuditPlaces {
	p := AuditPlaces{}
	for _, class := range AuditClasses {
		p[class] = h.Chains[class].Last
	}
	return p
}

// VerifyAudit walks the chains in r as far as the heads, and returns how many
// records it read and a hash over the records at the places; nil if one of them is
// not there. A record that does not fit is a *BrokenAuditError.
func VerifyAudit(r storage.Reader, heads *AuditHeads, at AuditPlaces) (records uint64, hash []byte, err error) {
	sum, whole := sha256.New(), true
	for _, class := range AuditClasses {
		n, h, err := verifyAuditChain(r, class, heads.Chains[class], at[class])
		if err != nil {
			return records, nil, err
		}
		records += n
		sum.Write(h)
		whole = whole && (h != nil || at[class] == 0)
	}
	if !whole {
		return records, nil, nil
	}
	return records, sum.Sum(nil), nil
}

func verifyAuditChain(r storage.Reader, class AuditClass, head AuditHead, at uint64) (records uint64, hash []byte, err error) {
	c, err := openAuditChain(r, class)
	if c != nil {
		defer func() { err = errors.Join(err, c.it.Close()) }()
	}
	next := max(head.First, 1)
	broken := func(sequence uint64, why string) error {
		return &BrokenAuditError{Class: class, Place: next, Sequence: sequence, Why: why}
	}
	if head.Last > 0 && head.First != firstKept(class, head.Last) {
		return 0, nil, broken(0, fmt.Sprintf("the chain begins there, but what is kept of %d begins with %d", head.Last, firstKept(class, head.Last)))
	}
	var before []byte
	for ; err == nil && c.next != nil && c.next.Place <= head.Last; err = c.advance() {
		rec := c.next
		sum, serr := rec.sum()
		switch {
		case rec.Place != next || rec.Class != class:
			return records, nil, broken(c.seq+1, fmt.Sprintf("it is missing: record %d of %s follows instead", rec.Place, rec.Class))
		case serr != nil || !bytes.Equal(sum, rec.Hash):
			return records, nil, broken(rec.Sequence, "its hash is not that of what it says")
		case records > 0 && !bytes.Equal(rec.Before, before) || rec.Place == 1 && rec.Before != nil:
			return records, nil, broken(rec.Sequence, "it does not follow the record before it")
		}
		if rec.Place == at {
			hash = rec.Hash
		}
		before, next = rec.Hash, next+1
		records++
	}
	var unreadable *BrokenAuditError
	switch {
	case errors.As(err, &unreadable):
		unreadable.Place = next
		return records, nil, err
	case err != nil:
		return records, nil, err
	case next != head.Last+1:
		return records, nil, broken(c.seq+1, "it is missing at the end")
	case !bytes.Equal(before, head.Hash):
		next = head.Last
		return records, nil, broken(c.seq, "its hash is not the one that the cluster's state remembers")
	}
	return records, hash, nil
}
