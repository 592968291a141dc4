package worker

/*
#include <stdint.h>
void ndTextCall(void *, void *, void *);
void ndRefFree(void *);
typedef void (*nd_text_fn3)(void *, void *, void *);
typedef void (*nd_text_fn1)(void *);
static void *nd_text_free(void) { return (void *)(nd_text_fn1)ndRefFree; }
static void *nd_text_call(void) { return (void *)(nd_text_fn3)ndTextCall; }
*/
import "C"

import (
	"fmt"
	"unsafe"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// textFunction is a function of a value of any type, of what the rewriter knows of it
// (frame.Meaning), and of texts: PostgreSQL's form of the value, or one of the forms of
// json.
type textFunction struct {
	name   string
	texts  int // arguments beside those two
	result frame.Kind
	append func(dst []byte, r *reader, v vector, row int, texts []*string) ([]byte, error)
}

// keyFunction makes the key of a member of an object; its text is the error for NULL.
const keyFunction = "nd_json_key"

//nolint:gochecknoglobals // a table
var textFunctions = []textFunction{
	{"nd_text", 0, frame.Text, func(dst []byte, r *reader, v vector, row int, _ []*string) ([]byte, error) {
		return r.text(dst, v, row)
	}},
	{"nd_json", 0, frame.JSON, func(dst []byte, r *reader, v vector, row int, _ []*string) ([]byte, error) {
		return r.json(dst, v, row)
	}},
	{keyFunction, 1, frame.Text, func(dst []byte, r *reader, v vector, row int, _ []*string) ([]byte, error) {
		key, err := r.text(nil, v, row)
		return append(dst, datum.QuoteJSON(string(key))...), err
	}},
	{"nd_array_to_string", 2, frame.Text, func(dst []byte, r *reader, v vector, row int, texts []*string) ([]byte, error) {
		return r.joined(dst, v, row, texts[0], texts[1])
	}},
	{"nd_jsonb", 0, frame.JSON, func(dst []byte, _ *reader, v vector, row int, _ []*string) ([]byte, error) {
		d, err := datum.ParseText(datum.JSONB, string(v.bytes(row)), nil)
		return append(dst, d.S...), err
	}},
}

// registerText adds them.
func registerText(conn bind.Connection) error {
	for i := range textFunctions {
		f := &textFunctions[i]
		s := bind.CreateScalarFunction()
		bind.ScalarFunctionSetName(s, f.name)
		anything, varchar := bind.CreateLogicalType(bind.TypeAny), bind.CreateLogicalType(bind.TypeVarchar)
		bind.ScalarFunctionAddParameter(s, anything)
		for range 1 + f.texts {
			bind.ScalarFunctionAddParameter(s, varchar)
		}
		result := logicalType(frame.Type{Kind: f.result})
		bind.ScalarFunctionSetReturnType(s, result)
		bind.ScalarFunctionSetExtraInfo(s, newRef(f), C.nd_text_free())
		bind.ScalarFunctionSetFunction(s, C.nd_text_call())
		bind.ScalarFunctionSetSpecialHandling(s) // the text for NULL of array_to_string may be NULL
		state := bind.RegisterScalarFunction(conn, s)
		for _, t := range []*bind.LogicalType{&anything, &varchar, &result} {
			bind.DestroyLogicalType(t)
		}
		bind.DestroyScalarFunction(&s)
		if state == bind.StateError {
			return fmt.Errorf("register %s", f.name)
		}
	}
	return nil
}

//export ndTextCall
func ndTextCall(ip, chunk, output unsafe.Pointer) {
	defer func() {
		if r := recover(); r != nil {
			scalarError(ip, fmt.Sprint("panic: ", r))
		}
	}()
	f := refValue(bind.ScalarFunctionGetExtraInfo(bind.FunctionInfo{Ptr: ip})).(*textFunction)
	in := bind.DataChunk{Ptr: chunk}
	rows := int(bind.DataChunkGetSize(in))
	vec := bind.DataChunkGetVector(in, 0)
	texts := make([]textVector, 1+f.texts)
	for i := range texts {
		texts[i] = textsOf(bind.DataChunkGetVector(in, bind.IdxT(i+1)), rows)
	}
	out := frame.NewBatch([]frame.Type{{Kind: f.result}})
	if err := f.call(out, vec, texts, rows); err != nil {
		scalarError(ip, jsonError(err))
		return
	}
	if !fill(output, rows, &out.Columns[0]) {
		scalarError(ip, "Out of Memory Error: a row does not fit")
	}
}

// call computes the rows of a chunk.
func (f *textFunction) call(out *frame.Batch, vec bind.Vector, texts []textVector, rows int) error {
	t := bind.VectorGetColumnType(vec)
	defer bind.DestroyLogicalType(&t)
	v := vectorOf(vec)
	var r *reader // made of the first value: what is said of it is the same in all rows
	var buf []byte
	given := make([]*string, f.texts)
	for row := range rows {
		meaning, _ := texts[0].text(row)
		for i := range given {
			given[i] = nil
			if s, ok := texts[i+1].text(row); ok {
				given[i] = &s
			}
		}
		if v.null(row) || bind.GetTypeId(t) == bind.TypeSQLNull {
			if f.name == keyFunction && given[0] != nil {
				return &datum.Error{Code: "22023", Message: *given[0]}
			}
			out.Null(0)
			out.FinishRow()
			continue
		}
		var err error
		if r == nil {
			if r, err = readerOf(t, meaning); err != nil {
				return err
			}
		}
		if buf, err = f.append(buf[:0], r, v, row, given); err != nil {
			return err
		}
		if len(buf) > maxValueBytes {
			return tooLong(len(buf))
		}
		if buf == nil {
			out.Null(0)
		} else {
			out.Bytes(0, buf)
		}
		out.FinishRow()
	}
	return nil
}
