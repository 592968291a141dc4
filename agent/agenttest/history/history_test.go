package history

import (
	"errors"
	"reflect"
	"testing"
)

func TestAHistoryIsKeptAsItWas(t *testing.T) {
	r := NewRecorder()
	a := r.Call(1, "n1", "read", "serializable")
	b := r.Call(2, "n2", "write", "")
	r.Done(b, Unknown, errors.New("the connection was lost"), Step{Do: Write, Key: 3, Arg: 7})
	r.Done(a, OK, nil, Step{Do: Read, Key: 3, Got: 7}, Step{Do: Read, Key: 4, List: []int64{1, 2}})
	r.Call(3, "n3", "write", "") // never answered
	ops := r.Ops()
	if len(ops) != 3 || r.Succeeded() != 1 || ops[1].Return != Never || ops[2].Outcome != Unknown || ops[0].Return <= ops[0].Call {
		t.Fatalf("recorded %+v", ops)
	}
	path, err := Save(t.TempDir(), "some", ops)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, ops) {
		t.Fatalf("read back %+v, %v\nwant %+v", got, err, ops)
	}
}
