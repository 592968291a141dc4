package sql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// advisoryKey names an advisory lock, as the key of the row that is locked for it.
type advisoryKey [9]byte

// newAdvisoryKey encodes a key: one number of 64 bits, or two of 32.
func newAdvisoryKey(a queryplan.Advisory) (k advisoryKey) {
	if a.Pair {
		k[0] = 1
		binary.BigEndian.PutUint32(k[1:], uint32(a.First))
		binary.BigEndian.PutUint32(k[5:], uint32(a.Second))
		return k
	}
	binary.BigEndian.PutUint64(k[1:], uint64(a.Number))
	return k
}

// advisoryLock is one that the session holds. One of its transaction is a lock of that, so
// that it commits only if it has the lock then. Another has a transaction of its own, which
// lives as long as somebody in the session wants the lock: when that ends, or the node
// does, others may have it.
type advisoryLock struct {
	txn      exec.Transaction
	joined   bool // txn is the session's transaction
	strength lock.Strength
	// held counts how often the session has it, and how often its transaction does,
	// exclusively and shared.
	session, transaction struct{ exclusive, shared int }
}

func (l *advisoryLock) count(a queryplan.Advisory) *int {
	held := &l.session
	if a.Transaction {
		held = &l.transaction
	}
	if a.Shared {
		return &held.shared
	}
	return &held.exclusive
}

func (l *advisoryLock) wanted() bool {
	return l.session.exclusive+l.session.shared+l.transaction.exclusive+l.transaction.shared > 0
}

// maxAdvisory bounds the advisory locks of a session: each is a transaction.
const maxAdvisory = 10_000

// advisory carries out a call of pg_advisory_lock and its like. done is what those that
// try and those that unlock return.
func (s *Session) advisory(ctx context.Context, a queryplan.Advisory) (done bool, err error) {
	switch {
	case a.All:
		s.unlockAdvisory(false)
		return true, nil
	case a.Unlock:
		return s.unlockOne(ctx, a)
	}
	key := newAdvisoryKey(a)
	l := s.advisories[key]
	switch {
	case l != nil && l.joined && !a.Transaction:
		return false, &Error{Code: "0A000", Message: "the transaction has this advisory lock, and the session cannot take it before that ends",
			Hint: "Take the session's lock first, or after the transaction."}
	case l == nil:
		if len(s.advisories) >= maxAdvisory {
			return false, &Error{Code: "53200", Message: "out of shared memory", Hint: fmt.Sprintf("A session may hold %d advisory locks.", maxAdvisory)}
		}
		if a.Transaction && s.tx != nil {
			l = &advisoryLock{txn: s.tx.Transaction(), joined: true}
		} else {
			l = &advisoryLock{txn: s.server.cfg.DB.Begin(txn.ReadCommitted, s.info(s.server.cfg.Now()))}
		}
	}
	if done, err = s.takeAdvisory(ctx, l, key, a); err != nil || !done {
		s.dropAdvisory(key, l)
		return false, err
	}
	*l.count(a)++
	if a.Transaction {
		s.advised = append(s.advised, advised{key, a})
	}
	if s.advisories == nil {
		s.advisories = map[advisoryKey]*advisoryLock{}
	}
	s.advisories[key] = l
	return true, nil
}

// takeAdvisory locks what stands for the key, unless the session has that.
func (s *Session) takeAdvisory(ctx context.Context, l *advisoryLock, key advisoryKey, a queryplan.Advisory) (bool, error) {
	strength := lock.Update
	if a.Shared {
		strength = lock.Share
	}
	if l.strength >= strength {
		return true, nil
	}
	wait := evaluation.Block
	if a.Try {
		wait = evaluation.NoWait
	}
	l.txn.SetDeadlockTimeout(s.settings.Duration("deadlock_timeout"))
	_, _, err := l.txn.Lock(ctx, txn.LockRequest{Pool: cluster.DefaultPool, Collection: cluster.AdvisoryCollection, Keys: [][]byte{key[:]},
		Strength: strength, Wait: wait, Durable: true, Timeout: s.settings.Duration("lock_timeout")})
	switch {
	case errors.Is(err, txn.ErrLockNotAvailable) && a.Try:
		return false, nil
	case errors.Is(err, txn.ErrLockNotAvailable):
		return false, &Error{Code: "55P03", Message: "canceling statement due to lock timeout", cause: err}
	case err != nil:
		return false, err
	}
	l.strength = strength
	return true, nil
}

// unlockOne gives up one of a session's locks, if it has it. That it had it until now is
// what the commit of the lock's transaction says: others get the locks of a node that has
// not answered for a while.
func (s *Session) unlockOne(ctx context.Context, a queryplan.Advisory) (bool, error) {
	kind := "ExclusiveLock"
	if a.Shared {
		kind = "ShareLock"
	}
	key := newAdvisoryKey(a)
	l := s.advisories[key]
	if l == nil || *l.count(a) == 0 {
		s.notice("WARNING", "01000", "you don't own a lock of type %s", kind)
		return false, nil
	}
	*l.count(a)--
	if l.wanted() {
		return true, nil
	}
	delete(s.advisories, key)
	_, err := l.txn.Commit(ctx, nil, 0)
	var lost *txn.ConflictError
	if errors.As(err, &lost) {
		s.notice("WARNING", "01000", "you don't own a lock of type %s any more: %s", kind, lost.Reason)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("unlock: %w", err)
	}
	return true, nil
}

// advised is a lock that the session's transaction has taken.
type advised struct {
	key advisoryKey
	how queryplan.Advisory
}

// advisoriesBackTo gives up the locks that the transaction has taken since it had taken n.
func (s *Session) advisoriesBackTo(n int) {
	for _, x := range s.advised[min(n, len(s.advised)):] {
		if l := s.advisories[x.key]; l != nil && *l.count(x.how) > 0 {
			*l.count(x.how)--
			s.dropAdvisory(x.key, l)
		}
	}
	s.advised = s.advised[:min(n, len(s.advised))]
}

// unlockAdvisory gives up all locks of the session, or all of its transaction.
func (s *Session) unlockAdvisory(transaction bool) {
	if transaction {
		s.advised = nil
	}
	for key, l := range s.advisories {
		held := &l.session
		if transaction {
			held = &l.transaction
		}
		held.exclusive, held.shared = 0, 0
		s.dropAdvisory(key, l)
	}
}

// dropAdvisory gives a lock up that nobody wants any more.
func (s *Session) dropAdvisory(key advisoryKey, l *advisoryLock) {
	if l.wanted() {
		return
	}
	if !l.joined {
		l.txn.Rollback()
	}
	delete(s.advisories, key)
}
