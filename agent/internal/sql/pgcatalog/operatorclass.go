package pgcatalog

import (
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// What operator classes say that are of many types.
const (
	anyArrayOID = 2277
	anyEnumOID  = 3500
)

// defaultClasses are the OIDs of the default operator classes by index method and type.
var defaultClasses = sync.OnceValue(func() map[[2]int64]int { //nolint:gochecknoglobals // a constant, made on first use
	out := map[[2]int64]int{}
	all, err := Load()
	if err != nil {
		return out
	}
	t, _ := all.Lookup(Schema, "pg_opclass")
	at := map[string]int{}
	for i, c := range t.Columns {
		at[c.Name] = i
	}
	for _, r := range builtinRows()["pg_opclass"] {
		if r[at["opcdefault"]].I != 0 {
			out[[2]int64{r[at["opcmethod"]].I, r[at["opcintype"]].I}] = int(r[at["oid"]].I)
		}
	}
	return out
})

// operatorClass is the OID of the class that an index has for a type, 0 if there is none
// of PostgreSQL's; x is nil for the primary key.
func operatorClass(t datum.Type, x *catalog.Index) int {
	method, of := int64(btreeAM), int64(t.OID())
	if x != nil {
		method = int64(methodOID(x))
	}
	switch {
	case t.IsVector():
	case t.IsArray():
		of = anyArrayOID
	case t.IsEnum():
		of = anyEnumOID
	case t == datum.Varchar:
		of = int64(datum.Text.OID())
	case t == datum.Cidr:
		of = int64(datum.Inet.OID())
	case t.IsRegistry():
		of = int64(datum.OID.OID())
	}
	return defaultClasses()[[2]int64{method, of}]
}
