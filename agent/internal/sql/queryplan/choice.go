package queryplan

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// asked is what else than a condition says which access path is the best.
type asked struct {
	sort    []SortKey
	limited bool   // LIMIT
	wanted  []bool // columns, besides those of the condition; nil: whole rows
	// whole says that all rows are read which the condition leaves: one of the slow path.
	whole bool
	// again says that rows are looked at again after they were locked: all of the condition
	// stays to be filtered.
	again bool
}

// chosen is an access path.
type chosen struct {
	Access
	Filter Expr // what is left to filter; nil: nothing
	scanOrder
	cost float64
}

// scanOrder says whether rows come in the order that was asked for.
type scanOrder struct {
	// fits says that they do, ordered that it takes an ordered scan, reverse one backwards.
	fits, ordered, reverse bool
}

// What reading costs, as guesses: nothing is known of the values.
const (
	costOfAll    = 1e6   // rows of a table
	keptByEqual  = 0.01  // of them, by one column = value
	keptByRange  = 0.3   // by one bound
	keptByWhere  = 0.1   // by the condition of a partial index
	costOfLookup = 4.0   // of a row by an entry, over one of a scan
	costOfSort   = 1.5   // of rows that come in another order
	keptByLimit  = 0.001 // of rows that come in the order that is asked for
)

// chooseAccess finds the best access path for a condition.
func chooseAccess(table *catalog.Table, condition Expr, ask asked) (chosen, error) {
	best := chosen{cost: costOfAll}
	best.Access, best.Filter = keyAccess(table, condition)
	if best.ByKey() || len(table.Indexes) == 0 {
		best.Filter = cheapestFirst(best.Filter)
		return best, nil
	}
	best.scanOrder = orderOf(keyOrder(table, &best.Access), ask.sort)
	best.weigh(ask, costOfAll*keptBy(&best.Access))
	if ask.wanted != nil && condition != nil {
		ask.wanted = slices.Clone(ask.wanted)
		markColumns(condition, ask.wanted)
	}
	all, err := EntriesOf(table)
	if err != nil {
		return best, err
	}
	for _, e := range all {
		if !e.Index.Readable() || !implies(condition, e.where) {
			continue
		}
		if c := e.chosen(condition, ask); c.cost < best.cost {
			best = c
		}
	}
	best.Filter = cheapestFirst(best.Filter)
	return best, nil
}

// chosen is the access path by an index.
func (e *Entries) chosen(condition Expr, ask asked) chosen {
	if e.inverted != nil {
		return e.chosenInverted(condition, ask)
	}
	c := chosen{Filter: condition}
	used := map[int]bool{}
	var parts []Expr
	if condition != nil {
		parts = conjuncts(condition)
		c.Access, used = matched(parts, e.exprs)
	}
	c.Index = e
	if !ask.again && condition != nil {
		c.Filter = remaining(parts, used)
	}
	c.Covering = ask.wanted != nil && !ask.again && e.Index.Covers(ask.wanted)
	c.scanOrder = orderOf(e.order(&c.Access), ask.sort)
	rows := costOfAll * keptBy(&c.Access)
	switch {
	case len(c.Points) > 0 && e.Index.Desc.Unique:
		rows = 1
	case ask.whole && len(c.Points) == 0 && len(c.Prefix) == 0 && (c.Lower == nil || c.Upper == nil):
		rows = 2 * costOfAll // a scan of all rows is as good as what may be one by entries
	}
	if e.where != nil {
		rows *= keptByWhere
	}
	if !c.Covering {
		rows *= costOfLookup
	}
	c.weigh(ask, rows)
	return c
}

// weigh sets the cost of reading so many rows.
func (c *chosen) weigh(ask asked, rows float64) {
	c.cost = rows
	switch {
	case len(ask.sort) == 0:
	case !c.fits:
		c.cost *= costOfSort
	case ask.limited && c.Filter == nil:
		c.cost *= keptByLimit
	case ask.limited:
		c.cost *= keptByEqual
	}
}

// keptBy guesses how many of all rows an access path reads.
func keptBy(a *Access) float64 {
	kept := 1.0
	points := len(a.Points)
	if points > 0 && a.Points[0].tuples != nil {
		points = len(a.Points[0].tuples[0])
	}
	for range len(a.Prefix) + points {
		kept *= keptByEqual
	}
	for _, b := range []*bound{a.Lower, a.Upper} {
		if b != nil {
			kept *= keptByRange
		}
	}
	return kept
}

// ordering is what an access path gives rows in the order of.
type ordering struct {
	over []SortKey
	// fixed is how many of them have one value.
	fixed int
	// total says that no two rows are equal in all of them.
	total bool
}

// keyOrder is the order of a scan by the primary key.
func keyOrder(table *catalog.Table, a *Access) ordering {
	o := ordering{fixed: len(a.Prefix), total: true}
	for _, k := range table.Key {
		o.over = append(o.over, SortKey{Expr: (&relation{table: table}).ref(k)})
	}
	return o
}

// order is the order of a scan of entries: behind what the index is over, that of the
// primary key, if entries of equal values have it in their keys.
func (e *Entries) order(a *Access) ordering {
	o := ordering{fixed: len(a.Prefix)}
	if len(a.Points) > 0 {
		if o.fixed = len(a.Points); slices.ContainsFunc(a.Points, func(k keyValues) bool { return !k.single() }) {
			return ordering{}
		}
	}
	for i, x := range e.exprs {
		d := e.Index.Columns[i].Direction
		o.over = append(o.over, SortKey{Expr: x, Descending: d.Descending, NullsFirst: d.NullsFirst})
	}
	if o.total = e.Index.Single(); o.total {
		// Where a null makes entries equal, rows of equal values come in any order.
		o.total = e.Index.Desc.NullsNotDistinct || !slices.ContainsFunc(e.Index.Columns, func(c catalog.IndexColumn) bool {
			return c.Column < 0 || !e.Index.Table.Columns[c.Column].NotNull
		})
		return o
	}
	o.over = append(o.over, keyOrder(e.Index.Table, &Access{}).over...)
	o.total = true
	return o
}

// orderOf says whether a scan in an order, or backwards, gives the order of sort.
func orderOf(o ordering, sort []SortKey) scanOrder {
	var out scanOrder
	next := 0
	isFixed := func(e Expr) bool {
		return slices.ContainsFunc(o.over[:min(o.fixed, len(o.over))], func(k SortKey) bool { return same(k.Expr, e) })
	}
	for _, k := range sort {
		x := plain(k.Expr)
		if isFixed(x) {
			continue
		}
		for next < len(o.over) && isFixed(o.over[next].Expr) {
			next++
		}
		if next >= len(o.over) {
			if !o.total || next == 0 {
				return scanOrder{}
			}
			break // no two rows are equal in what came before
		}
		by := o.over[next]
		back := by.Descending != k.Descending
		if !same(by.Expr, x) || out.ordered && back != out.reverse || canBeNull(by.Expr) && (by.NullsFirst != k.NullsFirst) != back {
			return scanOrder{}
		}
		out.ordered, out.reverse = true, back
		next++
	}
	out.fits = len(sort) > 0
	return out
}

func canBeNull(e Expr) bool {
	c, ok := e.(*ColumnRef)
	return !ok || !c.notNull
}
