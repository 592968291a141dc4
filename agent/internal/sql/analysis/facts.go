package analysis

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// postgresql15 has the types (T), operators (O), casts (C) and functions (F) of PostgreSQL 15's
// pg_catalog, one to a line.
//
//go:embed postgresql15.txt
var postgresql15 string

// oid numbers a type as PostgreSQL does; unsure: it is not known which type it is.
type oid uint32

const (
	unsure      oid = 0
	boolean     oid = 16
	int8Type    oid = 20
	int4Type    oid = 23
	textType    oid = 25
	jsonb       oid = 3802
	float8Type  oid = 701
	unknown     oid = 705
	numericType oid = 1700
	interval    oid = 1186
	bitType     oid = 1560
	record      oid = 2249
	voidType    oid = 2278
	anyType     oid = 2276

	anyElement        oid = 2283
	anyArray          oid = 2277
	anyNonArray       oid = 2776
	anyEnum           oid = 3500
	anyRange          oid = 3831
	anyMultirange     oid = 4537
	anyCompatible     oid = 5077
	anyCompatArray    oid = 5078
	anyCompatNonArray oid = 5079
	anyCompatRange    oid = 5080
	anyCompatMulti    oid = 4538
)

// typeFact is what pg_type says.
type typeFact struct {
	name, sqlName string
	category      byte
	preferred     bool
	elem, array   oid
	enum          bool
}

// operator is what pg_operator says; left is unsure for a prefix.
type operator struct {
	left, right, result oid
	function            string
}

// function is what pg_proc says.
type function struct {
	kind     byte // f, a: aggregate, w: window, p: procedure
	set      bool
	variadic oid
	defaults int
	result   oid
	agg      byte // n, o: ordered set, h: hypothetical
	direct   int
	args     []oid
	out      []outColumn
}

type outColumn struct {
	typ  oid
	name string
}

type castPair struct{ from, to oid }

type facts struct {
	types     map[oid]*typeFact
	names     map[string]oid
	operators map[string][]*operator
	functions map[string][]*function
	casts     map[castPair]byte
}

// known reads the facts once.
var known = sync.OnceValue(func() *facts {
	f := &facts{map[oid]*typeFact{}, map[string]oid{}, map[string][]*operator{}, map[string][]*function{}, map[castPair]byte{}}
	for line := range strings.Lines(postgresql15) {
		w := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 11)
		switch w[0] {
		case "T":
			t := &typeFact{name: w[2], category: w[3][0], preferred: w[4] == "1", elem: number(w[5]), array: number(w[6]), enum: w[7] == "e", sqlName: strings.Join(w[8:], " ")}
			f.types[number(w[1])], f.names[t.name] = t, number(w[1])
		case "O":
			f.operators[w[1]] = append(f.operators[w[1]], &operator{number(w[2]), number(w[3]), number(w[4]), w[5]})
		case "C":
			f.casts[castPair{number(w[1]), number(w[2])}] = w[3][0]
		case "F":
			f.functions[w[1]] = append(f.functions[w[1]], readFunction(w))
		}
	}
	return f
})

func readFunction(w []string) *function {
	out := &function{kind: w[2][0], set: w[3] == "1", variadic: number(w[4]), defaults: int(number(w[5])), result: number(w[6]), agg: w[7][0], direct: int(number(w[8]))}
	if w[9] != "-" {
		for a := range strings.SplitSeq(w[9], ",") {
			out.args = append(out.args, number(a))
		}
	}
	if w[10] != "-" {
		for c := range strings.SplitSeq(w[10], ",") {
			typ, name, _ := strings.Cut(c, ":")
			out.out = append(out.out, outColumn{number(typ), name})
		}
	}
	return out
}

func number(s string) oid {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic("postgresql15.txt: " + s)
	}
	return oid(n)
}

// fact describes a type, those that somebody has made too; nil: it is not known.
func (a *analysis) fact(t oid) *typeFact {
	if f := known().types[t]; f != nil {
		return f
	}
	return a.made[t]
}

// typeOf is PostgreSQL's number of a type.
func (a *analysis) typeOf(t datum.Type) oid {
	if t == datum.Unknown || t == datum.Record {
		return unsure
	}
	if e := t.Elem(); (e.IsEnum() || e.IsComposite()) && a.made[oid(e.OID())] == nil {
		scalar, array := oid(e.OID()), oid((e | datum.Array).OID())
		a.made[scalar] = &typeFact{name: e.String(), sqlName: e.SQLName(), category: 'E', array: array, enum: true}
		if e.IsComposite() {
			a.made[scalar] = &typeFact{name: e.String(), sqlName: e.SQLName(), category: composite, array: array}
		}
		a.made[array] = &typeFact{name: "_" + e.String(), sqlName: e.SQLName() + "[]", category: 'A', elem: scalar}
		a.known[scalar], a.known[array] = e, e|datum.Array
	}
	return oid(t.OID())
}

// valueType is the type of package datum; false: it has none of the kind.
func (a *analysis) valueType(t oid) (datum.Type, bool) {
	if v, ok := a.known[t]; ok {
		return v, true
	}
	v, ok := datum.TypeByOID(uint32(t))
	return v, ok && v != datum.Unknown
}

// sqlName is the name that messages use.
func (a *analysis) sqlName(t oid) string {
	if f := a.fact(t); f != nil {
		return f.sqlName
	}
	return "unknown"
}

// fullName is sqlName with a modifier, of which mod is one more.
func (a *analysis) fullName(t oid, mod int32) string {
	if v, ok := a.valueType(t); ok {
		return datum.TypeString(v, mod-1)
	}
	return a.sqlName(t)
}

func (a *analysis) category(t oid) byte {
	if t == unknown {
		return 'X'
	}
	if f := a.fact(t); f != nil {
		return f.category
	}
	return 0
}

func (a *analysis) preferred(t oid) bool {
	f := a.fact(t)
	return f != nil && f.preferred
}

// elem is the type of an array's elements; unsure: it is none.
func (a *analysis) elem(t oid) oid {
	if f := a.fact(t); f != nil {
		return f.elem
	}
	return unsure
}

func (a *analysis) arrayOf(t oid) oid {
	if f := a.fact(t); f != nil {
		return f.array
	}
	return unsure
}

func polymorphic(t oid) bool { return family1(t) || family2(t) }

func family1(t oid) bool {
	switch t {
	case anyElement, anyArray, anyNonArray, anyEnum, anyRange, anyMultirange:
		return true
	}
	return false
}

func family2(t oid) bool {
	switch t {
	case anyCompatible, anyCompatArray, anyCompatNonArray, anyCompatRange, anyCompatMulti:
		return true
	}
	return false
}
