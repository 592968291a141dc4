package build

import (
	"runtime/debug"
	"testing"
)

func TestStamp(t *testing.T) {
	set := func(kv ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{GoVersion: "go1.26.0"}
		for i := 0; i < len(kv); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return info
	}
	for _, tt := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{set("vcs.revision", "4a75901cafe", "vcs.time", "2026-11-28T20:11:00Z", "vcs.modified", "false", "-buildmode", "pie"),
			"commit 4a75901cafe, of 2026-11-28T20:11:00Z, go1.26.0, pie"},
		{set("vcs.revision", "4a75901cafe", "vcs.time", "soon", "vcs.modified", "true", "-buildmode", "exe"), "commit 4a75901cafe with changes, go1.26.0"},
		{set(), "commit unknown, go1.26.0"},
	} {
		if got := stampOf(tt.info).String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if Read().Go == "" {
		t.Error("the running binary does not say by which Go it was built")
	}
}
