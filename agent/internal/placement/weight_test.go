package placement

import "testing"

// TestWeight: whoever is refused for want of room is told what of it is dead.
func TestWeight(t *testing.T) {
	for _, tt := range []struct {
		bytes, dead uint64
		want        string
	}{
		{5 << 20, 0, "5 MiB"},
		{3 << 30, 1<<20 + 1, "3 GiB, of which 2 MiB are dead until they are collected,"},
		{1, 1, "1 MiB, of which 1 MiB are dead until they are collected,"},
	} {
		if got := weight(tt.bytes, tt.dead); got != tt.want {
			t.Errorf("weight(%d, %d) = %q, want %q", tt.bytes, tt.dead, got, tt.want)
		}
	}
}
