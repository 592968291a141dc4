// Package demo is the verb demo.
package demo

import (
	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// New makes the command demo.
func New(e *ctl.Env) *cobra.Command { return &cobra.Command{Use: "demo"} }
