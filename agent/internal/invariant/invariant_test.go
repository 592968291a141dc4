package invariant

import (
	"errors"
	"testing"
)

func TestCheck(t *testing.T) {
	Check(true, "never formatted")
	defer func() {
		err, _ := recover().(error)
		var v *Violation
		if !errors.As(err, &v) || v.Message != "3 is no 4" {
			t.Errorf("recovered %v, want a violation that says what is wrong", err)
		}
	}()
	Check(false, "%d is no %d", 3, 4)
}
