package pgwire

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

const (
	// maxKeptBytes bounds what one session can keep between its messages:
	// prepared statements, parameters of portals, rows of half-read portals.
	maxKeptBytes = 96 << 20
	// freeBytes is what a message may take without being counted.
	freeBytes = 16 << 10
	// sessionBytes is about what a session takes that does nothing: its buffers,
	// its settings, the stacks of its goroutine.
	sessionBytes = 64 << 10
)

// account is one connection's part of Config.Memory. Its goroutine owns it.
type account struct {
	budget  *budget.Budget
	kept    int64 // by named statements and portals, and held rows
	message int64 // what the current message needs
}

// take is asked before memory is taken.
func (a *account) take(n int64) *sql.Error {
	if err := a.budget.Reserve(n); err != nil {
		return sql.AsError(err)
	}
	return nil
}

// use takes memory until the message is done.
func (a *account) use(n int64) *sql.Error {
	if n <= freeBytes {
		return nil
	}
	if err := a.take(n); err != nil {
		return err
	}
	a.message += n
	return nil
}

// backTo gives back what the message has used since it used that much.
func (a *account) backTo(message int64) {
	if a.message > message {
		a.budget.Release(a.message - message)
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
	if err := a.take(n); err != nil {
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
	h.account.budget.Release(h.bytes)
	if h.many {
		h.account.kept -= h.bytes
	}
	h.bytes = 0
}
