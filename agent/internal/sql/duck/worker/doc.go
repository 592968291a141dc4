// Package worker is the sqlworker process: DuckDB behind one socket.
//
// A program that opens a duck.Executor begins its main (and the TestMain of its
// tests) with
//
//	if worker.Requested() {
//		os.Exit(worker.Main())
//	}
//
// The process ends when the agent's end of its control socket closes, and by
// itself after an error that leaves DuckDB unusable.
//
// # Concurrency
//
// One goroutine per lane reads its messages; a statement runs in a goroutine of
// its own; DuckDB calls the scan callbacks on threads of its own, where they wait
// for rows.
//
// # Invariants
//
//  1. No C++ exception and no panic crosses a frame of the other language: calls
//     that allocate from within a callback go through shim.cpp, and every exported
//     function recovers.
//  2. A statement has a DuckDB connection of its own, closed when it ends: that is
//     what frees the threads and scans of a result that was not read to its end.
//  3. Only SQL made by duck/rewrite arrives; external access is off and the
//     configuration locked all the same.
package worker
