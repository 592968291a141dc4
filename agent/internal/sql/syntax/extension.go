package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// CreateExtension is CREATE EXTENSION.
type CreateExtension struct {
	Name        string
	IfNotExists bool
}

// DropExtension is DROP EXTENSION.
type DropExtension struct {
	Names []string
	Drop
}

func (*CreateExtension) node() {}
func (*DropExtension) node()   {}

// convertExtension reads what is about extensions.
func convertExtension(stmt *pg.Node, _, _ string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_CreateExtensionStmt:
		return &CreateExtension{Name: n.CreateExtensionStmt.GetExtname(), IfNotExists: n.CreateExtensionStmt.GetIfNotExists()}, nil
	case *pg.Node_DropStmt:
		d := n.DropStmt
		if d.GetRemoveType() != pg.ObjectType_OBJECT_EXTENSION {
			return nil, nil
		}
		return &DropExtension{Names: texts(d.GetObjects()), Drop: Drop{IfExists: d.GetMissingOk(), Cascade: d.GetBehavior() == pg.DropBehavior_DROP_CASCADE}}, nil
	default:
		return nil, nil
	}
}
