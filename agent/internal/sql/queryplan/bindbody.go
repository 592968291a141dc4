package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Statement makes of a statement of a function what cluster.Function keeps, as BindView does of
// the query of a view; rest has all that is left be kept by numbers, too.
func (b *Binder) Statement(q *syntax.Query, calls map[int32]*Routine, rest syntax.Unnamed) (string, error) {
	b.calls, b.what = calls, "BEGIN ATOMIC"
	q = q.Clone()
	var err error
	switch {
	case q.Insert != nil:
		err = b.insert(q.Insert)
	case q.Update != nil:
		err = b.update(q.Update)
	case q.Delete != nil:
		err = b.delete(q.Delete)
	default:
		_, err = b.query(q.Select, nil)
	}
	if err != nil {
		return "", err
	}
	bindQueryCalls(q.Tree(), calls)
	if err := syntax.Number(q.Tree(), rest); err != nil {
		return "", err
	}
	return q.Text()
}

// changing is what names in a statement that changes rows mean, with its WITH.
func (b *Binder) changing(with *pg.WithClause) (*level, error) {
	l := &level{with: map[string]*fromItem{}, merged: map[string]bool{}}
	for _, n := range with.GetCtes() {
		if err := b.cte(n.GetCommonTableExpr(), with.GetRecursive(), l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// target binds what a statement changes, which is none of its queries in WITH.
func (b *Binder) target(r *pg.RangeVar) (*fromItem, error) {
	return b.table(r, &level{})
}

// set notes the columns that a list of SET, or of INSERT, names.
func (b *Binder) set(i *fromItem, list []*pg.Node) {
	for _, n := range list {
		b.use(i, n.GetResTarget().GetName())
	}
}

func (b *Binder) insert(s *pg.InsertStmt) error {
	l, err := b.changing(s.GetWithClause())
	if err != nil {
		return err
	}
	given := 0
	if q := s.GetSelectStmt().GetSelectStmt(); q != nil {
		from, err := b.query(q, l)
		if err != nil {
			return err
		}
		given = len(from.columns)
	}
	target, err := b.target(s.GetRelation())
	if err != nil {
		return err
	}
	if len(s.GetCols()) == 0 { // those that are added later get their defaults
		for _, name := range target.columns[:min(given, len(target.columns))] {
			s.Cols = append(s.Cols, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: name, Location: -1}}})
		}
	}
	b.set(target, s.GetCols())
	if conflict := s.GetOnConflictClause(); conflict != nil {
		if err := b.conflict(conflict, target, l); err != nil {
			return err
		}
	}
	l.items = []*fromItem{target}
	return b.returning(&s.ReturningList, target.all(), l)
}

func (b *Binder) conflict(c *pg.OnConflictClause, target *fromItem, l *level) error {
	if infer := c.GetInfer(); infer != nil {
		if infer.GetConname() != "" {
			return syntax.Unsupported("ON CONFLICT ON CONSTRAINT in BEGIN ATOMIC", "Name the columns of the constraint.")
		}
		for _, n := range append(infer.GetIndexElems(), infer.GetWhereClause()) {
			if n == nil {
				continue
			}
			b.use(target, n.GetIndexElem().GetName())
			// Columns stand there without the name of the table.
			if err := syntax.Walk(n, func(n *pg.Node) (bool, error) {
				if fields := n.GetColumnRef().GetFields(); len(fields) > 0 {
					b.use(target, fields[len(fields)-1].GetString_().GetSval())
				}
				return true, nil
			}); err != nil {
				return err
			}
		}
	}
	excluded := *target
	excluded.name = "excluded"
	l.items = []*fromItem{&excluded, target}
	b.set(target, c.GetTargetList())
	return b.nodes(append(c.GetTargetList(), c.GetWhereClause()), l)
}

func (b *Binder) update(s *pg.UpdateStmt) error {
	l, err := b.changing(s.GetWithClause())
	if err != nil {
		return err
	}
	all, err := b.beside(s.GetRelation(), s.GetFromClause(), l)
	if err != nil {
		return err
	}
	b.set(l.items[0], s.GetTargetList())
	if err := b.nodes(append(s.GetTargetList(), s.GetWhereClause()), l); err != nil {
		return err
	}
	return b.returning(&s.ReturningList, all, l)
}

func (b *Binder) delete(s *pg.DeleteStmt) error {
	l, err := b.changing(s.GetWithClause())
	if err != nil {
		return err
	}
	all, err := b.beside(s.GetRelation(), s.GetUsingClause(), l)
	if err != nil {
		return err
	}
	if err := b.nodes([]*pg.Node{s.GetWhereClause()}, l); err != nil {
		return err
	}
	return b.returning(&s.ReturningList, all, l)
}

// beside binds what a statement changes, and what stands beside it in FROM or USING.
func (b *Binder) beside(r *pg.RangeVar, from []*pg.Node, l *level) ([]starred, error) {
	target, err := b.target(r)
	if err != nil {
		return nil, err
	}
	l.items = []*fromItem{target}
	all := target.all()
	for _, n := range from {
		columns, err := b.from(n, l)
		if err != nil {
			return nil, err
		}
		all = append(all, columns...)
	}
	return all, nil
}

func (b *Binder) returning(list *[]*pg.Node, all []starred, l *level) (err error) {
	if *list, err = b.targets(*list, all, l); err != nil {
		return err
	}
	return b.nodes(*list, l)
}
