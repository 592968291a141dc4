//go:build !planted

package sql

import "github.com/nodedb/nodedb/agent/internal/sql/exec"

// Planted are faults that the tag "planted" lets tests plant. Here it is empty.
type Planted struct{}

func (Planted) guessBlock() bool { return false }

func (Planted) endAfter() bool { return false }

func (Planted) missTrigger() bool { return false }

func (Planted) missBody() bool { return false }

func (Planted) missCall() bool { return false }

func (Planted) tellsUndone() bool { return false }

func (Planted) keepsUndone() bool { return false }

func (Planted) copyStays() bool { return false }

func (Planted) namedAgain() bool { return false }

func (Planted) sweepsAtOnce() bool { return false }

func (Planted) exec() (p exec.Planted) { return p }
