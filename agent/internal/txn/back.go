package txn

import (
	"context"
	"fmt"
	"time"
)

// backPatience bounds how long BackTo waits for ranges that do not answer: the locks stay
// then, as long as the transaction does.
const backPatience = 2 * time.Second

// Mark returns the state of the transaction's locks, to which BackTo can go.
func (t *Txn) Mark() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.order)
}

// BackTo ends the locks of rows that were asked for since the mark, and not before it. It
// waits for that: a range that heard of it late would end a lock that was taken after it.
// After an error some are still held.
func (t *Txn) BackTo(ctx context.Context, mark int) error {
	t.mu.Lock()
	if t.state != Open || mark >= len(t.order) {
		t.mu.Unlock()
		return nil
	}
	c := &cleanup{id: t.id}
	for _, row := range t.order[mark:] {
		c.rows = append(c.rows, []byte(row))
		if t.locked[row].durable {
			c.record = t.record
		}
	}
	given := t.order[mark:]
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, backPatience)
	defer cancel()
	err := t.m.resolveRows(ctx, c)
	t.mu.Lock()
	defer t.mu.Unlock()
	held := map[string]bool{}
	for _, row := range c.rows {
		held[string(row)] = true
	}
	if len(held) > 0 && t.doubtful == nil {
		t.doubtful = map[string]bool{}
	}
	t.order = t.order[:mark:mark]
	for _, row := range given {
		if held[row] {
			t.order, t.doubtful[row] = append(t.order, row), true
			t.locked[row] = lockedRow{durable: t.locked[row].durable} // others may change it
		} else {
			delete(t.locked, row)
			delete(t.doubtful, row)
		}
	}
	if err != nil {
		return fmt.Errorf("end the locks since the savepoint: %w", err)
	}
	return nil
}

// doubts reports whether one of the rows is doubtful. t.mu is held.
func (t *Txn) doubts(rows [][]byte) bool {
	for _, row := range rows {
		if t.doubtful[string(row)] {
			return true
		}
	}
	return false
}
