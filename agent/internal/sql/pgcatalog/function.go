package pgcatalog

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Function is a function or a procedure of the database.
type Function struct {
	*cluster.Object
	// Name has the schema in front, unless it is in the path.
	Name string
}

// procs are the rows of pg_proc.
func (in *Input) procs() []row {
	var out []row
	for i := range in.Functions {
		f := &in.Functions[i]
		out = append(out, row{"oid": OID(f.ID), "proname": f.Object.Name, "pronamespace": OID(f.Parent), "proowner": in.ownerOID(f.Object)})
	}
	return out
}
