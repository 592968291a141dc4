package syntax

import (
	"bytes"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write testdata/statements.golden anew")

// corpus are statements of every type.
func corpus(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "statements.sql"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// TestStatements compares what the statements of the corpus say with a file.
func TestStatements(t *testing.T) {
	var out bytes.Buffer
	types := map[string]bool{}
	for _, text := range corpus(t) {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("%s\n  %v", text, err)
			continue
		}
		said := describe(s.Node)
		types[strings.TrimPrefix(strings.Split(said, "{")[0], "explain ")] = true
		out.WriteString(text + "\n  " + said + "\n")
	}
	for _, name := range nodeTypes(t) {
		if name != "Query" && !types[name] {
			t.Errorf("the corpus has no %s", name)
		}
	}
	file := filepath.Join("testdata", "statements.golden")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("line %d of %s differs (go test -run TestStatements ./agent/internal/sql/syntax -update writes it anew):\n got %s\nwant %s",
				i+1, file, strings.Join(got[min(i, len(got)):min(i+1, len(got))], ""), strings.Join(wanted[min(i, len(wanted)):min(i+1, len(wanted))], ""))
		}
	}
}

// nodeTypes are the types that implement Node, by the source.
func nodeTypes(t *testing.T) []string {
	t.Helper()
	packages, err := parser.ParseDir(gotoken.NewFileSet(), ".", nil, 0) //nolint:staticcheck // the package is one directory
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range packages["syntax"].Files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "node" && f.Recv != nil {
				out = append(out, f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name)
			}
		}
	}
	return out
}

// TestCutStatements cuts each statement of the corpus behind each of its tokens: what is
// left is a statement, one that is not offered, or 42601 with a position.
func TestCutStatements(t *testing.T) {
	cuts := 0
	for _, text := range corpus(t) {
		for l := (lexer{text: text}); ; {
			token := l.next()
			if token.kind == tokenEnd {
				break
			}
			for _, cut := range []string{text[:token.end], text[:token.start] + text[token.end:], text[:token.end] + " ; " + text[token.end:]} {
				cuts++
				checkParse(t, cut, true)
			}
		}
	}
	t.Logf("%d texts", cuts)
}

// checkParse parses a text: it may be refused, in a way that a client can tell.
func checkParse(t *testing.T, text string, positions bool) {
	t.Helper()
	_, err := Parse(text)
	if err == nil {
		return
	}
	var e *Error
	switch {
	case !errors.As(err, &e) || len(e.Code) != 5 || e.Message == "":
		t.Fatalf("%q: %v", text, err)
	case e.Position < 0 || e.Position > len(text)+1:
		t.Fatalf("%q: %v is at %d", text, err, e.Position)
	case positions && e.Code == codeSyntax && e.Position == 0 && *e != *multipleCommands():
		t.Errorf("%q: %v has no position", text, err)
	case positions && e.Code != codeSyntax && e.Code != codeNotSupported && e.Code != "42P16" && e.Code != "22023" && e.Code != "42602":
		t.Errorf("%q: %+v", text, e)
	}
}

// FuzzStatements begins with the statements of the corpus.
func FuzzStatements(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // refused before, by the protocol
		}
		for _, one := range Split(text) {
			if !strings.Contains(text, one) {
				t.Fatalf("%q is no part of %q", one, text)
			}
			checkParse(t, one, false)
		}
	})
}

func TestSplitBodies(t *testing.T) {
	for _, text := range corpus(t) {
		if got := Split("select 1;" + text + "; select 2"); len(got) != 3 || got[1] != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for in, want := range map[string]int{
		"create trigger t after insert on a begin select 1; select 2":                              1, // it has no end: Parse says so
		"begin; select case when true then 1 end; end":                                             3,
		"create table begin (a int); select 1; create function f() returns int return 1; select 1": 4,
	} {
		if got := Split(in); len(got) != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

// TestOperators compares operators with those of PostgreSQL's rule, on all short runs.
func TestOperators(t *testing.T) {
	const characters = "+-*/=@"
	var try func(run string)
	try = func(run string) {
		if run != "" && !strings.Contains(run, "--") && !strings.Contains(run, "/*") {
			var got, want []string
			for l := (lexer{text: run}); l.pos < len(run); {
				next := l.next()
				got = append(got, run[next.start:next.end])
			}
			for rest := run; rest != ""; {
				end := len(rest)
				for end > 1 && strings.Contains("+-", rest[end-1:end]) && !strings.Contains(rest, "@") {
					end--
				}
				want, rest = append(want, rest[:end]), rest[end:]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q: got %q, want %q", run, got, want)
			}
		}
		for i := 0; i < len(characters) && len(run) < 5; i++ {
			try(run + characters[i:i+1])
		}
	}
	try("")
}

// TestLongOperators: a statement of nothing but operators is refused in a time that grows
// with its length, not with a power of it: else this test does not end.
func TestLongOperators(t *testing.T) {
	for _, run := range []string{"+", "-+", "=+", "*-", "@-", "/"} {
		text := strings.Repeat(run, 4<<20/len(run))
		if got := Split(text); len(got) != 1 {
			t.Errorf("%q becomes %d statements", run, len(got))
		}
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is a statement", run)
		}
	}
}
