package sql

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryStatementIsDispatched reads the source: each type that implements syntax.Node
// has a case in execute or a line in notYet, and not both.
func TestEveryStatementIsDispatched(t *testing.T) {
	cases := map[string]bool{}
	inspect(t, "execute.go", func(n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "execute") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				for _, e := range c.List {
					if star, ok := e.(*ast.StarExpr); ok {
						cases[star.X.(*ast.SelectorExpr).Sel.Name] = true
					}
				}
			}
			return true
		})
	})
	if len(cases) < 20 {
		t.Fatalf("the test has found %d cases of execute only: %v", len(cases), slices.Collect(maps.Keys(cases)))
	}
	later := map[string]bool{}
	for typ := range notYet {
		later[typ.Elem().Name()] = true
	}
	files, err := filepath.Glob(filepath.Join("syntax", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, file := range files {
		inspect(t, file, func(n ast.Node) {
			if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "node" && f.Recv != nil {
				nodes[f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name] = true
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		switch {
		case cases[name] && later[name]:
			t.Errorf("%s is carried out: take its line out of notYet", name)
		case !cases[name] && !later[name]:
			t.Errorf("%s has no case in execute and no line in notYet", name)
		}
	}
}

func inspect(t *testing.T, file string, look func(ast.Node)) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool { look(n); return true })
}

// TestWhatIsNotCarriedOut: it is read, and refused by its name; what is wrong with it
// comes first.
func TestWhatIsNotCarriedOut(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	for _, s := range []struct{ text, want string }{
		{"create index on t a", `42601 syntax error at or near "a"`},
		{"create table t (a int, exclude (a with =))", "0A000 an EXCLUDE constraint is not supported"},
		{"create table t (a int) inherits (u)", "0A000 table inheritance is not supported"},
		{"grant selec on t to bob", `42601 unrecognized privilege type "selec"`},
		{"create trigger a before insert on t for each row begin insert into u values (new.a)", "42601 syntax error at end of input"},
		{"create trigger a before insert on t for each row begin insert int u values (new.a); end", `42601 syntax error at or near "int"`},
	} {
		c.want(s.want, s.text)
	}
}
