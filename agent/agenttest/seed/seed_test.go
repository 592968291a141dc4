package seed

import "testing"

func TestOf(t *testing.T) {
	t.Setenv(variable, "")
	if a, b := Of(t), Of(t); a != fixed || b != fixed {
		t.Errorf("without the variable the seeds are %d and %d", a, b)
	}
	t.Setenv(variable, "random")
	if a, b := Of(t), Of(t); a == b {
		t.Errorf("two random seeds are %d", a)
	}
	t.Setenv(variable, "18446744073709551615")
	if a := Of(t); a != 1<<64-1 {
		t.Errorf("the seed is %d", a)
	}
}
