package sql

import "testing"

// TestTypesOfFunctionsWithoutPath: a dump has no search path, and names types with their schemas.
func TestTypesOfFunctionsWithoutPath(t *testing.T) {
	_, c := slowFixture(t)
	for _, text := range []string{"create type mood as enum ('a')", "create type pair as (a int, m mood)",
		"create function f(m mood, l mood[], p pair) returns pair[] language sql as 'select array[p]'"} {
		c.run(text)
	}
	const texts = "select pg_get_function_arguments(oid), pg_get_function_result(oid) from pg_proc where proname = 'f'"
	c.want("m mood, l mood[], p pair|pair[]\nSELECT 1", texts)
	c.run("set search_path = ''")
	c.want("m public.mood, l public.mood[], p public.pair|public.pair[]\nSELECT 1", texts)
}
