package datum

import "strings"

// Type is the type of a value. Array may be added to the scalar types; that of an enum has
// the number of its form in it (TypeOfEnum).
type Type uint32

// The types. Storable says which of them a collection may have.
const (
	Unknown Type = iota // a literal or parameter whose type is not decided; S holds its text
	Bool
	Int2
	Int4
	Int8
	Float4
	Float8
	Numeric
	Text
	Varchar
	Bytea
	UUID
	Date
	Timestamp
	Timestamptz
	JSONB
	JSON
	Name
	OID
	Time
	Interval
	Bpchar // char(n)
	Char   // "char", one byte
	Timetz
	Inet
	Cidr
	Bit // bit(n)
	Varbit
	lastStored      = Varbit
	Enum       Type = Varbit + 1 // with the number of a form: a type
)

// The types that only catalogs have. Those that are numbers of objects come first, and
// are shown by the objects' names (IsRegistry).
const (
	Regproc Type = Enum + 1 + iota
	Regprocedure
	Regoper
	Regoperator
	Regclass
	Regtype
	Regrole
	Regnamespace
	Regcollation
	Regconfig
	Regdictionary
	Xid
	Cid
	Xid8
	Tid
	NodeTree
	ACLItem
	LSN
	AnyArray
	lastType = AnyArray
	// Record is a row as a value. Nothing is stored as one, and no parameter is one.
	Record = AnyArray + 1
	// Composite, with the number of a form, is a composite type (TypeOfComposite).
	Composite = Record + 1
)

const (

	// Array marks a one-dimensional array of the type it is added to.
	Array Type = 0x80
	// vector marks the arrays that catalogs have in a form of their own.
	vector Type = 1 << 31
	// Int2Vector is an array of int2 whose text is 1 2, and the first of which has the
	// number 0. Only columns of catalogs have it.
	Int2Vector = Int2 | Array | vector
	// OIDVector is the same of oid.
	OIDVector = OID | Array | vector
)

const (
	int2VectorOID = 22
	oidVectorOID  = 30
)

// typeInfo is what PostgreSQL says of a type.
type typeInfo struct {
	name     string // pg_type.typname
	sqlName  string // as format_type says it
	oid      uint32
	arrayOID uint32
	size     int16
}

var types = [lastType + 1]typeInfo{ //nolint:gochecknoglobals // a constant table
	Unknown:     {"unknown", "unknown", 705, 0, -2},
	Bool:        {"bool", "boolean", 16, 1000, 1},
	Int2:        {"int2", "smallint", 21, 1005, 2},
	Int4:        {"int4", "integer", 23, 1007, 4},
	Int8:        {"int8", "bigint", 20, 1016, 8},
	Float4:      {"float4", "real", 700, 1021, 4},
	Float8:      {"float8", "double precision", 701, 1022, 8},
	Numeric:     {"numeric", "numeric", 1700, 1231, -1},
	Text:        {"text", "text", 25, 1009, -1},
	Varchar:     {"varchar", "character varying", 1043, 1015, -1},
	Bytea:       {"bytea", "bytea", 17, 1001, -1},
	UUID:        {"uuid", "uuid", 2950, 2951, 16},
	Date:        {"date", "date", 1082, 1182, 4},
	Timestamp:   {"timestamp", "timestamp without time zone", 1114, 1115, 8},
	Timestamptz: {"timestamptz", "timestamp with time zone", 1184, 1185, 8},
	JSONB:       {"jsonb", "jsonb", 3802, 3807, -1},
	JSON:        {"json", "json", 114, 199, -1},
	Name:        {"name", "name", 19, 1003, 64},
	OID:         {"oid", "oid", 26, 1028, 4},
	Time:        {"time", "time without time zone", 1083, 1183, 8},
	Interval:    {"interval", "interval", 1186, 1187, 16},
	Bpchar:      {"bpchar", "character", 1042, 1014, -1},
	Char:        {"char", `"char"`, 18, 1002, 1},
	Timetz:      {"timetz", "time with time zone", 1266, 1270, 12},
	Inet:        {"inet", "inet", 869, 1041, -1},
	Cidr:        {"cidr", "cidr", 650, 651, -1},
	Bit:         {"bit", "bit", 1560, 1561, -1},
	Varbit:      {"varbit", "bit varying", 1562, 1563, -1},

	Regproc:       {"regproc", "regproc", 24, 1008, 4},
	Regprocedure:  {"regprocedure", "regprocedure", 2202, 2207, 4},
	Regoper:       {"regoper", "regoper", 2203, 2208, 4},
	Regoperator:   {"regoperator", "regoperator", 2204, 2209, 4},
	Regclass:      {"regclass", "regclass", 2205, 2210, 4},
	Regtype:       {"regtype", "regtype", 2206, 2211, 4},
	Regrole:       {"regrole", "regrole", 4096, 4097, 4},
	Regnamespace:  {"regnamespace", "regnamespace", 4089, 4090, 4},
	Regcollation:  {"regcollation", "regcollation", 4191, 4192, 4},
	Regconfig:     {"regconfig", "regconfig", 3734, 3735, 4},
	Regdictionary: {"regdictionary", "regdictionary", 3769, 3770, 4},
	Xid:           {"xid", "xid", 28, 1011, 4},
	Cid:           {"cid", "cid", 29, 1012, 4},
	Xid8:          {"xid8", "xid8", 5069, 271, 8},
	Tid:           {"tid", "tid", 27, 1010, 6},
	NodeTree:      {"pg_node_tree", "pg_node_tree", 194, 0, -1},
	ACLItem:       {"aclitem", "aclitem", 1033, 1034, 12},
	LSN:           {"pg_lsn", "pg_lsn", 3220, 3221, 8},
	AnyArray:      {"anyarray", "anyarray", 2277, 0, -1},
}

// Types are all types but Unknown and arrays.
func Types() []Type {
	out := make([]Type, 0, lastType)
	for t := Bool; t <= lastType; t++ {
		if t != Enum {
			out = append(out, t)
		}
	}
	return out
}

// IsVector reports whether t is one of the arrays of catalogs.
func (t Type) IsVector() bool { return t&vector != 0 }

// IsRegistry reports whether values of t are numbers of objects, which are shown by the
// objects' names.
func (t Type) IsRegistry() bool { return t >= Regproc && t <= Regdictionary }

// IsNumbered reports whether t is the number of something in the catalogs.
func (t Type) IsNumbered() bool { return t == OID || t >= Regproc && t <= Xid8 }

// IsArray reports whether t is an array type.
func (t Type) IsArray() bool { return t&Array != 0 }

// Elem returns the element type of an array type, or t.
func (t Type) Elem() Type { return t &^ (Array | vector) }

func (t Type) info() typeInfo {
	switch e := t.Elem(); {
	case e.IsEnum():
		form := e.EnumType()
		return typeInfo{name: form.Name, sqlName: form.Name, oid: form.OID, arrayOID: form.ArrayOID, size: 4}
	case e.IsComposite():
		form := e.CompositeType()
		return typeInfo{name: form.Name, sqlName: form.Name, oid: form.OID, arrayOID: form.ArrayOID, size: -1}
	case e <= lastType:
		return types[e]
	case e == Record:
		return typeInfo{name: "record", sqlName: "record", oid: 2249, arrayOID: 2287, size: -1}
	}
	return types[Unknown]
}

// OID returns PostgreSQL's object id of the type.
func (t Type) OID() uint32 {
	switch {
	case t == Int2Vector:
		return int2VectorOID
	case t == OIDVector:
		return oidVectorOID
	case t.IsArray():
		return t.info().arrayOID
	}
	return t.info().oid
}

// Size returns pg_type.typlen: bytes, -1 for variable length.
func (t Type) Size() int16 {
	if t.IsArray() {
		return -1
	}
	return t.info().size
}

// String returns PostgreSQL's name of the type: int4, timestamptz, text[].
func (t Type) String() string {
	if t.IsVector() {
		return t.info().name + "vector"
	}
	if t.IsArray() {
		return t.info().name + "[]"
	}
	return t.info().name
}

// SQLName returns the name that PostgreSQL's messages use: integer, timestamp
// with time zone.
func (t Type) SQLName() string {
	if t.IsVector() {
		return t.String()
	}
	if t.IsArray() {
		return t.info().sqlName + "[]"
	}
	return t.info().sqlName
}

// Storable reports whether a collection's column may have the type.
func (t Type) Storable() bool {
	return t&vector == 0 && (t.Elem() >= Bool && t.Elem() <= lastStored || t.Elem().IsEnum() || t.Elem().IsComposite())
}

// Modifiable reports whether the type, or that of its elements, can have a modifier.
func (t Type) Modifiable() bool {
	switch t.Elem() {
	case Numeric, Varchar, Bpchar, Bit, Varbit, Timestamp, Timestamptz, Time, Timetz, Interval:
		return true
	}
	return false
}

// Ordered reports whether values of the type are compared, and so can be keys.
func (t Type) Ordered() bool { return t.Storable() && t.Elem() != JSON && !t.Elem().IsComposite() }

// IsNumber reports whether t is an integer, float or numeric type.
func (t Type) IsNumber() bool { return t >= Int2 && t <= Numeric }

// IsInt reports whether t is int2, int4 or int8.
func (t Type) IsInt() bool { return t >= Int2 && t <= Int8 }

// IsFloat reports whether t is float4 or float8.
func (t Type) IsFloat() bool { return t == Float4 || t == Float8 }

// IsString reports whether t holds characters.
func (t Type) IsString() bool {
	return t == Text || t == Varchar || t == Name || t == Bpchar || t == Char
}

// IsInet reports whether t is inet or cidr.
func (t Type) IsInet() bool { return t == Inet || t == Cidr }

// IsBits reports whether t is bit or bit varying.
func (t Type) IsBits() bool { return t == Bit || t == Varbit }

// IsDateTime reports whether t is date, timestamp or timestamptz.
func (t Type) IsDateTime() bool { return t == Date || t == Timestamp || t == Timestamptz }

// TypeByOID returns the type with PostgreSQL's object id oid.
func TypeByOID(oid uint32) (Type, bool) {
	if oid == 0 || oid == 705 {
		return Unknown, true
	}
	switch oid {
	case int2VectorOID:
		return Int2Vector, true
	case oidVectorOID:
		return OIDVector, true
	}
	for t := Bool; t <= lastType; t++ {
		if types[t].oid == oid {
			return t, true
		}
		if types[t].arrayOID == oid {
			return t | Array, true
		}
	}
	return Unknown, false
}

// TypeByName returns the type with the name, in PostgreSQL's short or SQL form,
// lower case, with [] for arrays.
func TypeByName(name string) (Type, bool) {
	if elem, ok := strings.CutSuffix(name, "[]"); ok {
		t, ok := TypeByName(elem)
		return t | Array, ok && !t.IsArray() && t != Unknown
	}
	switch name {
	case "int":
		return Int4, true
	case "decimal":
		return Numeric, true
	case "float":
		return Float8, true
	case "string":
		return Text, true
	case "int2vector":
		return Int2Vector, true
	case "oidvector":
		return OIDVector, true
	case "":
		return Unknown, false
	}
	for t := Unknown; t <= lastType; t++ {
		if types[t].name == name || types[t].sqlName == name {
			return t, true
		}
	}
	return Unknown, false
}
