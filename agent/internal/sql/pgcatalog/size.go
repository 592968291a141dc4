package pgcatalog

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Size is how many bytes the rows of a table take, and those of its indexes.
type Size struct {
	Object   *cluster.Object // the table
	Database cluster.ObjectID
	Rows     int64
	Indexes  map[cluster.ObjectID]int64
}

// Has reports whether the OID is that of the table, of its key, or of one of its indexes.
func (s *Size) Has(oid uint32) bool {
	if oid == OID(s.Object.ID) || oid == OID(s.Object.ID)+indexOffset {
		return true
	}
	for i := range s.Object.Collection.Indexes {
		if OID(s.Object.Collection.Indexes[i].ID) == oid {
			return true
		}
	}
	return false
}

// sizes makes nd_size, of the relations of the session's database. Rows are where their primary
// key says: it has none of its own. What has no rows has no bytes.
func (in *Input) sizes() []row {
	of := map[uint32]row{}
	for i := range in.Sizes {
		s := &in.Sizes[i]
		indexes := int64(0)
		for id, n := range s.Indexes {
			of[OID(id)] = row{"main": n, "own": n, "indexes": int64(0), "total": n}
			indexes += n
		}
		of[OID(s.Object.ID)] = row{"main": s.Rows, "own": s.Rows, "indexes": indexes, "total": s.Rows + indexes}
	}
	var out []row
	for _, r := range append(in.classes(), catalogClasses()...) {
		oid := number(r["oid"])
		one := of[oid]
		if one == nil {
			one = row{"main": int64(0), "own": int64(0), "indexes": int64(0), "total": int64(0)}
		}
		one["oid"] = oid
		out = append(out, one)
	}
	return out
}

// databaseSizes makes nd_database_size: of rows, entries of indexes, and what tells of objects.
func (in *Input) databaseSizes() []row {
	of := map[cluster.ObjectID]int64{}
	for i := range in.Sizes {
		s := &in.Sizes[i]
		of[s.Database] += s.Rows
		for _, n := range s.Indexes {
			of[s.Database] += n
		}
	}
	var out []row
	all := int64(0)
	for _, o := range in.Databases {
		of[o.ID] += in.Definitions[o.ID]
		all += of[o.ID]
		out = append(out, row{"oid": OID(o.ID), "name": o.Name, "size": of[o.ID]})
	}
	return append(out, row{"oid": uint32(defaultTablespace), "name": "pg_default", "size": all}, row{"oid": uint32(globalTablespace), "name": "pg_global", "size": in.Definitions[0]})
}

// The OIDs of tablespaces.
const (
	defaultTablespace = 1663
	globalTablespace  = 1664
)
