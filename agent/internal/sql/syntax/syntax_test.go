package syntax

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil}, {" ; -- x\n ;/* ; /* ; */ */", nil},
		{"select 1", []string{"select 1"}}, {"select 1;", []string{"select 1"}},
		{"select ';' ; select \";\"\n; select $a$;$a$", []string{"select ';' ", " select \";\"\n", " select $a$;$a$"}},
		{`select E'\';'; select 2`, []string{`select E'\';'`, " select 2"}},
		{`select '\'; select 2`, []string{`select '\'`, " select 2"}},
		{"select 'open; x", []string{"select 'open; x"}},
		{"select $1; select U&'a;b'", []string{"select $1", " select U&'a;b'"}},
	} {
		if got := Split(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func describe(n Node) string {
	q, ok := n.(*Query)
	if !ok {
		b, err := json.Marshal(n)
		if err != nil {
			return err.Error()
		}
		return strings.TrimPrefix(fmt.Sprintf("%T", n), "*syntax.") + string(b)
	}
	what := "query"
	switch {
	case q.Select != nil:
		what = "select"
	case q.Insert != nil:
		what = "insert"
	case q.Update != nil:
		what = "update"
	case q.Delete != nil:
		what = "delete"
	}
	if q.Explain != nil {
		what = "explain " + what
	}
	return what
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "<nil>"}, {"-- ping", "<nil>"},
		{"select 1;", "select"}, {"VALUES (1)", "select"}, {"explain select 1", "explain select"},
		{"with a as (select 1) insert into t select * from a", "insert"}, {"update t set a = 1", "update"}, {"delete from t", "delete"},
		{"SHOW RANGES", `ShowCluster{"Kind":"ranges","Collection":null,"Key":null}`},
		{"show /* x */ schema\nversion ;", `ShowCluster{"Kind":"schema version","Collection":null,"Key":null}`},
		{"SHOW RANGES FOR POOL hot", `ShowCluster{"Kind":"ranges","Collection":null,"Key":null,"Pool":"hot"}`},
		{"show routing for pool \"hot\"", `ShowCluster{"Kind":"routing","Collection":null,"Key":null,"Pool":"hot"}`},
		{"show routing", `ShowCluster{"Kind":"routing","Collection":null,"Key":null}`},
		{"show routing for public.\"Or\"\"ders\" key (-1, 'it''s', true)", `ShowCluster{"Kind":"routing","Collection":{"Schema":"public","Name":"Or\"ders","Position":18},"Key":[{"Text":"-1","Quoted":false,"Position":41},{"Text":"it's","Quoted":true,"Position":45},{"Text":"true","Quoted":false,"Position":54}]}`},
		{"SHOW RAFT GROUPS", `ShowCluster{"Kind":"raft groups","Collection":null,"Key":null}`}, {"show peer health;", `ShowCluster{"Kind":"peer health","Collection":null,"Key":null}`},
		{"show dropped collections", `ShowCluster{"Kind":"dropped collections","Collection":null,"Key":null}`},
		{"SHOW NODE n2", `ShowCluster{"Kind":"node","Collection":null,"Key":null,"Node":"n2"}`}, {"show node 'my node'", `ShowCluster{"Kind":"node","Collection":null,"Key":null,"Node":"my node"}`},
		{"show cluster", `ShowCluster{"Kind":"cluster","Collection":null,"Key":null}`}, {"show events", `ShowCluster{"Kind":"events","Collection":null,"Key":null}`},
		{"ALTER NODE n2 DRAIN", `AlterNode{"Node":"n2","Action":"drain"}`}, {"alter node 3 recommission;", `AlterNode{"Node":"3","Action":"recommission"}`},
		{`ALTER NODE "Omega" cordon`, `AlterNode{"Node":"Omega","Action":"cordon"}`},
		{"show timezone", `ShowSetting{"Name":"timezone"}`}, {"SHOW ALL", `ShowSetting{"Name":"all"}`}, {"show nodes2", `ShowSetting{"Name":"nodes2"}`},
		{"show transaction isolation level", `ShowSetting{"Name":"transaction_isolation"}`},
		{"create collection orders (id int8 primary key, note varchar(20) not null default 'x' || 'y', x numeric(10,2))", `CreateCollection{"Word":"COLLECTION","Name":{"Schema":"","Name":"orders","Position":19},"IfNotExists":false,"Columns":[{"Name":"id","Position":27,"Type":{"Name":"int8","Modifiers":null,"Array":false,"Position":30},"NotNull":false,"Default":""},{"Name":"note","Position":48,"Type":{"Name":"varchar","Modifiers":[20],"Array":false,"Position":53},"NotNull":true,"Default":"'x' || 'y'"},{"Name":"x","Position":94,"Type":{"Name":"numeric","Modifiers":[10,2],"Array":false,"Position":96},"NotNull":false,"Default":""}],"Constraints":[{"Kind":"PRIMARY KEY","Position":35,"Columns":["id"]}]}`},
		{"create collection if not exists docs;", `CreateCollection{"Word":"COLLECTION","Name":{"Schema":"","Name":"docs","Position":33},"IfNotExists":true,"Columns":null}`},
		{"create table t (a int, b text, primary key (b, a))", `CreateCollection{"Word":"TABLE","Name":{"Schema":"","Name":"t","Position":14},"IfNotExists":false,"Columns":[{"Name":"a","Position":17,"Type":{"Name":"int4","Modifiers":null,"Array":false,"Position":19},"NotNull":false,"Default":""},{"Name":"b","Position":24,"Type":{"Name":"text","Modifiers":null,"Array":false,"Position":26},"NotNull":false,"Default":""}],"Constraints":[{"Kind":"PRIMARY KEY","Position":32,"Columns":["b","a"]}]}`},
		{"drop collection if exists a, public.b", `DropCollection{"Word":"COLLECTION","Names":[{"Schema":"","Name":"a","Position":0},{"Schema":"public","Name":"b","Position":0}],"IfExists":true}`},
		{"DROP COLLECTION foo", `DropCollection{"Word":"COLLECTION","Names":[{"Schema":"","Name":"foo","Position":0}],"IfExists":false}`},
		{"drop collection if exists foo cascade ;", `DropCollection{"Word":"COLLECTION","Names":[{"Schema":"","Name":"foo","Position":0}],"IfExists":true,"Cascade":true}`},
		{"drop /* a ; b */ collection public.\"F;o\" restrict -- really", `DropCollection{"Word":"COLLECTION","Names":[{"Schema":"public","Name":"F;o","Position":0}],"IfExists":false}`},
		{"drop collection exists", `DropCollection{"Word":"COLLECTION","Names":[{"Schema":"","Name":"exists","Position":0}],"IfExists":false}`},
		{"create collection docs -- a comment", `CreateCollection{"Word":"COLLECTION","Name":{"Schema":"","Name":"docs","Position":19},"IfNotExists":false,"Columns":null}`},
		{"create collection docs /* a; comment */ ; -- more", `CreateCollection{"Word":"COLLECTION","Name":{"Schema":"","Name":"docs","Position":19},"IfNotExists":false,"Columns":null}`},
		{`create collection "a b" . U&"d\0061t"`, `CreateCollection{"Word":"COLLECTION","Name":{"Schema":"a b","Name":"dat","Position":19},"IfNotExists":false,"Columns":null}`},
		{"/* ä */ create collection ö", `CreateCollection{"Word":"COLLECTION","Name":{"Schema":"","Name":"ö","Position":28},"IfNotExists":false,"Columns":null}`},
		{"set time zone 'Europe/Berlin'", `SetSetting{"Name":"timezone","Values":["Europe/Berlin"],"Local":false,"Reset":false}`},
		{"set time zone interval '+05:30' hour to minute", `SetSetting{"Name":"timezone","Values":["INTERVAL '+05:30'"],"Local":false,"Reset":false}`},
		{"set time zone interval '-5' hour", `SetSetting{"Name":"timezone","Values":["INTERVAL '-5 hours'"],"Local":false,"Reset":false}`},
		{"set time zone -3.5", `SetSetting{"Name":"timezone","Values":["-3.5"],"Local":false,"Reset":false}`},
		{"set time zone local", `SetSetting{"Name":"timezone","Values":null,"Local":false,"Reset":false}`},
		{"set names 'utf8'", `SetSetting{"Name":"client_encoding","Values":["utf8"],"Local":false,"Reset":false}`},
		{"set session authorization default", `SetSetting{"Name":"session_authorization","Values":null,"Local":false,"Reset":false}`},
		{"unlisten *", `Listen{"Channel":"","Stop":true}`}, {"close all", `CloseCursor{"Name":"","All":true}`},
		{"set search_path to a, b", `SetSetting{"Name":"search_path","Values":["a","b"],"Local":false,"Reset":false}`},
		{"set local statement_timeout = 100", `SetSetting{"Name":"statement_timeout","Values":["100"],"Local":true,"Reset":false}`},
		{"alter system set split_load_threshold = 5000", `AlterSystem{"Name":"split_load_threshold","Value":"5000"}`},
		{"alter system reset gc_ttl", `AlterSystem{"Name":"gc_ttl","Value":""}`},
		{"reset all", `SetSetting{"Name":"","Values":null,"Local":false,"Reset":true}`},
		{"begin isolation level serializable, read only", `Begin{"Word":"BEGIN","Modes":{"Isolation":"serializable","ReadOnly":true}}`}, {"start transaction", `Begin{"Word":"START TRANSACTION","Modes":{}}`},
		{"begin not deferrable", `Begin{"Word":"BEGIN","Modes":{"Deferrable":false}}`}, {"commit and chain", `Commit{"Chain":true}`}, {"rollback and no chain", `Rollback{"Chain":false}`},
		{"savepoint a", `Savepoint{"Name":"a"}`}, {`rollback to savepoint "B"`, `RollbackTo{"Name":"B"}`}, {"release a", `Release{"Name":"a"}`},
		{"end", `Commit{"Chain":false}`}, {"abort", `Rollback{"Chain":false}`}, {"discard all", `Discard{"Tag":"DISCARD ALL","All":true}`},
		{"set session characteristics as transaction read write", `SetTransaction{"Session":true,"Modes":{"ReadOnly":false}}`},
	} {
		s, err := Parse(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		got := "<nil>"
		if s.Node != nil {
			got = describe(s.Node)
		}
		if got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		in, code, message string
		position          int
	}{
		{"selec 1", "42601", `syntax error at or near "selec"`, 1},
		{"select 'äö' frm x y", "42601", `syntax error at or near "x"`, 19},
		{"select 1; select 2", "42601", "cannot insert multiple commands", 0},
		{"show routing for t", "42601", "syntax error at end of input", 19},
		{"show routing for t key", "42601", "syntax error at end of input", 23},
		{"show ranges where x", "42601", `syntax error at or near "where"`, 13},
		{"show schema", "42601", "syntax error at end of input", 12},
		{"create collection (a int)", "42601", `syntax error at or near "("`, 19},
		{"drop collection", "42601", "syntax error at end of input", 16},
		{"drop collection if exists", "42601", "syntax error at end of input", 26},
		{"create collection", "42601", "syntax error at end of input", 18},
		{"create collection if not exists", "42601", "syntax error at end of input", 32},
		{"drop collection a b", "42601", `syntax error at or near "b"`, 19},
		{"drop collection 'ä' b", "42601", "syntax error at or near \"'ä'\"", 17},
		{"create collection a b", "42601", `syntax error at or near "b"`, 21},
		{"drop collection a; drop collection b", "42601", "cannot insert multiple commands", 0},
		{"create collection a (id int); select 1", "42601", "cannot insert multiple commands", 0},
		{"show ranges; select 1", "42601", "cannot insert multiple commands", 0},
		{"create collection t (a int default 1" + strings.Repeat("+1", 950) + ")", "54001", "too complex", 0},
		{"create table t (a int primary key, primary key (a))", "42P16", "multiple primary keys", 36},
		{"copy t from stdin (format xml)", "22023", "not recognized", 20},
		{"select 'x", "42601", "unterminated quoted string", 8},
		{"select 1\x00", "22021", "invalid byte sequence", 0},
		{"select 1" + strings.Repeat("+1", 950), "54001", "too complex", 0},
		{"select 1" + strings.Repeat("+1", 50_000), "54001", "too complex", 0},
		{"select " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000), "54001", "too complex", 0},
		{"select 1" + strings.Repeat(" union all select 1, 2", 5000), "54001", "too complex", 0},
		{"select 1" + strings.Repeat("::int", 20000), "54001", "too complex", 0},
		{"select " + strings.Repeat("not ", 20000) + "true", "54001", "too complex", 0},
		{"select a" + strings.Repeat("[1]", 20000), "54001", "too complex", 0},
		{"select " + strings.Repeat("case when ", 5000) + "1", "54001", "too complex", 0},
	} {
		_, err := Parse(c.in)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.message) || e.Position != c.position {
			t.Errorf("%.60q: got %+v, want %s %q at %d", c.in, err, c.code, c.message, c.position)
		}
	}
}

func TestCharacter(t *testing.T) {
	const text = "äb€c"
	for _, c := range []struct{ position, want int }{{-1, 0}, {0, 0}, {1, 1}, {3, 2}, {4, 3}, {7, 4}, {8, 5}, {9, 0}} {
		if got := Character(text, c.position); got != c.want {
			t.Errorf("byte %d: character %d, want %d", c.position, got, c.want)
		}
		if c.want > 0 {
			if got := bytePosition(text, c.want); got != c.position {
				t.Errorf("character %d: byte %d, want %d", c.want, got, c.position)
			}
		}
	}
}

func TestLargeStatementsPass(t *testing.T) {
	for _, in := range []string{
		"insert into t values (1, -2, 'x')" + strings.Repeat(", (1, -2, NULL)", 20_000),
		"select * from t where a in (1" + strings.Repeat(", 2", 20_000) + ")",
		"select 1" + strings.Repeat("+1", 800),
	} {
		if _, err := Parse(in); err != nil {
			t.Errorf("%.40q...: %v", in, err)
		}
	}
}

func TestCache(t *testing.T) {
	c := NewCache(2)
	a, err := c.Parse("select 1")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if b, _ := c.Parse("select 1"); a != b {
			t.Fatal("parsed again")
		}
	}
	for i := range 10 {
		if _, err := c.Parse(fmt.Sprint("select ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.mu.young)+len(c.mu.old) > 4 {
		t.Errorf("%d statements kept", len(c.mu.young)+len(c.mu.old))
	}
	if _, err := c.Parse("selec"); err == nil {
		t.Error("no error")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"select 1", "show routing for a.b key (1,'x')", "create collection if not exists \"a\".b", "insert into t values ($1, E'\\'') returning *",
		"select 1;select $a$;$a$", "/* /* */ */ begin", "drop collection a", "set a to b", "explain update t set (a,b) = (1,2)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // refused before, by the protocol
		}
		for _, one := range Split(text) {
			if !strings.Contains(text, one) {
				t.Fatalf("%q is no part of %q", one, text)
			}
			_, err := Parse(one)
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Code == "" || e.Message == "") {
				t.Fatalf("%q: %v", one, err)
			}
		}
	})
}

func TestStatementsWithPasswordsAreNotRemembered(t *testing.T) {
	c := NewCache(10)
	const secret = "CREATE USER bob PASSWORD 's3cret'"
	for _, text := range []string{secret, "SELECT 1"} {
		s, err := c.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if kept := c.find(text) != nil; kept == (text == secret) {
			t.Errorf("%s: remembered: %v", s.Shown(), kept)
		}
	}
}
