package jsonb

import (
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// pathArgs are the arguments of functions of paths: the value, the path, variables, whether
// to be silent about errors.
var pathArgs = []datum.Type{datum.JSONB, datum.Text, datum.JSONB, datum.Bool} //nolint:gochecknoglobals // a list

// paths keeps the last paths that were read: a statement has the same one for each row.
var paths struct { //nolint:gochecknoglobals // a cache
	sync.Mutex
	read map[string]*Path
}

const maxKeptPaths = 64

// pathNamed reads a path, or finds it among those that were read last.
func pathNamed(text string) (*Path, error) {
	paths.Lock()
	p := paths.read[text]
	paths.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := ParsePath(text)
	if err != nil {
		return nil, err
	}
	paths.Lock()
	defer paths.Unlock()
	if paths.read == nil || len(paths.read) >= maxKeptPaths {
		paths.read = map[string]*Path{}
	}
	paths.read[text] = p
	return p, nil
}

// pathOf takes the arguments of a function apart.
func pathOf(a []datum.Datum) (p *Path, vars string, silent bool, err error) {
	if p, err = pathNamed(a[1].S); err != nil {
		return nil, "", false, err
	}
	vars = "{}"
	if len(a) > 2 {
		if vars = a[2].S; vars == "" {
			return p, vars, true, nil
		}
		if datum.KindOfJSON(vars) != datum.JSONObject {
			e := &datum.Error{Code: "22023", Message: `"vars" argument is not an object`, Detail: "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."}
			return nil, "", false, e
		}
	}
	return p, vars, len(a) > 3 && a[3].Bool(), nil
}

// silently are the arguments of an operator, which is silent about errors and has no
// variables.
func silently(a []datum.Datum) []datum.Datum { return append(a[:2:2], value("")) }

func pathTruth(a []datum.Datum, ask func(p *Path, j, vars string, silent bool) (bool, bool, error)) (datum.Datum, error) {
	p, vars, silent, err := pathOf(a)
	if err != nil {
		return datum.Datum{}, err
	}
	holds, known, err := ask(p, a[0].S, vars, silent)
	if err != nil || !known {
		return datum.MakeNull(datum.Bool), err
	}
	return datum.MakeBool(holds), nil
}
