package pgcatalog

import (
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Sequence is a sequence of the database.
type Sequence struct {
	Object *cluster.Object
	Schema *cluster.Object
	Place  cluster.SequencePlace
}

func (s *Sequence) oid() uint32 { return OID(s.Object.ID) }

func (s *Sequence) typ() datum.Type {
	t, _ := datum.TypeByName(s.Object.Sequence.Type)
	return t
}

// sequenceClasses are the rows of pg_class of the sequences.
func (in *Input) sequenceClasses() []row {
	var out []row
	for i := range in.Sequences {
		s := &in.Sequences[i]
		out = append(out, row{"oid": s.oid(), "relname": s.Object.Name, "relnamespace": OID(s.Schema.ID), "relowner": in.ownerOID(s.Object),
			"relfilenode": s.oid(), "reltuples": 1.0, "relpersistence": persistence(s.Schema), "relkind": "S", "relnatts": 3, "relispopulated": true, "relreplident": "n", "relacl": access(s.Object)})
	}
	return out
}

// pgSequence makes pg_sequence.
func (in *Input) pgSequence() []row {
	var out []row
	for i := range in.Sequences {
		s := &in.Sequences[i]
		q := s.Object.Sequence
		out = append(out, row{"seqrelid": s.oid(), "seqtypid": s.typ().OID(), "seqstart": q.Start, "seqincrement": q.Increment, "seqmax": q.Max, "seqmin": q.Min,
			"seqcache": q.Cache, "seqcycle": q.Cycle})
	}
	return out
}

// pgSequences makes pg_sequences.
func (in *Input) pgSequences() []row {
	var out []row
	for i := range in.Sequences {
		s := &in.Sequences[i]
		q := s.Object.Sequence
		r := row{"schemaname": s.Schema.Name, "sequencename": s.Object.Name, "sequenceowner": s.Object.Owner, "data_type": s.typ().OID(), "start_value": q.Start,
			"min_value": q.Min, "max_value": q.Max, "increment_by": q.Increment, "cycle": q.Cycle, "cache_size": q.Cache, "last_value": nil}
		if s.Place.Called {
			r["last_value"] = s.Place.Last
		}
		out = append(out, r)
	}
	return out
}

// informationSequences makes information_schema.sequences, which leaves identities out.
func (in *Input) informationSequences() []row {
	var out []row
	text := func(v int64) string { return strconv.FormatInt(v, 10) }
	for i := range in.Sequences {
		s := &in.Sequences[i]
		q := s.Object.Sequence
		if q.Identity {
			continue
		}
		out = append(out, row{"sequence_catalog": in.Database, "sequence_schema": s.Schema.Name, "sequence_name": s.Object.Name, "data_type": s.typ().SQLName(),
			"numeric_precision": int(s.typ().Size()) * 8, "numeric_precision_radix": 2, "numeric_scale": 0, "start_value": text(q.Start), "minimum_value": text(q.Min),
			"maximum_value": text(q.Max), "increment": text(q.Increment), "cycle_option": yesNo(q.Cycle)})
	}
	return out
}

func yesNo(v bool) string {
	if v {
		return "YES"
	}
	return "NO"
}

// depends are the rows of pg_depend: sequences that go with a column, and defaults that
// need a sequence.
func (in *Input) depends() []row {
	var out []row
	class, defaults := catalogOID("pg_class"), catalogOID("pg_attrdef")
	// The schema of our own is a part of what is always there, so that pg_dump leaves it out.
	out = append(out, row{"classid": catalogOID("pg_namespace"), "objid": internalNamespace, "refclassid": catalogOID("pg_extension"), "refobjid": plpgsqlExtension, "deptype": "e"})
	number := func(t *catalog.Table, id cluster.ColumnID) int {
		for i, c := range t.Columns {
			if c.ID == id {
				return i + 1
			}
		}
		return 0
	}
	tables := map[cluster.ObjectID]*catalog.Table{}
	for _, t := range in.Tables {
		tables[t.ObjectID()] = t
		out = append(out, constraintDepends(t)...)
	}
	for i := range in.Sequences {
		s := &in.Sequences[i]
		owner := s.Object.Sequence.OwnedBy
		if owner == nil || tables[owner.Table] == nil {
			continue
		}
		kind := "a"
		if s.Object.Sequence.Identity {
			kind = "i"
		}
		out = append(out, row{"classid": class, "objid": s.oid(), "refclassid": class, "refobjid": OID(owner.Table), "refobjsubid": number(tables[owner.Table], owner.Column), "deptype": kind})
	}
	for _, t := range in.Tables {
		for i, c := range t.Columns {
			for _, id := range catalog.SequencesOf(c.Default) {
				if !c.Identity {
					out = append(out, row{"classid": defaults, "objid": defaultOID(t, i), "refclassid": class, "refobjid": OID(id), "refobjsubid": 0, "deptype": "n"})
				}
			}
		}
	}
	return out
}

// sequenceOf is the sequence of an identity column.
func (in *Input) sequenceOf(t *catalog.Table, c *catalog.Column) (*cluster.Sequence, bool) {
	for i := range in.Sequences {
		if s := in.Sequences[i].Object.Sequence; s.Identity && s.OwnedBy.Table == t.ObjectID() && s.OwnedBy.Column == c.ID {
			return s, true
		}
	}
	return nil, false
}

// identity is the letter of an identity column in pg_attribute.
func identity(c *catalog.Column) string {
	switch {
	case c.Identity && c.Always:
		return "a"
	case c.Identity:
		return "d"
	default:
		return ""
	}
}

// identityParts adds what information_schema.columns says of an identity column.
func (in *Input) identityParts(t *catalog.Table, c *catalog.Column, r row) {
	s, ok := in.sequenceOf(t, c)
	if !ok {
		return
	}
	text := func(v int64) string { return strconv.FormatInt(v, 10) }
	r["is_identity"], r["identity_generation"] = "YES", "BY DEFAULT"
	if c.Always {
		r["identity_generation"] = "ALWAYS"
	}
	r["identity_start"], r["identity_increment"], r["identity_maximum"], r["identity_minimum"] = text(s.Start), text(s.Increment), text(s.Max), text(s.Min)
	r["identity_cycle"] = yesNo(s.Cycle)
}
