package sql

import "testing"

// TestDefinerStays: what a SECURITY DEFINER function does is by the rights of who owns it,
// whatever it sets, and whatever errors it takes; and it becomes nobody else.
func TestDefinerStays(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, low := f.as("root"), f.as("bob")
	is := " returns text language plpgsql security definer "
	c.steps([][2]string{
		{"create table secret (id int primary key)", "CREATE TABLE"},
		{"create function d1()" + is + "set search_path = public as $$ begin return current_user; end $$", "CREATE FUNCTION"},
		{"create function d2() returns text language sql security definer set search_path = public as 'select current_user || count(*) from secret'", "CREATE FUNCTION"},
		{"create function d3()" + is + "as $$ begin set work_mem = '8MB'; return current_user; end $$", "CREATE FUNCTION"},
		{"create function d4()" + is + "as $$ begin perform set_config('a.b', 'c', true); return current_user; end $$", "CREATE FUNCTION"},
		{"create function d5()" + is + "as $$ begin begin perform 1 / 0; exception when others then null; end; return current_user; end $$", "CREATE FUNCTION"},
		{"create function d6()" + is + "as $$ begin set role alice; return current_user; end $$", "CREATE FUNCTION"},
		{"create function d7()" + is + "as $$ begin perform set_config('role', 'alice', false); return current_user; end $$", "CREATE FUNCTION"},
		{"create function d8()" + is + "as $$ begin return d9() || current_user; end $$", "CREATE FUNCTION"},
		{"create function d9()" + is + "as $$ begin return current_user; end $$", "CREATE FUNCTION"},
		{"alter function d9() owner to alice", "ALTER FUNCTION"},
	}...)
	low.steps([][2]string{
		{"select d1()", "root\nSELECT 1"},
		{"select d2()", "root0\nSELECT 1"},
		{"select d3()", "root\nSELECT 1"},
		{"select d4()", "root\nSELECT 1"},
		{"select d5()", "root\nSELECT 1"},
		{"select d6()", `42501 cannot set parameter "role" within security-definer function`},
		{"select d7()", `42501 cannot set parameter "role" within security-definer function`},
		{"select d8()", "aliceroot\nSELECT 1"},
		{"select current_user", "bob\nSELECT 1"},
		{"select * from secret", "42501 permission denied for table secret"},
	}...)
	c.steps([][2]string{
		{"alter function d1() owner to bob", "ALTER FUNCTION"},
		{"select d1(), current_user", "bob|root\nSELECT 1"},
	}...)
}
