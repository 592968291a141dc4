package queryplan

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

const (
	// MaxJoined is how many rows are read ahead for what they are joined to. Looking up more
	// than a few for each of more rows takes longer than reading all, as far as one can know
	// without statistics.
	MaxJoined = 1000
	// maxPrefixes is how many scans are made for the first columns of a key, which look into
	// all ranges each.
	maxPrefixes = 16
)

// KeyJoins says how the tables of a statement of the slow path are read: those that are joined
// to few rows of others by keys, once these rows were read.
type KeyJoins struct {
	scans []joinScan
}

// joinScan is how one table is read.
type joinScan struct {
	table      *catalog.Table // nil: it is no collection, and is not joined
	conditions []Expr
	links      []duck.Link
	wanted     []bool
	ways       []Access // one after the other
	reach      reach
	read       bool // rows were read ahead, or are too many
	of         []int
}

// reach is how much of a table is read, as far as one knows: less is better.
type reach int

const (
	ofKeys   reach = iota // rows by their keys
	ofValues              // rows with values that an index or a key begins with
	ofSpan                // rows of a span
	ofAll
)

// NewKeyJoins begins with what each table is constrained by. wanted are the columns of a
// table that may be needed.
func NewKeyJoins(specs []duck.ScanSpec, conditions func(slot int, t *catalog.Table) []Expr, wanted func(slot int, t *catalog.Table) []bool) (*KeyJoins, error) {
	j := &KeyJoins{scans: make([]joinScan, len(specs))}
	for slot := range specs {
		table, ok := specs[slot].Table.Ref.(*catalog.Table)
		if !ok {
			j.scans[slot].read = true
			continue
		}
		s := &j.scans[slot]
		*s = joinScan{table: table, conditions: conditions(slot, table), wanted: wanted(slot, table), links: specs[slot].Links}
		way, err := s.way(nil)
		if err != nil {
			return nil, err
		}
		s.ways, s.reach = []Access{way}, reachOf(&way)
	}
	return j, nil
}

// way is how the rows are read that hold one more condition.
func (s *joinScan) way(more Expr) (Access, error) {
	parts := slices.Clone(s.conditions)
	if more != nil {
		parts = append(parts, more)
	}
	var condition Expr
	if len(parts) > 0 {
		condition = &andExpr{args: parts}
	}
	c, err := chooseAccess(s.table, condition, asked{wanted: s.wanted, whole: true})
	return c.Access, err
}

func reachOf(a *Access) reach {
	switch {
	case a.ByKey(), a.Index != nil && len(a.Points) > 0 && a.Index.Index.Single():
		return ofKeys
	case len(a.Points) > 0, len(a.Prefix) > 0:
		return ofValues
	case a.Bounded():
		return ofSpan
	default:
		return ofAll
	}
}

// Ways are how a table is read.
func (j *KeyJoins) Ways(slot int) []Access { return j.scans[slot].ways }

// Next is a table whose rows are to be read ahead, because another one is joined to them
// that is read by more than these now.
func (j *KeyJoins) Next() (slot int, ok bool) {
	best := ofAll
	for i := range j.scans {
		if s := &j.scans[i]; !s.read && s.reach < best && j.leads(i) {
			slot, best, ok = i, s.reach, true
		}
	}
	return slot, ok
}

// leads reports whether a table that is linked with this one may be read by less.
func (j *KeyJoins) leads(slot int) bool {
	return slices.ContainsFunc(j.scans, func(s joinScan) bool {
		return !s.read && s.reach > ofKeys && slices.ContainsFunc(s.links, func(l duck.Link) bool { return l.From == slot })
	})
}

// Unread says that a table has too many rows to read them ahead.
func (j *KeyJoins) Unread(slot int) { j.scans[slot].read = true }

// Read says that the rows of a table were read ahead: column gives the values of one of its
// columns as another type, each once and without nulls. What is linked with it is read by these, if that is less.
func (j *KeyJoins) Read(slot int, column func(index int, t datum.Type) ([]Expr, error)) error {
	j.scans[slot].read = true
	for i := range j.scans {
		s := &j.scans[i]
		for _, l := range s.links {
			if l.From != slot || s.read || s.reach == ofKeys {
				continue
			}
			values, err := column(l.FromColumn, s.table.Columns[l.Column].Type)
			if err != nil {
				return err
			}
			ways, to, err := s.by(l.Column, values)
			if err != nil {
				return err
			}
			if to < s.reach {
				s.ways, s.reach, s.of = ways, to, append(s.of, slot)
			}
		}
	}
	return nil
}

// by is how the rows are read that have one of the values in a column.
func (s *joinScan) by(index int, values []Expr) ([]Access, reach, error) {
	if len(values) == 0 {
		return []Access{}, ofKeys, nil
	}
	if len(values) > MaxJoined {
		return nil, ofAll, nil
	}
	column := &s.table.Columns[index]
	ref := &ColumnRef{Index: index, typ: column.Type, modifier: column.Modifier, name: column.Name}
	way, err := s.way(&inExpr{value: ref, list: values})
	if err != nil {
		return nil, ofAll, err
	}
	if to := reachOf(&way); to <= ofValues || len(values) > maxPrefixes {
		return []Access{way}, to, nil
	}
	var ways []Access
	to := ofKeys
	for _, v := range values {
		way, err := s.way(&compareExpr{op: "=", left: ref, right: v, typ: column.Type})
		if err != nil {
			return nil, ofAll, err
		}
		ways, to = append(ways, way), max(to, reachOf(&way))
	}
	return ways, to, nil
}

// Different are values as those of another type, each once, of which they may have any.
func Different(values []datum.Datum, t datum.Type) ([]Expr, error) {
	var out []Expr
	seen := map[string]bool{}
	for _, v := range values {
		v, ok := duck.Coerce(v, t)
		if !ok { // nothing of the type is equal to it
			continue
		}
		key, err := datum.AppendKey(nil, v)
		if err != nil {
			return nil, err
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			out = append(out, &Const{Value: v})
		}
	}
	return out, nil
}

// unbound are what constraints say before the parameters have values.
func unbound(table *catalog.Table, constraints []rewrite.Constraint) []Expr {
	var parts []Expr
	for _, c := range constraints {
		column := &table.Columns[c.Column]
		ref := &ColumnRef{Index: c.Column, typ: column.Type, modifier: column.Modifier, name: column.Name}
		in := &inExpr{value: ref}
		for _, v := range c.Values {
			var e Expr = &Const{Value: v.Literal}
			if v.Param > 0 {
				e = &Param{Index: v.Param - 1, params: &Params{Types: slices.Repeat([]datum.Type{column.Type}, v.Param)}}
			}
			if in.list = append(in.list, e); v.Elems {
				in.list, in.array = nil, e
			}
		}
		switch op, ok := comparisons[c.Op]; {
		case c.Op == rewrite.OpIn:
			parts = append(parts, in)
		case ok && len(in.list) == 1:
			parts = append(parts, &compareExpr{op: op, left: ref, right: in.list[0], typ: column.Type})
		}
	}
	return parts
}

// comparisons are the operators that constraints of one value have.
var comparisons = map[rewrite.Op]string{rewrite.OpEQ: "=", rewrite.OpLT: "<", rewrite.OpLE: "<=", rewrite.OpGT: ">", rewrite.OpGE: ">="}

// joinValue stands for the values of another table's column, where a plan is shown.
type joinValue struct {
	name string
	typ  datum.Type
}

func (v *joinValue) Type() datum.Type               { return v.typ }
func (v *joinValue) Eval(*Env) (datum.Datum, error) { return datum.MakeNull(v.typ), nil }
