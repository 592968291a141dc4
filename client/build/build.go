// Package build tells what a binary was built from.
//
// # What is not here
//
// The version's name: the linker sets it in each main.
package build

import (
	"runtime/debug"
	"strings"
	"time"
)

// Stamp is what the Go linker wrote into a binary.
type Stamp struct {
	Commit      string // empty if it was not built in a repository
	CommittedAt *time.Time
	Modified    bool // the working tree differed from Commit
	Go          string
	PIE         bool // the program is loaded at another address at each start
}

// Read returns the stamp of the running binary.
func Read() Stamp {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Stamp{}
	}
	return stampOf(info)
}

func stampOf(info *debug.BuildInfo) Stamp {
	s := Stamp{Go: info.GoVersion}
	for _, kv := range info.Settings {
		switch kv.Key {
		case "vcs.revision":
			s.Commit = kv.Value
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, kv.Value); err == nil {
				s.CommittedAt = &at
			}
		case "vcs.modified":
			s.Modified = kv.Value == "true"
		case "-buildmode":
			s.PIE = kv.Value == "pie"
		}
	}
	return s
}

// String is one line for a person.
func (s Stamp) String() string {
	parts := []string{"commit unknown"}
	if s.Commit != "" {
		parts[0] = "commit " + s.Commit
	}
	if s.Modified {
		parts[0] += " with changes"
	}
	if s.CommittedAt != nil {
		parts = append(parts, "of "+s.CommittedAt.UTC().Format(time.RFC3339))
	}
	parts = append(parts, s.Go)
	if s.PIE {
		parts = append(parts, "pie")
	}
	return strings.Join(parts, ", ")
}
