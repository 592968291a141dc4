package agent

import "github.com/nodedb/nodedb/agent/internal/sql/duck/worker"

// WorkerRequested reports whether this process was started by a node to be its
// SQL worker: main asks it before anything else.
func WorkerRequested() bool { return worker.Requested() }

// WorkerMain is the SQL worker; it returns the process's exit code.
func WorkerMain() int { return worker.Main() }
