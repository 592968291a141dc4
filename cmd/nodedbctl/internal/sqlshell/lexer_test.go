package sqlshell

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		rest string
	}{
		{"select 1;", []string{"select 1"}, ""},
		{"select 1; select 2", []string{"select 1"}, " select 2"},
		{";;", nil, ""},
		{"select ';'", nil, "select ';'"},
		{"select ';';", []string{"select ';'"}, ""},
		{"select 'it''s;';", []string{"select 'it''s;'"}, ""},
		{`select E'\';';`, []string{`select E'\';'`}, ""},
		{`select "a;b";`, []string{`select "a;b"`}, ""},
		{"select 1 -- ; no\n;", []string{"select 1 -- ; no\n"}, ""},
		{"select /* ; /* ; */ ; */ 1;", []string{"select /* ; /* ; */ ; */ 1"}, ""},
		{"select $$;$$;", []string{"select $$;$$"}, ""},
		{"select $a$;$$;$a$;", []string{"select $a$;$$;$a$"}, ""},
		{"select a$1;", []string{"select a$1"}, ""},
		{"select $1;", []string{"select $1"}, ""},
		{"select namee'x';", []string{"select namee'x'"}, ""},
		{"-- only\n;select 1;", []string{"select 1"}, ""},
		{"begin; select 1; end;", []string{"begin", " select 1", " end"}, ""},
		{"create trigger t before insert on a begin select 1; end; select 2;", []string{"create trigger t before insert on a begin select 1; end", " select 2"}, ""},
		{"create or replace trigger t after update on a BEGIN IF a THEN b; ELSE IF c THEN d; END IF; END IF; select case when 1 then 2 end; END; x;",
			[]string{"create or replace trigger t after update on a BEGIN IF a THEN b; ELSE IF c THEN d; END IF; END IF; select case when 1 then 2 end; END", " x"}, ""},
		{"create function f() returns int begin atomic select 1; end; select 2;", []string{"create function f() returns int begin atomic select 1; end", " select 2"}, ""},
		{"create schedule s cron '@hourly' begin delete from t; ", nil, "create schedule s cron '@hourly' begin delete from t; "},
		{"alter schedule s begin a; end;", []string{"alter schedule s begin a; end"}, ""},
		{`create trigger "begin" before insert on "case" begin select 'end'; -- end
end;`, []string{"create trigger \"begin\" before insert on \"case\" begin select 'end'; -- end\nend"}, ""},
		{"create table begin_a (a int); select 1;", []string{"create table begin_a (a int)", " select 1"}, ""},
	} {
		got, rest := split(c.in)
		if !slices.Equal(got, c.want) || rest != c.rest {
			t.Errorf("%q: got %q and %q, want %q and %q", c.in, got, rest, c.want, c.rest)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"select 1;", "$a$;$a", "E'\\", "/*/*", "'';\"", "--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, rest := split(text)
		// Nothing is made up and nothing of weight is lost: the pieces stand in the
		// text in their order, and between them are only semicolons and blanks.
		at := text
		for _, s := range append(got, rest) {
			before, after, ok := strings.Cut(at, s)
			if !ok || !blank(strings.ReplaceAll(before, ";", "")) {
				t.Fatalf("%q: piece %q is not in its place", text, s)
			}
			at = after
		}
		if terminator(rest) >= 0 {
			t.Fatalf("%q: the rest %q holds a statement", text, rest)
		}
	})
}
