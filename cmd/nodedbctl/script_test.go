package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/root"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nodedbctl": func() { os.Exit(root.Main("v1.0.0", os.Args[1:])) }})
}

// TestScripts plays the stories of testdata/script against a cluster in this
// process. "exits N command..." expects an exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			addr, stop, err := serve(e.WorkDir)
			if err != nil {
				return err
			}
			e.Defer(stop)
			e.Setenv("ADDR", addr)
			e.Setenv("NODEDBCTL_CONFIG", filepath.Join(e.WorkDir, "context.yaml"))
			return nil
		},
		Cmds:          map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits, "valid": valid},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// exits runs a command whose last stderr line is checked by the script as usual;
// testscript itself cannot tell exit codes apart, so a shell does.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec("sh", append([]string{"-c", `"$@"; test $? = "$0" || { echo "exit code is not $0" >&2; exit 1; }`, args[0]}, args[1:]...)...)
	if err != nil {
		ts.Fatalf("%v: %v", args, err)
	}
}
