package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

const (
	// maxColumns and maxName are PostgreSQL's limits.
	maxColumns = 1600
	maxName    = 63
	// HiddenKey is the key of a collection that was given none.
	HiddenKey = "_rowid"
)

// describe makes the descriptor of a new collection.
func (s Scope) describe(stmt *syntax.CreateCollection) (*cluster.Object, error) {
	if len(stmt.Columns)+len(stmt.Like) == 0 {
		return nil, &syntax.Error{Code: "42P16", Message: "a collection needs at least one column",
			Hint: "Write CREATE COLLECTION name for a collection of documents."}
	}
	if err := checkName(stmt.Name.Name, stmt.Name.Position); err != nil {
		return nil, err
	}
	desc := &cluster.Collection{NextColumn: 1}
	var key []string
	if k := stmt.PrimaryKey(); k != nil && !byIndex(k) {
		key = k.Columns
	}
	likes := stmt.Like
	for i := 0; i <= len(stmt.Columns); i++ {
		for ; len(likes) > 0 && likes[0].Before == i; likes = likes[1:] {
			named, err := s.addLike(desc, &likes[0])
			if err != nil {
				return nil, err
			}
			if len(named) > 0 && len(key) > 0 {
				return nil, &syntax.Error{Code: "42P16", Message: fmt.Sprintf("multiple primary keys for table %q are not allowed", stmt.Name.Name), Position: likes[0].Table.Position}
			}
			key = append(key, named...)
		}
		if i == len(stmt.Columns) {
			break
		}
		if err := s.addColumn(desc, stmt.Columns[i], stmt.Name.Name); err != nil {
			return nil, err
		}
	}
	for _, name := range key {
		if err := s.addKey(desc, name); err != nil {
			return nil, err
		}
	}
	return finished(desc, stmt.Name)
}

// finished makes an object of columns, with a hidden key if there is none.
func finished(desc *cluster.Collection, name syntax.Name) (*cluster.Object, error) {
	if len(desc.Columns) > maxColumns {
		return nil, &syntax.Error{Code: "54011", Message: fmt.Sprintf("tables can have at most %d columns", maxColumns)}
	}
	if len(desc.PrimaryKey) == 0 {
		hiddenKey(desc)
	}
	return &cluster.Object{Kind: cluster.KindTable, Name: name.Name, Collection: desc}, nil
}

// byIndex reports whether a primary key is an index from the first.
func byIndex(k *syntax.Constraint) bool { return k.Deferrable || len(k.Include) > 0 }

// hiddenKey gives rows a generated key, by which they are in the order in which they came.
func hiddenKey(desc *cluster.Collection) {
	appendColumn(desc, cluster.Column{Name: HiddenKey, Type: datum.UUID.String(), Modifier: -1, NotNull: true, Default: "uuidv7()", Hidden: true})
	desc.PrimaryKey = []cluster.ColumnID{desc.NextColumn - 1}
}

func checkName(name string, position int) error {
	if len(name) > maxName {
		return &syntax.Error{Code: "42622", Message: fmt.Sprintf("identifier %q is longer than %d bytes", name, maxName), Position: position}
	}
	return nil
}

// addColumn adds a column to what a table called table has.
func (s Scope) addColumn(desc *cluster.Collection, def syntax.ColumnDef, table string) error {
	if err := checkName(def.Name, def.Position); err != nil {
		return err
	}
	if _, ok := desc.Column(def.Name); ok || def.Name == HiddenKey {
		return &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", def.Name), Position: def.Position}
	}
	column, err := s.columnType(def.Type)
	if err != nil {
		return err
	}
	column.Name, column.NotNull, column.Default = def.Name, def.NotNull, def.Default
	if err := s.generatedColumn(table, &column, &def); err != nil {
		return err
	}
	appendColumn(desc, column)
	return nil
}

func appendColumn(desc *cluster.Collection, column cluster.Column) {
	column.ID = desc.NextColumn
	desc.Columns = append(desc.Columns, column)
	desc.NextColumn++
}

// addLike copies the columns of another table, and returns those of its key, if that is
// to be copied, too.
func (s Scope) addLike(desc *cluster.Collection, like *syntax.Like) (key []string, err error) {
	if v, ok := s.FindView(like.Table.Schema, like.Table.Name); ok {
		return nil, addLikeView(desc, v, like)
	}
	source, err := s.Resolve(like.Table)
	if err != nil {
		return nil, err
	}
	including := func(what string) bool { return slices.Contains(like.Including, what) }
	for i, c := range source.Columns {
		if c.Hidden {
			continue
		}
		if _, ok := desc.Column(c.Name); ok {
			return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", c.Name), Position: like.Table.Position}
		}
		column := source.Desc.Collection.Columns[i]
		column.Missing, column.NotNull = nil, c.NotNull
		column.Identity, column.Always = 0, false // see copyIdentities
		if !including("DEFAULTS") || c.Identity {
			column.Default = ""
		}
		if !including("GENERATED") {
			column.Generated = ""
		}
		if !including("COMMENTS") {
			column.Comment = ""
		}
		appendColumn(desc, column)
	}
	for _, k := range source.Desc.Collection.ShownChecks() {
		if !including("CONSTRAINTS") {
			break
		}
		copied := cluster.Check{Name: k.Name, Expression: k.Expression, NoInherit: k.NoInherit}
		if including("COMMENTS") {
			copied.Comment = k.Comment
		}
		desc.Checks = append(desc.Checks, copied)
	}
	for _, id := range source.Desc.Collection.PrimaryColumns() {
		if x := source.Desc.Collection.PrimaryIndex(); including("INDEXES") && (x == nil || !x.Deferrable) {
			key = append(key, columnName(source.Desc.Collection, id))
		}
	}
	return key, nil
}

// addLikeView copies the columns of a view.
func addLikeView(desc *cluster.Collection, v *View, like *syntax.Like) error {
	for _, c := range v.Columns {
		if _, ok := desc.Column(c.Name); ok {
			return &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", c.Name), Position: like.Table.Position}
		}
		if !c.Type.Storable() {
			return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("a column of type %s is not supported", c.Type.SQLName()), Position: like.Table.Position}
		}
		column := plainColumn(c.Name, c.Type, c.Modifier)
		if slices.Contains(like.Including, "COMMENTS") {
			column.Comment = c.Comment
		}
		appendColumn(desc, column)
	}
	return nil
}

// storable refuses a type of a column that none can have.
func storable(t datum.Type, modifier int32, position int) error {
	if !t.Storable() {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("a column of type %s is not supported", t.SQLName()),
			Hint: "Types of columns: " + storableTypes() + ".", Position: position}
	}
	if t.Elem() == datum.Bpchar && modifier < 0 {
		return &syntax.Error{Code: "0A000", Message: "a column of type bpchar without a length is not supported",
			Hint: "Use char(n), or text, which keeps blanks at the end.", Position: position}
	}
	return nil
}

func storableTypes() string {
	var names []string
	for _, t := range datum.Types() {
		if t.Storable() {
			names = append(names, t.SQLName())
		}
	}
	return strings.Join(names, ", ") + ", and arrays of these"
}

func (s Scope) addKey(desc *cluster.Collection, name string) error {
	c, ok := desc.Column(name)
	if !ok {
		return &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q named in key does not exist", name)}
	}
	for _, id := range desc.PrimaryKey {
		if id == c.ID {
			return &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q appears twice in primary key constraint", name)}
		}
	}
	if t, _ := s.typeOf(c); t.Elem().IsComposite() {
		return noCompositeKey(t)
	} else if !t.Ordered() {
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("data type %s has no default operator class for access method \"btree\"", t.SQLName()),
			Hint: "A key has an order, and json has none: use jsonb or text."}
	}
	if c.Generated != "" {
		return syntax.Unsupported("a generated column in a primary key", "")
	}
	c.NotNull = true
	desc.PrimaryKey = append(desc.PrimaryKey, c.ID)
	return nil
}

// ResolveType finds a written type that is PostgreSQL's own, and the typmod of its
// modifiers.
func ResolveType(n syntax.TypeName) (t datum.Type, modifier int32, err *syntax.Error) {
	fail := func(code, message, hint string) (datum.Type, int32, *syntax.Error) {
		return 0, -1, &syntax.Error{Code: code, Message: message, Hint: hint, Position: n.Position}
	}
	t, ok := datum.TypeByName(n.Name)
	if hint, known := datum.UnsupportedType(n.Name); !ok && known {
		return fail("0A000", fmt.Sprintf("type %s is not supported", n.Name), hint)
	}
	if !ok || t == datum.Unknown {
		return fail("42704", fmt.Sprintf("type %q does not exist", n.Name), "")
	}
	modifier = -1
	if len(n.Modifiers) > 0 {
		if modifier, ok = typmod(t, n.Modifiers); !ok {
			if t == datum.Numeric { // PostgreSQL has such scales
				return fail("0A000", "a numeric of a scale below zero or above its precision is not supported", "Use numeric of a larger precision.")
			}
			return fail("22023", fmt.Sprintf("type modifiers of %s are not valid or not supported", t.SQLName()), "")
		}
	}
	if n.Array {
		t |= datum.Array
	}
	return t, modifier, nil
}

// header is what PostgreSQL adds to typmods of lengths and precisions.
const header = 4

// typmod encodes the modifiers of varchar(n), char(n), bit(n), numeric(p, s), of times and
// intervals.
func typmod(t datum.Type, m []int32) (int32, bool) {
	const maxLength, maxBits, maxPrecision = 10485760, 83886080, 1000
	switch {
	case (t == datum.Varchar || t == datum.Bpchar) && len(m) == 1 && m[0] >= 1 && m[0] <= maxLength:
		return m[0] + header, true
	case len(m) == 1 && m[0] >= 0 && (t == datum.Timestamp || t == datum.Timestamptz || t == datum.Time || t == datum.Timetz):
		return min(m[0], 6), true
	case t.IsBits() && len(m) == 1 && m[0] >= 1 && m[0] <= maxBits:
		return m[0], true
	case t == datum.Interval:
		return datum.IntervalModifier(m)
	case t == datum.Numeric && len(m) == 1 && m[0] >= 1 && m[0] <= maxPrecision:
		return m[0]<<16 + header, true
	case t == datum.Numeric && len(m) == 2 && m[0] >= 1 && m[0] <= maxPrecision && m[1] >= 0 && m[1] <= m[0]:
		return m[0]<<16 | m[1] + header, true
	default:
		return -1, false
	}
}
