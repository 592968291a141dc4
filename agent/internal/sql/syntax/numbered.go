package syntax

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// typeSchema is the schema in which texts that are kept name types of users by their ids.
const typeSchema = "#t"

// Numbered is what is done to what stands by its number in a text that is kept.
type Numbered struct {
	Relation func(*pg.RangeVar) error
	// Type and Sequence return the names of what has the id.
	Type, Sequence func(id uint64) (Name, error)
}

// EachNumbered has what stands by numbers in m be as with says.
func EachNumbered(m proto.Message, with Numbered) error {
	return eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		switch m := m.(type) {
		case *pg.RangeVar:
			return with.Relation(m)
		case *pg.TypeName:
			names := texts(m.GetNames())
			if len(names) != 2 || names[0] != typeSchema {
				return nil
			}
			id, err := strconv.ParseUint(names[1], 10, 64)
			if err != nil {
				return &Error{Code: "XX000", Message: "a type has no number"}
			}
			name, err := with.Type(id)
			m.Names = nameNodes(name)
			return err
		case *pg.FuncCall:
			if SequenceFunction(m) == "" {
				return nil
			}
			id, ok := SequenceID(m.GetArgs()[0])
			if !ok {
				return nil
			}
			name, err := with.Sequence(id)
			m.Args[0] = sequenceNode(name)
			return err
		}
		return nil
	})
}

// Unnamed is what has a number instead of a name in a text that is to be kept.
type Unnamed struct {
	// Type is the id of a type of a user; 0: it is PostgreSQL's own.
	Type func(TypeName) (uint64, error)
	// Sequence is the id of a sequence.
	Sequence func(Name) (uint64, error)
}

// Number has types of users and sequences in m stand by their numbers.
func Number(m proto.Message, find Unnamed) error {
	return eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		switch m := m.(type) {
		case *pg.TypeName:
			name, err := convertType(m)
			if err != nil {
				return nil //nolint:nilerr // who plans it says so
			}
			id, wrong := find.Type(name)
			if wrong == nil && id != 0 {
				m.Names = nameNodes(Name{Schema: typeSchema, Name: strconv.FormatUint(id, 10)})
			}
			return wrong
		case *pg.FuncCall:
			if SequenceFunction(m) == "" {
				return nil
			}
			text, ok := SequenceText(m.GetArgs()[0])
			if !ok && m.GetArgs()[0].GetAConst() != nil {
				return Unsupported("a sequence that is not named by its name", "")
			} else if !ok {
				return nil // it is found when it is computed
			}
			name, err := RelationName(text)
			if err != nil {
				return err
			}
			id, err := find.Sequence(name)
			if err == nil {
				m.Args[0] = numberNode(id)
			}
			return err
		}
		return nil
	})
}

// NumberedIDs are the ids of the types and the sequences in m that stand by them.
func NumberedIDs(m proto.Message) (out []uint64) {
	_ = eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		switch m := m.(type) {
		case *pg.TypeName:
			if names := texts(m.GetNames()); len(names) == 2 && names[0] == typeSchema {
				if id, err := strconv.ParseUint(names[1], 10, 64); err == nil {
					out = append(out, id)
				}
			}
		case *pg.FuncCall:
			if SequenceFunction(m) != "" {
				if id, ok := SequenceID(m.GetArgs()[0]); ok {
					out = append(out, id)
				}
			}
		}
		return nil
	})
	return out
}

func nameNodes(n Name) []*pg.Node {
	if n.Schema == "" {
		return []*pg.Node{pg.MakeStrNode(n.Name)}
	}
	return []*pg.Node{pg.MakeStrNode(n.Schema), pg.MakeStrNode(n.Name)}
}

// Target is what a statement changes; nil: nothing.
func (q *Query) Target() *pg.RangeVar {
	switch {
	case q.Insert != nil:
		return q.Insert.GetRelation()
	case q.Update != nil:
		return q.Update.GetRelation()
	case q.Delete != nil:
		return q.Delete.GetRelation()
	}
	return nil
}

// RenameTarget has columns of what a statement changes be called otherwise. References to them
// have the name or the alias of that in front.
func (q *Query) RenameTarget(renamed map[string]string) {
	alias := aliasOf(q.Target())
	set := func(list []*pg.Node) {
		for _, n := range list {
			if t := n.GetResTarget(); renamed[t.GetName()] != "" {
				t.Name = renamed[t.GetName()]
			}
		}
	}
	set(q.Insert.GetCols())
	set(q.Insert.GetOnConflictClause().GetTargetList())
	set(q.Update.GetTargetList())
	if infer := q.Insert.GetOnConflictClause().GetInfer(); infer != nil {
		_ = eachMessage(infer.ProtoReflect(), func(m proto.Message) error {
			switch m := m.(type) {
			case *pg.IndexElem:
				if to := renamed[m.GetName()]; to != "" {
					m.Name = to
				}
			case *pg.ColumnRef: // of the table alone, without its name
				if fields := m.GetFields(); len(fields) == 1 && renamed[fields[0].GetString_().GetSval()] != "" {
					m.Fields[0] = pg.MakeStrNode(renamed[fields[0].GetString_().GetSval()])
				}
			}
			return nil
		})
	}
	_ = q.Walk(func(n *pg.Node) (bool, error) {
		if s := n.GetSelectStmt(); s != nil && namesItem(s.GetFromClause(), alias) {
			return false, nil // the name means something else there
		}
		fields := n.GetColumnRef().GetFields()
		if len(fields) != 2 {
			return true, nil
		}
		of, to := fields[0].GetString_().GetSval(), renamed[fields[1].GetString_().GetSval()]
		if to != "" && (of == alias || of == "excluded" && q.Insert != nil) {
			fields[1] = pg.MakeStrNode(to)
		}
		return true, nil
	})
}

// namesItem reports whether an item of FROM has the name.
func namesItem(from []*pg.Node, name string) bool {
	for _, n := range from {
		switch {
		case n.GetRangeVar() != nil && aliasOf(n.GetRangeVar()) == name, n.GetRangeSubselect().GetAlias().GetAliasname() == name && n.GetRangeSubselect() != nil,
			n.GetRangeFunction() != nil && n.GetRangeFunction().GetAlias().GetAliasname() == name:
			return true
		case n.GetJoinExpr() != nil && namesItem([]*pg.Node{n.GetJoinExpr().GetLarg(), n.GetJoinExpr().GetRarg()}, name):
			return true
		}
	}
	return false
}
