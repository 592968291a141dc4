package budget

import "sync"

// step is how much an account takes at least: who adds up small things need not
// touch what all goroutines share for each of them.
const step = 64 << 10

// Account is what one holder has of a budget. It grows bit by bit and is given
// back as a whole. A nil Account has no bound.
type Account struct {
	of *Budget
	mu struct {
		sync.Mutex
		used, taken int64
	}
}

// Open makes an empty account; of a nil Budget, a nil one.
func (b *Budget) Open() *Account {
	if b == nil {
		return nil
	}
	return &Account{of: b}
}

// Grow takes n bytes more, or returns a *FullError and changes nothing.
func (a *Account) Grow(n int64) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if missing := a.mu.used + n - a.mu.taken; missing > 0 {
		take := max(missing, step)
		err := a.of.Reserve(take)
		if err != nil && take > missing { // the last bytes are not for rounding
			take = missing
			err = a.of.Reserve(take)
		}
		if err != nil {
			return err
		}
		a.mu.taken += take
	}
	a.mu.used += n
	return nil
}

// Shrink says that n of the bytes are free again. They stay with the account, but
// for what is more than two steps.
func (a *Account) Shrink(n int64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.used -= n
	if spare := a.mu.taken - a.mu.used; spare > 2*step {
		a.of.Release(spare - step)
		a.mu.taken -= spare - step
	}
}

// Used is what the account was asked for and has not shrunk by.
func (a *Account) Used() int64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.used
}

// Close gives everything back. The account can be used again.
func (a *Account) Close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.of.planted.leaks() {
		a.of.Release(a.mu.taken)
	}
	a.mu.used, a.mu.taken = 0, 0
}
