package queryplan

// Weight is how much of a node a statement takes.
type Weight int

// Weights.
const (
	// Free statements read no rows: constants, system tables. Who looks after a node by
	// SQL must not wait behind those who use it.
	Free Weight = iota
	// Short ones name the rows that they read or write.
	Short
	// Long ones scan, compute in the SQL worker, or write many rows.
	Long
)

// shortRows is how many rows a short statement names at most: they fit into a few
// commands, and take a core less than a millisecond.
const shortRows = 100

// Weight says which of them p is.
func (p *Plan) Weight() Weight {
	switch {
	case p.Select != nil:
		return p.Select.weight()
	case p.Slow != nil && p.system:
		return Free
	case p.Insert != nil && p.Insert.Select == nil && p.Insert.Slow == nil && len(p.Insert.Rows) <= shortRows,
		p.Change != nil && p.Change.Slow == nil && p.Change.Access.names(shortRows):
		return Short
	default:
		return Long
	}
}

func (s *Select) weight() Weight {
	switch {
	case s.Table == nil:
		return Free
	case s.Access.names(shortRows):
		return Short
	default:
		return Long
	}
}

// names reports whether the access names its rows, and most of them at most. An array
// of keys counts as one: how many it holds is not known before the statement runs.
func (a *Access) names(most int) bool {
	n := 1
	for i := range a.Points {
		if n *= max(len(a.Points[i].values), len(a.Points[i].tuples), 1); n > most {
			return false
		}
	}
	return a.ByKey()
}
