// Package duck runs query plans in the sqlworker process (owner of DuckDB).
//
// The session hands over the AST of one SELECT and a resolver of table names;
// the package rewrites it into DuckDB's dialect, describes its parameters and
// columns, and runs it in a supervised child process. The child has no keys, no
// network and no files but its spill directory: each FROM item is a scan whose
// rows the parent fetches from the Source it was given.
//
//	executor, err := duck.Open(ctx, duck.Config{...})
//	prepared, err := executor.Prepare(ctx, duck.Query{Select: stmt, Resolve: tables})
//	err = prepared.Execute(ctx, duck.Execution{Args: args, Source: rows, Now: now}, emit)
//
// The child is this very program, started again: main, and the TestMain of every
// test that opens an Executor, call worker.Main first (package duck/worker; it
// alone links DuckDB, so that importing this package stays cheap).
//
// # Concurrency
//
//  1. An *Executor and a *Prepared may be used by any number of goroutines.
//  2. Executions beyond Config.Concurrency wait for their turn; a turn is given
//     back while emit runs, so that a slow client holds up nobody.
//  3. Source.Scan is called from one goroutine per scan, of which one execution
//     has several at once, and for the same FROM item possibly again (recursive
//     queries); a Scan is used by one goroutine at a time.
//  4. emit runs in the goroutine that called Execute.
//
// # Invariants
//
//  1. Execute returns only after every Scan it opened was closed.
//  2. Ending the context, or an error of emit, ends the execution in the child
//     too; a child that does not answer to that is killed.
//  3. The death of the child fails the executions it ran with an *Error of code
//     XX000 that is Retryable; a new child is started, with a growing delay.
//  4. No text of DuckDB reaches a caller unless it is known not to quote the
//     rewritten statement.
//
// # What is not here
//
// Parsing (sql/syntax guards and calls the parser), key reads and writes
// (sql/exec), catalog tables (sql supplies their rows through a Source).
package duck
