package systems

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	text := []byte("77 (a) b (c) S 70 1 70 0 -1 4194560 9 9 9 9 150 50 0 0 20 0 1 0 100 1000000 25 18446744073709551615 0")
	pid, parent, u, err := parseStat(text)
	if err != nil || pid != 77 || parent != 70 || u.CPU != 2*time.Second || u.RSS != 25*int64(os.Getpagesize()) {
		t.Errorf("parseStat = %d, %d, %+v, %v", pid, parent, u, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1", "x (x) S 1 70 70 0 -1 4194560 9 9 9 9 150 50 0 0 20 0 1 0 100 1000000 25 1"} {
		if _, _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("parseStat(%q) found no fault", bad)
		}
	}
}

func TestTree(t *testing.T) {
	own, _ := Tree(os.Getpid())
	if own.RSS == 0 {
		t.Error("this process uses no memory")
	}
	if _, descendants := Tree(os.Getppid()); descendants.RSS < own.RSS/2 {
		t.Errorf("the parent's descendants use %d bytes, this process alone %d", descendants.RSS, own.RSS)
	}
	if !descends(map[int]int{4: 3, 3: 2, 2: 1}, 4, 2) || descends(map[int]int{4: 3, 3: 4}, 4, 2) {
		t.Error("descends is wrong")
	}
	if CPUOf()() != 0 {
		t.Error("nobody used CPU")
	}
}
