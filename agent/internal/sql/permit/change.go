package permit

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// target notes what a statement changes.
func (n *needs) target(r *pg.RangeVar, in *names, privilege cluster.Privileges) *relationNeed {
	plain := &names{relations: in.relations} // no query of WITH is a target
	need := n.relation(r, plain)
	in.relations = plain.relations
	if need == nil {
		return nil
	}
	need.privileges |= privilege
	return need
}

// changes notes the columns that a list of SET changes.
func (r *relationNeed) changes(targets []*pg.Node, into map[cluster.ColumnID]bool) {
	if r == nil || r.object.Collection == nil {
		return
	}
	for _, t := range targets {
		if c, ok := r.object.Collection.Column(t.GetResTarget().GetName()); ok {
			into[c.ID] = true
		}
	}
}

func (n *needs) insert(s *pg.InsertStmt, outer *names) {
	in := &names{outer: outer}
	n.with(s.GetWithClause(), in)
	n.node(s.GetSelectStmt(), in)
	need := n.target(s.GetRelation(), in, cluster.Insert)
	if need != nil {
		need.changes(s.GetCols(), need.inserted)
		if len(s.GetCols()) == 0 && s.GetSelectStmt() != nil && need.object.Collection != nil {
			for i, c := range need.object.Collection.Columns {
				if given := len(s.GetSelectStmt().GetSelectStmt().GetValuesLists()); !c.Hidden && (given == 0 || i < widest(s.GetSelectStmt().GetSelectStmt())) {
					need.inserted[c.ID] = true
				}
			}
		}
	}
	if conflict := s.GetOnConflictClause(); conflict != nil {
		if len(in.relations) > 0 {
			for _, e := range conflict.GetInfer().GetIndexElems() {
				in.relations[0].reads(e.GetIndexElem().GetName())
				n.node(e, in)
			}
		}
		n.node(conflict.GetInfer().GetWhereClause(), in)
		if need != nil && conflict.GetAction() == pg.OnConflictAction_ONCONFLICT_UPDATE {
			need.privileges |= cluster.Update
			need.changes(conflict.GetTargetList(), need.updated)
		}
		in.relations = append(in.relations, namedRelation{alias: "excluded"})
		n.nodes(conflict.GetTargetList(), in)
		n.node(conflict.GetWhereClause(), in)
	}
	n.nodes(s.GetReturningList(), in)
}

// widest is how many values the longest list of VALUES has.
func widest(s *pg.SelectStmt) int {
	most := 0
	for _, l := range s.GetValuesLists() {
		most = max(most, len(l.GetList().GetItems()))
	}
	return most
}

func (n *needs) update(s *pg.UpdateStmt, outer *names) {
	in := &names{outer: outer}
	n.with(s.GetWithClause(), in)
	need := n.target(s.GetRelation(), in, cluster.Update)
	if need != nil {
		need.changes(s.GetTargetList(), need.updated)
	}
	n.from(s.GetFromClause(), in)
	n.nodes(s.GetTargetList(), in)
	n.node(s.GetWhereClause(), in)
	n.nodes(s.GetReturningList(), in)
}

func (n *needs) delete(s *pg.DeleteStmt, outer *names) {
	in := &names{outer: outer}
	n.with(s.GetWithClause(), in)
	n.target(s.GetRelation(), in, cluster.Delete)
	n.from(s.GetUsingClause(), in)
	n.node(s.GetWhereClause(), in)
	n.nodes(s.GetReturningList(), in)
}

func (n *needs) merge(s *pg.MergeStmt, outer *names) {
	in := &names{outer: outer}
	n.with(s.GetWithClause(), in)
	need := n.target(s.GetRelation(), in, 0)
	n.from([]*pg.Node{s.GetSourceRelation()}, in)
	n.node(s.GetJoinCondition(), in)
	for _, c := range s.GetMergeWhenClauses() {
		when := c.GetMergeWhenClause()
		n.node(when.GetCondition(), in)
		n.nodes(when.GetValues(), in)
		if need == nil {
			continue
		}
		switch when.GetCommandType() {
		case pg.CmdType_CMD_INSERT:
			need.privileges |= cluster.Insert
			need.changes(when.GetTargetList(), need.inserted)
			for i, column := range (namedRelation{need: need}).columns() {
				if len(when.GetTargetList()) == 0 && i < len(when.GetValues()) {
					need.inserted[column.ID] = true
				}
			}
		case pg.CmdType_CMD_UPDATE:
			need.privileges |= cluster.Update
			need.changes(when.GetTargetList(), need.updated)
			n.nodes(when.GetTargetList(), in)
		case pg.CmdType_CMD_DELETE:
			need.privileges |= cluster.Delete
		}
	}
}
