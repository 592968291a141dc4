package sql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// internalSchema holds what SHOW shows, as tables.
const internalSchema = "nodedb_internal"

// systemTable is a table whose rows are made when it is read.
type systemTable struct {
	kind    syntax.ShowKind
	columns []clusterview.Column
}

// systemTable finds a table that is no collection.
func (s *Server) systemTable(schema, name string) (*duck.Table, bool) {
	if catalogs, err := pgcatalog.Load(); err == nil {
		if t, ok := catalogs.Lookup(schema, name); ok {
			return catalogTable(t), true
		}
	}
	t := findSystemTable(schema, name)
	if t == nil {
		return nil, false
	}
	out := &duck.Table{Schema: schema, Name: name, Ref: t}
	for _, c := range t.columns {
		out.Columns = append(out.Columns, duck.TableColumn{Name: c.Name, Type: c.Type, Modifier: -1})
	}
	return out, true
}

func findSystemTable(schema, name string) *systemTable {
	if schema != internalSchema {
		return nil
	}
	if kind, ok := clusterview.Table(name); ok {
		return &systemTable{kind: kind, columns: clusterview.Columns(kind)}
	}
	return nil
}

// scanSystem reads a system table for the slow path.
func (s *Session) scanSystem(ctx context.Context, spec duck.ScanSpec) (duck.Scan, error) {
	if t, ok := spec.Table.Ref.(*pgcatalog.Table); ok {
		in := s.catalogInput(ctx, t)
		if t.Shared() == pgcatalog.Sizes {
			var err error
			if in.Sizes, err = s.sizes(ctx, spec); err != nil {
				return nil, err
			}
			in.Definitions = s.definitionSizes()
		}
		return duck.RowScan(spec, t.Rows(in)), ctx.Err()
	}
	if t, ok := spec.Table.Ref.(*transitionTable); ok {
		if now := s.transitions[t.name]; now != nil {
			return duck.RowScan(spec, now.rows), ctx.Err()
		}
		return nil, &Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", t.name)}
	}
	if t, ok := spec.Table.Ref.(*sequenceTable); ok {
		return duck.RowScan(spec, s.sequenceRows(t)), ctx.Err()
	}
	t, ok := spec.Table.Ref.(*systemTable)
	if !ok {
		return nil, fmt.Errorf("table %q is of no known kind", spec.Table.Name)
	}
	if err := s.maySee(t.kind, "SELECT FROM "+spec.Table.Schema+"."+spec.Table.Name); err != nil {
		return nil, err
	}
	rows, err := s.shown(ctx, t.kind, "")
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", spec.Table.Schema, spec.Table.Name, err)
	}
	return duck.RowScan(spec, rows), nil
}

// catalogTable describes a table of pg_catalog or information_schema.
func catalogTable(t *pgcatalog.Table) *duck.Table {
	out := &duck.Table{Schema: t.Schema, Name: t.Name, OID: t.OID, Ref: t, Columns: make([]duck.TableColumn, len(t.Columns))}
	for i, c := range t.Columns {
		out.Columns[i] = duck.TableColumn{Name: c.Name, Type: c.Type, Modifier: -1}
	}
	for _, c := range t.SystemColumns() {
		out.Columns = append(out.Columns, duck.TableColumn{Name: c.Name, Type: c.Type, Modifier: -1, Hidden: true})
	}
	return out
}

// shownRole is a role as the catalogs show it.
func shownRole(u *metastate.User) pgcatalog.Role {
	out := pgcatalog.Role{Name: u.Name, Number: u.Number, Super: u.Superuser(), Inherit: !u.NoInherit, CreateRole: u.CreateRole, CreateDB: u.CreateDB,
		Login: !u.NoLogin, BypassRLS: u.BypassRLS, ConnectionLimit: -1, ValidUntil: u.ValidUntil, SessionSettings: u.SessionSettings}
	if u.ConnectionLimit != nil {
		out.ConnectionLimit = *u.ConnectionLimit
	}
	if u.AdminRole != "" {
		out.AdminRole = rolePrefix + u.AdminRole
	}
	for _, m := range u.MemberOf {
		out.MemberOf = append(out.MemberOf, pgcatalog.Member{Role: m.Role, Grantor: m.Grantor, Admin: m.Admin})
	}
	return out
}

// catalogInput collects what a catalog shows.
func (s *Session) catalogInput(ctx context.Context, t *pgcatalog.Table) *pgcatalog.Input {
	view := s.server.catalog.View()
	in := &pgcatalog.Input{Database: s.options.Database, Version: view.SchemaVersion, Rights: s.rights(), RightsOf: func(role string) *catalog.Rights { return catalog.RightsOf(view, role) },
		MemberOf: view.MemberOf, AdminOf: view.AdminOf}
	for _, name := range slices.Sorted(maps.Keys(view.Users)) {
		in.Roles = append(in.Roles, shownRole(view.Users[name]))
	}
	scope := s.scope()
	in.SearchPath = scope.SearchPath()
	in.Tables, in.Schemas, in.Databases, in.DatabaseID = scope.Tables(), scope.AllSchemas(), scope.Databases(), s.database
	in.DefaultText, in.NamedCalls, in.Types, in.EnumType = scope.DefaultText, scope.NamedCalls, scope.UserTypes(), scope.EnumType
	in.Composite = scope.CompositeType
	for _, o := range scope.Sequences() {
		if schema, ok := scope.Object(o.Parent); ok {
			in.Sequences = append(in.Sequences, pgcatalog.Sequence{Object: o, Schema: schema, Place: s.placeOf(o)})
		}
	}
	for _, v := range scope.Views() {
		in.Views = append(in.Views, pgcatalog.View{View: v, Definition: scope.NamedCalls(scope.Text(v)), Updatable: queryplan.ThroughView(v.Query)})
	}
	for _, o := range scope.AllFunctions() {
		in.Functions = append(in.Functions, shownFunction(scope, o))
	}
	for _, k := range s.server.settings.All() {
		value, _ := s.setting(strings.ToLower(k.Name))
		reset, source := s.settings.Origin(k)
		in.Settings = append(in.Settings, pgcatalog.Setting{Name: k.Name, Value: value, About: k.About, Boot: k.Value, Reset: reset, Source: source, Fixed: k.Fixed()})
	}
	for _, c := range s.openCursors() {
		in.Cursors = append(in.Cursors, pgcatalog.Cursor{Name: c.name, Statement: c.text, Hold: c.hold, Binary: c.binary, Scrollable: c.back, Created: c.created})
	}
	in.Prepared, in.Channels = s.shownNamed(), s.channels()
	switch t.Shared() {
	case pgcatalog.Activity:
		in.Sessions = s.allSessions(ctx)
	case pgcatalog.Locks:
		in.Transactions, in.Locks = s.allTransactions(ctx), s.allLocks(ctx)
	}
	return in
}

// shownFunction describes a function to catalogs.
func shownFunction(scope catalog.Scope, o *cluster.Object) pgcatalog.Function {
	typed := func(t cluster.ValueType) pgcatalog.ParameterType {
		return pgcatalog.ParameterType{OID: scope.TypeOID(t), Name: scope.TypeText(t), User: t.UserType != 0}
	}
	out := pgcatalog.Function{Object: o, Name: scope.FunctionName(o), Text: scope.FunctionText(o), Result: typed(o.Function.Returns)}
	for i := range o.Function.Parameters {
		p := &o.Function.Parameters[i]
		text := ""
		if p.Default != "" {
			text = scope.ParameterDefault(p)
		}
		out.Types, out.Defaults = append(out.Types, typed(p.ValueType)), append(out.Defaults, text)
	}
	return out
}
