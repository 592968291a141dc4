//go:build !planted

package sql

// planted are faults that the tag "planted" lets tests plant. Here it is empty.
type planted struct{}

func (planted) guessBlock() bool { return false }

func (planted) endAfter() bool { return false }
