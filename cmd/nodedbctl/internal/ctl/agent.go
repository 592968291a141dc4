package ctl

import (
	"os"
	"os/exec"
	"path/filepath"
)

// FindAgent finds nodedb-agent: where flag says, beside nodedbctl, or on PATH.
func FindAgent(flag string) (string, error) {
	if flag != "" {
		if _, err := os.Stat(flag); err != nil {
			return "", Usagef("--agent-binary: %v", err)
		}
		return filepath.Abs(flag)
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "nodedb-agent")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("nodedb-agent")
	if err != nil {
		return "", Usagef("nodedb-agent is neither beside nodedbctl nor on PATH: give --agent-binary FILE")
	}
	return path, nil
}
