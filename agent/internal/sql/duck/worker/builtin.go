package worker

/*
void ndBuiltinCall(void *, void *, void *);
void ndRefFree(void *);
typedef void (*nd_builtin_fn3)(void *, void *, void *);
typedef void (*nd_builtin_fn1)(void *);
static void *nd_builtin_free(void) { return (void *)(nd_builtin_fn1)ndRefFree; }
static void *nd_builtin_call(void) { return (void *)(nd_builtin_fn3)ndBuiltinCall; }
*/
import "C"

import (
	"fmt"
	"unsafe"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// builtinResult is what nd_call_N and nd_list_N give: a text, or a list of texts.
type builtinResult struct{ list bool }

// registerBuiltin adds nd_call_N and nd_list_N: the signature of a call of package builtin
// and the texts of N arguments.
func registerBuiltin(conn bind.Connection) error {
	for _, of := range []struct {
		name   string
		result builtinResult
	}{{"nd_call_", builtinResult{}}, {"nd_list_", builtinResult{list: true}}} {
		for n := range builtin.MaxArgs + 1 {
			if err := registerBuiltinFunction(conn, fmt.Sprint(of.name, n), &of.result, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func registerBuiltinFunction(conn bind.Connection, name string, of *builtinResult, args int) error {
	s := bind.CreateScalarFunction()
	defer bind.DestroyScalarFunction(&s)
	bind.ScalarFunctionSetName(s, name)
	varchar := bind.CreateLogicalType(bind.TypeVarchar)
	defer bind.DestroyLogicalType(&varchar)
	for range args + 1 {
		bind.ScalarFunctionAddParameter(s, varchar)
	}
	result := logicalType(frame.Type{Kind: frame.Text, List: of.list})
	defer bind.DestroyLogicalType(&result)
	bind.ScalarFunctionSetReturnType(s, result)
	bind.ScalarFunctionSetExtraInfo(s, newRef(of), C.nd_builtin_free())
	bind.ScalarFunctionSetFunction(s, C.nd_builtin_call())
	bind.ScalarFunctionSetSpecialHandling(s) // some want nulls
	if bind.RegisterScalarFunction(conn, s) == bind.StateError {
		return fmt.Errorf("register %s", name)
	}
	return nil
}

//export ndBuiltinCall
func ndBuiltinCall(ip, chunk, output unsafe.Pointer) {
	defer func() {
		if r := recover(); r != nil {
			scalarError(ip, fmt.Sprint("panic: ", r))
		}
	}()
	of := refValue(bind.ScalarFunctionGetExtraInfo(bind.FunctionInfo{Ptr: ip})).(*builtinResult)
	in := bind.DataChunk{Ptr: chunk}
	rows := int(bind.DataChunkGetSize(in))
	columns := make([]textVector, int(bind.DataChunkGetColumnCount(in)))
	for i := range columns {
		columns[i] = textsOf(bind.DataChunkGetVector(in, bind.IdxT(i)), rows)
	}
	out := frame.NewBatch([]frame.Type{{Kind: frame.Text, List: of.list}})
	if err := callBuiltin(out, columns, rows); err != nil {
		scalarError(ip, jsonError(err))
		return
	}
	if !fill(output, rows, &out.Columns[0]) {
		scalarError(ip, "Out of Memory Error: a row does not fit")
	}
}

// callBuiltin computes the rows of a chunk, which all have one signature.
func callBuiltin(out *frame.Batch, columns []textVector, rows int) error {
	if rows == 0 {
		return nil
	}
	signature, _ := columns[0].text(0)
	call, env, err := builtin.ParseSignature(signature)
	if err != nil {
		return err
	}
	args := make([]datum.Datum, len(call.Args))
	var v datum.Datum
	for row := range rows {
		if row > 0 && sameArguments(columns[1:], row) { // as of the rows of one frame
			if err := appendBuiltin(out, v); err != nil {
				return err
			}
			continue
		}
		for i, t := range call.Args {
			s, ok := columns[i+1].text(row)
			if !ok {
				args[i] = datum.MakeNull(t)
				continue
			}
			if args[i], err = datum.ParseText(t, s, env.Location); err != nil {
				return err
			}
		}
		if v, err = call.Eval(env, args); err != nil {
			return err
		}
		if err := appendBuiltin(out, v); err != nil {
			return err
		}
	}
	return nil
}

// sameArguments reports whether a row has the arguments of the one before.
func sameArguments(columns []textVector, row int) bool {
	for i := range columns {
		if columns[i].values[row].size != columns[i].values[row-1].size {
			return false
		}
		a, ok := columns[i].text(row - 1)
		b, also := columns[i].text(row)
		if ok != also || a != b {
			return false
		}
	}
	return true
}

func appendBuiltin(out *frame.Batch, v datum.Datum) error {
	switch {
	case v.Null:
		out.Null(0)
	case v.Type.IsArray():
		if err := v.A.Plain(); err != nil {
			return err
		}
		elements := make([]*string, len(v.A.Values))
		for i := range v.A.Values {
			if e := &v.A.Values[i]; !e.Null {
				s, err := engineText(*e)
				if err != nil {
					return err
				}
				elements[i] = &s
			}
		}
		out.Bytes(0, frame.EncodeList(nil, elements))
	default:
		s, err := engineText(v)
		if err != nil {
			return err
		}
		out.String(0, s)
	}
	out.FinishRow()
	return nil
}

// engineText is a text of which the engine reads the value.
func engineText(v datum.Datum) (string, error) {
	s, ok := builtin.EngineTime(v)
	if !ok {
		return "", &datum.Error{Code: "0A000", Message: "the time " + s + " is not supported in this statement"}
	}
	return s, nil
}
