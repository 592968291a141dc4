package pgwire

import (
	"fmt"
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

const (
	// maxKeptBytes bounds what one session can keep between its messages:
	// prepared statements, parameters of portals, rows of half-read portals.
	maxKeptBytes = 64 << 20
	// freeBytes is what a message may take without being counted.
	freeBytes = 16 << 10
)

// budget is the memory that clients can make the server use. It is asked before
// memory is taken.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) *sql.Error {
	if b.used.Add(n) <= b.limit {
		return nil
	}
	b.used.Add(-n)
	return &sql.Error{Code: "53200", Message: "out of memory",
		Detail: fmt.Sprintf("The sessions of this node may use %d MiB for statements, parameters and rows that they keep, and %d more bytes are needed.", b.limit>>20, n),
		Hint:   "Split the statement, connect to another node, or raise memory in node.yaml."}
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// account is one connection's part of the budget. Its goroutine owns it.
type account struct {
	budget  *budget
	kept    int64 // by named statements and portals, and held rows
	message int64 // what the current message needs
}

// use takes memory until the message is done.
func (a *account) use(n int64) *sql.Error {
	if n <= freeBytes {
		return nil
	}
	if err := a.budget.take(n); err != nil {
		return err
	}
	a.message += n
	return nil
}

// backTo gives back what the message has used since it used that much.
func (a *account) backTo(message int64) {
	if a.message > message {
		a.budget.give(a.message - message)
		a.message = message
	}
}

// hold is memory that something keeps longer than a message. The zero hold is empty.
type hold struct {
	account *account
	bytes   int64
	// many says that a session can have any number of its kind: they add up to
	// maxKeptBytes at most. There is one unnamed statement and one unnamed portal.
	many bool
}

// grow takes n bytes more.
func (h *hold) grow(a *account, n int64) *sql.Error {
	if h.many && a.kept+n > maxKeptBytes {
		return &sql.Error{Code: "53200", Message: "out of memory",
			Detail: fmt.Sprintf("A session may keep %d MiB of prepared statements, parameters and rows of half-read portals.", maxKeptBytes>>20),
			Hint:   "Close statements and portals that are not needed any more, and read portals to their end."}
	}
	if err := a.budget.take(n); err != nil {
		return err
	}
	if h.many {
		a.kept += n
	}
	h.account = a
	h.bytes += n
	return nil
}

// cover grows to at least n bytes, in steps.
func (h *hold) cover(a *account, n int64) *sql.Error {
	const step = 256 << 10
	if n <= h.bytes {
		return nil
	}
	return h.grow(a, max(n-h.bytes, step))
}

// orphan makes what there was one of one of many.
func (h *hold) orphan() {
	if !h.many && h.bytes > 0 {
		h.many = true
		h.account.kept += h.bytes
	}
}

func (h *hold) release() {
	if h.bytes == 0 {
		return
	}
	h.account.budget.give(h.bytes)
	if h.many {
		h.account.kept -= h.bytes
	}
	h.bytes = 0
}
