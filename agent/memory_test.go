package agent

import (
	"testing"
	"testing/fstest"
)

func TestCgroupLimit(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"none":           {fstest.MapFS{}, 0},
		"version 2":      {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("1000\n")}, 1000},
		"max":            {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")}, 0},
		"the parent's":   {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("1000\n"), "sys/fs/cgroup/a/memory.max": file("500\n")}, 500},
		"in a container": {fstest.MapFS{"proc/self/cgroup": file("0::/../..\n"), "sys/fs/cgroup/memory.max": file("700\n")}, 700},
		"version 1": {fstest.MapFS{"proc/self/cgroup": file("5:cpu,cpuacct:/x\n4:memory:/docker/1\n"),
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": file("900\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n")}, 900},
		"version 1 below a container": {fstest.MapFS{"proc/self/cgroup": file("4:memory:/docker/1\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("800\n")}, 800},
	} {
		if got := cgroupLimit(tt.files); got != tt.want {
			t.Errorf("%s: limit %d, want %d", name, got, tt.want)
		}
	}
}

func TestMemoryIsDivided(t *testing.T) {
	for _, gib := range []int64{1, 2, 4, 16, 64} {
		c := DefaultConfig("d")
		c.Memory = gib << 30
		m := c.memory(fstest.MapFS{})
		if m.total != c.Memory || m.source != "node.yaml" {
			t.Errorf("%d GiB: %+v", gib, m)
		}
		if m.heap < m.total/2 || m.heap > m.total*9/10 || m.sessions > m.heap/2 || m.sessions < m.total/8 {
			t.Errorf("%d GiB: %+v", gib, m)
		}
	}
	c := DefaultConfig("d")
	if m := c.memory(fstest.MapFS{}); m.source != "machine" || m.total <= 0 {
		t.Errorf("without a setting and a cgroup: %+v", m)
	}
}
