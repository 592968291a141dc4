//go:build !planted

package kv

// Planted are faults that tests plant; without the tag there are none.
type Planted struct{}

func (Planted) wideScan() bool    { return false }
func (Planted) readsAgain() bool  { return false }
func (Planted) narrowScope() bool { return false }
