// Package jsonb is what SQL does with values of jsonb: operators, functions and jsonpath.
//
// Values go in and out as package datum keeps them, as text in one form. The fast path
// and the worker of the slow path call the same functions, so that both give the same.
//
// # Concurrency
//
// Everything is a pure function. A *Path may be used by any number of goroutines.
package jsonb
