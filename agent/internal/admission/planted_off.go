//go:build !planted

package admission

// Planted are faults that the tag "planted" lets tests plant. Here it is empty: none
// can be planted.
type Planted struct{}

func (Planted) noBound() bool    { return false }
func (Planted) keepsPlace() bool { return false }
func (Planted) overtakes() bool  { return false }
