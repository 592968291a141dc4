// Command benchreport prints a file of figures that make bench wrote, or compares
// two of them.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
)

const usage = `usage: benchreport FILE          prints the figures as tables
       benchreport -md FILE      as one table of Markdown, for a document
       benchreport OLD NEW       compares them: what became better, what is noise
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0, 1 if a file cannot be read, 2 for wrong usage.
func run(args []string, out, errs io.Writer) int {
	markdown := len(args) == 2 && args[0] == "-md"
	if markdown {
		args = args[1:]
	}
	if len(args) < 1 || len(args) > 2 {
		fmt.Fprint(errs, usage)
		return 2
	}
	var files []*figures.File
	for _, path := range args {
		f, err := figures.Load(path)
		if err != nil {
			fmt.Fprintln(errs, "benchreport:", err)
			return 1
		}
		files = append(files, f)
	}
	var err error
	switch {
	case markdown:
		err = files[0].PrintMarkdown(out)
	case len(files) == 1:
		err = files[0].Print(out)
	default:
		err = figures.PrintChanges(out, files[0], files[1])
	}
	if err != nil {
		fmt.Fprintln(errs, "benchreport:", err)
		return 1
	}
	return 0
}
