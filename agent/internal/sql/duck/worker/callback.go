package worker

/*
#include <stdint.h>
#include <stdlib.h>
extern int nd_fill(void *vec, uint64_t n, const char *data, uint64_t size, const uint32_t *ends, const uint64_t *valid);
extern void *nd_list(void *vec, uint64_t n, const uint64_t *ends, uint64_t total, const uint64_t *valid);
extern void nd_function_error(void *info, const char *message);
extern int nd_register(void *connection, uint8_t scale);
void ndScanBind(void *);
void ndScanInit(void *);
void ndScanFill(void *, void *);
void ndRefFree(void *);
typedef void (*nd_fn1)(void *);
typedef void (*nd_fn2)(void *, void *);
static void *nd_bind(void) { return (void *)(nd_fn1)ndScanBind; }
static void *nd_init(void) { return (void *)(nd_fn1)ndScanInit; }
static void *nd_function(void) { return (void *)(nd_fn2)ndScanFill; }
static void *nd_free(void) { return (void *)(nd_fn1)ndRefFree; }
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// A ref is C memory that holds a handle of a Go value, so that DuckDB can keep it.

type closer interface{ close() }

func newRef(v any) unsafe.Pointer {
	p := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(p) = cgo.NewHandle(v)
	return p
}

func refValue(p unsafe.Pointer) any { return (*(*cgo.Handle)(p)).Value() }

//export ndRefFree
func ndRefFree(p unsafe.Pointer) {
	h := *(*cgo.Handle)(p)
	v := h.Value()
	h.Delete()
	C.free(p)
	defer func() { _ = recover() }()
	if c, ok := v.(closer); ok {
		c.close()
	}
}

// registerScan adds the table function nscan(slot) to the database of conn.
func registerScan(conn bind.Connection, e *engine) error {
	f := bind.CreateTableFunction()
	defer bind.DestroyTableFunction(&f)
	bind.TableFunctionSetName(f, "nscan")
	t := bind.CreateLogicalType(bind.TypeBigInt)
	bind.TableFunctionAddParameter(f, t)
	bind.DestroyLogicalType(&t)
	bind.TableFunctionSupportsProjectionPushdown(f, true)
	bind.TableFunctionSetExtraInfo(f, newRef(e), C.nd_free())
	bind.TableFunctionSetBind(f, C.nd_bind())
	bind.TableFunctionSetInit(f, C.nd_init())
	bind.TableFunctionSetFunction(f, C.nd_function())
	if bind.RegisterTableFunction(conn, f) == bind.StateError {
		return fmt.Errorf("register nscan")
	}
	return nil
}

// registerFunctions adds the functions of functions.cpp.
func registerFunctions(conn bind.Connection) error {
	if C.nd_register(conn.Ptr, frame.NumericScale) != 0 {
		return fmt.Errorf("register functions")
	}
	return nil
}

// boundScan is the bind data of one nscan in one plan.
type boundScan struct {
	run   *run
	slot  int
	shape frame.Shape
}

//export ndScanBind
func ndScanBind(p unsafe.Pointer) {
	info := bind.BindInfo{Ptr: p}
	defer func() {
		if r := recover(); r != nil {
			bind.BindSetError(info, fmt.Sprint("panic: ", r))
		}
	}()
	var client bind.ClientContext
	bind.TableFunctionGetClientContext(info, &client)
	id := bind.ClientContextGetConnectionId(client)
	bind.DestroyClientContext(&client)
	r := refValue(bind.BindGetExtraInfo(info)).(*engine).runOf(id)
	v := bind.BindGetParameter(info, 0)
	slot := int(bind.GetInt64(v))
	bind.DestroyValue(&v)
	if r == nil || slot < 0 || slot >= len(r.statement.Tables) {
		bind.BindSetError(info, "unknown scan")
		return
	}
	b := &boundScan{run: r, slot: slot, shape: r.statement.Tables[slot]}
	for _, c := range b.shape.Columns {
		t := logicalType(c.Type)
		bind.BindAddResultColumn(info, c.Name, t)
		bind.DestroyLogicalType(&t)
	}
	if b.shape.Rows > 0 {
		bind.BindSetCardinality(info, bind.IdxT(b.shape.Rows), false)
	}
	bind.BindSetBindData(info, newRef(b), C.nd_free())
}

func logicalType(t frame.Type) bind.LogicalType {
	if t.List {
		t.List = false
		element := logicalType(t)
		defer bind.DestroyLogicalType(&element)
		return bind.CreateListType(element)
	}
	switch t.Kind {
	case frame.Decimal:
		return bind.CreateDecimalType(t.Width, t.Scale)
	case frame.JSON:
		lt := bind.CreateLogicalType(bind.TypeVarchar)
		bind.LogicalTypeSetAlias(lt, "JSON")
		return lt
	default:
	}
	return bind.CreateLogicalType(map[frame.Kind]bind.Type{
		frame.Bool: bind.TypeBoolean, frame.Int16: bind.TypeSmallInt, frame.Int32: bind.TypeInteger,
		frame.Int64: bind.TypeBigInt, frame.Float32: bind.TypeFloat, frame.Float64: bind.TypeDouble,
		frame.Text: bind.TypeVarchar, frame.Bytes: bind.TypeBlob, frame.UUID: bind.TypeUUID,
		frame.Date: bind.TypeDate, frame.Timestamp: bind.TypeTimestamp, frame.TimestampTZ: bind.TypeTimestampTZ,
		frame.Time: bind.TypeTime, frame.TimeTZ: bind.TypeTimeTZ, frame.Interval: bind.TypeInterval,
	}[t.Kind])
}

//export ndScanInit
func ndScanInit(p unsafe.Pointer) {
	info := bind.InitInfo{Ptr: p}
	defer func() {
		if r := recover(); r != nil {
			bind.InitSetError(info, fmt.Sprint("panic: ", r))
		}
	}()
	b := refValue(bind.InitGetBindData(info)).(*boundScan)
	s := &scan{run: b.run}
	n := int(bind.InitGetColumnCount(info))
	s.project = make([]int, n) // index of the fetched column, -1: none
	var wanted []uint32
	for i := range n {
		c := uint64(bind.InitGetColumnIndex(info, bind.IdxT(i)))
		if c >= uint64(len(b.shape.Columns)) {
			s.project[i] = -1 // a virtual column: only the number of rows matters
			continue
		}
		s.project[i] = len(wanted)
		wanted = append(wanted, uint32(c))
		s.types = append(s.types, b.shape.Columns[c].Type)
	}
	if err := b.run.openScan(s, b.slot, wanted); err != nil {
		bind.InitSetError(info, err.Error())
		return
	}
	bind.InitSetInitData(info, newRef(s), C.nd_free())
	threads := b.run.engine.threads
	if b.shape.InOrder {
		threads = 1
	}
	bind.InitSetMaxThreads(info, bind.IdxT(threads))
}

//export ndScanFill
func ndScanFill(ip, op unsafe.Pointer) {
	info := bind.FunctionInfo{Ptr: ip}
	defer func() {
		if r := recover(); r != nil {
			scanError(ip, fmt.Sprint("panic: ", r))
		}
	}()
	s := refValue(bind.FunctionGetInitData(info)).(*scan)
	out := bind.DataChunk{Ptr: op}
	batch, err := s.next()
	switch {
	case err != nil:
		scanError(ip, err.Error())
		return
	case batch == nil:
		bind.DataChunkSetSize(out, 0)
		return
	}
	for i, c := range s.project {
		if c < 0 {
			continue
		}
		vec := bind.DataChunkGetVector(out, bind.IdxT(i))
		if !fill(vec.Ptr, batch.Rows(), &batch.Columns[c]) {
			scanError(ip, "Out of Memory Error: a row does not fit")
			return
		}
	}
	bind.DataChunkSetSize(out, bind.IdxT(batch.Rows()))
}

func fill(vec unsafe.Pointer, rows int, c *frame.Column) bool {
	if c.Type.List {
		return fillList(vec, rows, c)
	}
	data, ends, valid := c.Raw()
	var endsPtr *C.uint32_t
	if ends != nil {
		endsPtr = (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(ends)))
	}
	return C.nd_fill(vec, C.uint64_t(rows), (*C.char)(unsafe.Pointer(unsafe.SliceData(data))), C.uint64_t(c.Type.Size()),
		endsPtr, (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(valid)))) == 0
}

// fillList fills a column of lists.
func fillList(vec unsafe.Pointer, rows int, c *frame.Column) bool {
	_, _, valid := c.Raw()
	elements, ends, err := listElements(c, rows)
	if err != nil {
		return false
	}
	child := C.nd_list(vec, C.uint64_t(rows), (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(ends))), C.uint64_t(elements.Rows()),
		(*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(valid))))
	return child != nil && fill(child, elements.Rows(), &elements.Columns[0])
}

func scanError(info unsafe.Pointer, message string) {
	m := C.CString(message)
	C.nd_function_error(info, m)
	C.free(unsafe.Pointer(m))
}
