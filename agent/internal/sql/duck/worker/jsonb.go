package worker

/*
#include <stdint.h>
#include <stdlib.h>
extern void nd_scalar_error(void *info, const char *message);
void ndJSONCall(void *, void *, void *);
typedef void (*nd_fn3)(void *, void *, void *);
void ndRefFree(void *);
typedef void (*nd_fn1)(void *);
static void *nd_json_free(void) { return (void *)(nd_fn1)ndRefFree; }
static void *nd_json_call(void) { return (void *)(nd_fn3)ndJSONCall; }
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// registerJSON adds the functions of package jsonb. All arguments are texts.
func registerJSON(conn bind.Connection) error {
	for f := range jsonb.All {
		for n := len(f.Args) - f.Optional; n <= len(f.Args); n++ {
			if err := registerJSONFunction(conn, f, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func registerJSONFunction(conn bind.Connection, f jsonb.Function, args int) error {
	s := bind.CreateScalarFunction()
	defer bind.DestroyScalarFunction(&s)
	bind.ScalarFunctionSetName(s, f.EngineName(args))
	varchar := bind.CreateLogicalType(bind.TypeVarchar)
	defer bind.DestroyLogicalType(&varchar)
	for range args {
		bind.ScalarFunctionAddParameter(s, varchar)
	}
	result := logicalType(jsonResults[f.Result])
	defer bind.DestroyLogicalType(&result)
	bind.ScalarFunctionSetReturnType(s, result)
	bind.ScalarFunctionSetExtraInfo(s, newRef(&f), C.nd_json_free())
	bind.ScalarFunctionSetFunction(s, C.nd_json_call())
	if bind.RegisterScalarFunction(conn, s) == bind.StateError {
		return fmt.Errorf("register %s", f.Name)
	}
	return nil
}

// jsonResults are what the results of functions are in DuckDB.
var jsonResults = map[datum.Type]frame.Type{ //nolint:gochecknoglobals // a table
	datum.JSONB: {Kind: frame.JSON}, datum.Text: {Kind: frame.Text}, datum.Bool: {Kind: frame.Bool},
	datum.Int4: {Kind: frame.Int32}, datum.Bytea: {Kind: frame.Bytes}, datum.Numeric: {Kind: frame.Text},
	datum.Text | datum.Array: {Kind: frame.Text, List: true}, datum.JSONB | datum.Array: {Kind: frame.JSON, List: true},
}

//export ndJSONCall
func ndJSONCall(ip, chunk, output unsafe.Pointer) {
	defer func() {
		if r := recover(); r != nil {
			scalarError(ip, fmt.Sprint("panic: ", r))
		}
	}()
	f := refValue(bind.ScalarFunctionGetExtraInfo(bind.FunctionInfo{Ptr: ip})).(*jsonb.Function)
	in := bind.DataChunk{Ptr: chunk}
	rows := int(bind.DataChunkGetSize(in))
	columns := make([]textVector, int(bind.DataChunkGetColumnCount(in)))
	for i := range columns {
		columns[i] = textsOf(bind.DataChunkGetVector(in, bind.IdxT(i)), rows)
	}
	out := frame.NewBatch([]frame.Type{jsonResults[f.Result]})
	args := make([]datum.Datum, len(columns))
	for row := range rows {
		v, err := callJSON(f, columns, args, row)
		if err != nil {
			scalarError(ip, jsonError(err))
			return
		}
		appendJSONResult(out, v)
	}
	if !fill(output, rows, &out.Columns[0]) {
		scalarError(ip, "Out of Memory Error: a row does not fit")
	}
}

// callJSON calls f for one row.
func callJSON(f *jsonb.Function, columns []textVector, args []datum.Datum, row int) (datum.Datum, error) {
	for i := range columns {
		s, ok := columns[i].text(row)
		if !ok {
			return datum.MakeNull(f.Result), nil
		}
		var err error
		if args[i], err = jsonArgument(f.Args[i], s); err != nil {
			return datum.Datum{}, err
		}
	}
	return f.Eval(args)
}

// jsonArgument reads an argument; an array of texts comes as JSON.
func jsonArgument(t datum.Type, s string) (datum.Datum, error) {
	if t != datum.Text|datum.Array {
		return datum.ParseText(t, s, nil)
	}
	list, err := datum.ParseText(datum.JSONB, s, nil)
	if err != nil {
		return datum.Datum{}, err
	}
	var values []datum.Datum
	for e := range datum.JSONElements(list.S) {
		text, ok := datum.JSONAsText(e)
		v := datum.MakeText(text)
		v.Null = !ok
		values = append(values, v)
	}
	return datum.MakeArray(datum.Text, values), nil
}

func appendJSONResult(out *frame.Batch, v datum.Datum) {
	switch {
	case v.Null:
		out.Null(0)
	case v.Type.IsArray():
		elements := make([]*string, len(v.A.Values))
		for i := range v.A.Values {
			if e := &v.A.Values[i]; !e.Null {
				elements[i] = &e.S
			}
		}
		out.Bytes(0, frame.EncodeList(nil, elements))
	case v.Type == datum.Bool:
		out.Bool(0, v.Bool())
	case v.Type == datum.Int4:
		out.Int(0, v.I)
	case v.Type == datum.Numeric:
		out.String(0, v.Text())
	default:
		out.String(0, v.S)
	}
	out.FinishRow()
}

// textVector is a flat vector of VARCHAR.
type textVector struct {
	values []engineString
	valid  []uint64 // nil: no NULL
}

// engineString is DuckDB's string_t.
type engineString struct {
	size uint32
	// inlined are the bytes of a short string, or four of them and a pointer to all.
	inlined [12]byte
}

func textsOf(v bind.Vector, rows int) textVector {
	out := textVector{values: unsafe.Slice((*engineString)(bind.VectorGetData(v)), rows)}
	if mask := bind.VectorGetValidity(v); mask != nil {
		out.valid = unsafe.Slice((*uint64)(mask), (rows+63)/64)
	}
	return out
}

// text returns a copy of a value; ok is false for NULL.
func (v *textVector) text(row int) (s string, ok bool) {
	if v.valid != nil && v.valid[row>>6]>>(row&63)&1 == 0 {
		return "", false
	}
	e := &v.values[row]
	if int(e.size) <= len(e.inlined) {
		return string(e.inlined[:e.size]), true
	}
	p := *(*unsafe.Pointer)(unsafe.Pointer(&e.inlined[4]))
	return string(unsafe.Slice((*byte)(p), e.size)), true
}

func jsonError(err error) string {
	var e *datum.Error
	if errors.As(err, &e) {
		return "ND" + e.Code + " " + e.Message
	}
	return err.Error()
}

func scalarError(info unsafe.Pointer, message string) {
	m := C.CString(message)
	C.nd_scalar_error(info, m)
	C.free(unsafe.Pointer(m))
}
