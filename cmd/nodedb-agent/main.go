// Command nodedb-agent is the daemon's main: it makes, joins and runs one node.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/nodedb/nodedb/agent"
)

// version is set by the build.
var version = "unknown"

//go:generate go run ../nodedbctl/internal/thirdparty ../../docs/THIRD_PARTY.md . ../nodedbctl

func main() {
	keepPrivate()
	if agent.WorkerRequested() {
		os.Exit(agent.WorkerMain())
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// keepPrivate makes every file of a node readable by its user only, those of the
// store and of the SQL worker too.
func keepPrivate() { syscall.Umask(0o077) }

// run carries out one verb and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return agent.ExitUsage
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return report(stderr, v.run(args[1:], stdout, stderr))
		}
	}
	if args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		usage(stdout)
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "nodedb-agent: there is no command %q\n", args[0])
	usage(stderr)
	return agent.ExitUsage
}

func report(stderr io.Writer, err error) int {
	var exit *agent.ExitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &exit):
		_, _ = fmt.Fprintln(stderr, "nodedb-agent:", err)
		return exit.Code
	}
	_, _ = fmt.Fprintln(stderr, "nodedb-agent:", err)
	return 1
}
