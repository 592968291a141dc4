package syntax

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Storage is what stands in WITH (...) of a table.
type Storage struct {
	// Pool is of WITH (pool = 'x'); empty: the default one.
	Pool         string `json:",omitempty"`
	PoolPosition int    `json:",omitempty"`
	// Ignored are parameters of PostgreSQL that have no meaning here.
	Ignored []string `json:",omitempty"`
}

// tableParameters are those storage parameters of PostgreSQL that do not begin with
// autovacuum_.
var tableParameters = map[string]bool{ //nolint:gochecknoglobals // never changed
	"fillfactor": true, "toast_tuple_target": true, "parallel_workers": true, "vacuum_index_cleanup": true, "vacuum_truncate": true,
	"log_autovacuum_min_duration": true, "user_catalog_table": true,
}

// IsStorageParameter reports whether PostgreSQL has a parameter of tables or indexes that
// has no meaning here.
func IsStorageParameter(name string) bool {
	return tableParameters[name] || strings.HasPrefix(name, "autovacuum_")
}

// storage reads WITH (pool = 'x', fillfactor = 70, ...).
func storage(options []*pg.Node) (out Storage, err *Error) {
	for _, o := range options {
		d := o.GetDefElem()
		if d.GetDefname() != "pool" || d.GetDefnamespace() != "" {
			if err := storageParameter(d); err != nil {
				return out, err
			}
			out.Ignored = append(out.Ignored, d.GetDefname())
			continue
		}
		if out.PoolPosition > 0 {
			return out, &Error{Code: "22023", Message: `parameter "pool" specified more than once`, Position: Position(d.GetLocation())}
		}
		out.Pool, out.PoolPosition = d.GetArg().GetString_().GetSval(), Position(d.GetLocation())
		if out.Pool == "" { // a bare word is read as the name of a type
			if names := d.GetArg().GetTypeName().GetNames(); len(names) == 1 {
				out.Pool = names[0].GetString_().GetSval()
			}
		}
		if out.Pool == "" {
			return out, &Error{Code: "22023", Message: "pool must be the name of one, such as WITH (pool = 'critical')", Position: out.PoolPosition}
		}
	}
	return out, nil
}

// storageParameter refuses what is no parameter of PostgreSQL either.
func storageParameter(d *pg.DefElem) *Error {
	name := d.GetDefname()
	switch space := d.GetDefnamespace(); {
	case space != "" && space != "toast":
		return &Error{Code: "22023", Message: `unrecognized parameter namespace "` + space + `"`}
	case !IsStorageParameter(name):
		return &Error{Code: "22023", Message: `unrecognized parameter "` + name + `"`}
	case name != "fillfactor" || d.GetArg() == nil:
		return nil
	}
	text, err := copyValue(d)
	if err != nil {
		return err
	}
	if d.GetArg().GetInteger() != nil {
		text = strconv.Itoa(int(d.GetArg().GetInteger().GetIval()))
	}
	const least, most = 10, 100
	switch n, wrong := strconv.Atoi(text); {
	case wrong != nil:
		return &Error{Code: "22023", Message: `invalid value for integer option "fillfactor": ` + text}
	case n < least || n > most:
		return &Error{Code: "22023", Message: "value " + text + ` out of bounds for option "fillfactor"`, Detail: `Valid values are between "10" and "100".`}
	}
	return nil
}

// Maintain is VACUUM, ANALYZE and CHECKPOINT, which have nothing to do here.
type Maintain struct {
	Tag    string
	Tables []Name
}

func (*Maintain) node() {}

func convertMaintain(v *pg.VacuumStmt) (Node, *Error) {
	out := &Maintain{Tag: "ANALYZE"}
	if v.GetIsVacuumcmd() {
		out.Tag = "VACUUM"
	}
	for _, r := range v.GetRels() {
		name, err := relationName(r.GetVacuumRelation().GetRelation())
		if err != nil {
			return nil, err
		}
		out.Tables = append(out.Tables, name)
	}
	return out, nil
}
