package datum

import (
	"errors"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func addressType() Type {
	return TypeOfComposite(CompositeType{ID: 1, OID: 20000, ArrayOID: 20001, Name: "addr", Next: 4, Fields: []Field{
		{ID: 2, Name: "street", Type: Text, Modifier: -1}, {ID: 1, Name: "n", Type: Int4, Modifier: -1}, {ID: 3, Name: "tags", Type: Text | Array, Modifier: -1}}})
}

// TestCompositeForms: a value is the same through its text, its binary form, rows and the
// engine's bytes, and these have the order of values.
func TestCompositeForms(t *testing.T) {
	typ := addressType()
	texts := []string{`("",,)`, `("a ""b""\\",-1,)`, `("a ""b""\\",2,"{x,""y z""}")`, `(b,,{})`, `(,1,)`}
	var keys []string
	for _, s := range texts {
		v, err := ParseText(typ, s, nil)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if got := v.Text(); got != s {
			t.Errorf("%s is written as %s", s, got)
		}
		again, err := ParseBinary(typ, AppendBinary(nil, v))
		if err != nil || Compare(v, again) != 0 {
			t.Errorf("%s in binary: %v, %v", s, again.Text(), err)
		}
		if again, err = DecodeStored(typ, EncodeStored(v)); err != nil || again.Text() != s {
			t.Errorf("%s in a row: %v, %v", s, again.Text(), err)
		}
		if again, err = CompositeOfKey(typ, CompositeKey(v)); err != nil || again.Text() != s {
			t.Errorf("%s for the engine: %v, %v", s, again.Text(), err)
		}
		keys = append(keys, CompositeKey(v))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("the keys of %v are in another order", texts)
	}
}

// TestCompositeOfOthers: attributes that were added read as null, those that were dropped as
// nothing, and one that the reader has not heard of is an error that a retry mends.
func TestCompositeOfOthers(t *testing.T) {
	typ := addressType()
	v, err := ParseText(typ, `(s,7,{a})`, nil)
	if err != nil {
		t.Fatal(err)
	}
	later := TypeOfComposite(CompositeType{ID: 1, Name: "addr", Next: 5, Fields: []Field{{ID: 1, Name: "n", Type: Int4, Modifier: -1}, {ID: 4, Name: "more", Type: Bool, Modifier: -1}}})
	stored := EncodeStored(v)
	got, err := DecodeStored(later, stored)
	if err != nil || got.Text() != "(7,)" {
		t.Errorf("an earlier value reads as %s, %v", got.Text(), err)
	}
	of, err := ParseText(later, "(1,t)", nil)
	if err != nil {
		t.Fatal(err)
	}
	row := AppendRow(nil, []cluster.ColumnID{1}, []Datum{of})
	out := []Datum{MakeNull(typ)}
	err = DecodeRow(row, []RowColumn{{ID: 1, Type: typ}}, out)
	var wrong *Error
	if !errors.As(err, &wrong) || wrong.Code != "40001" {
		t.Errorf("a value with an attribute of later: %v", err)
	}
}

// TestCompositeLiterals: what is no row is PostgreSQL's error.
func TestCompositeLiterals(t *testing.T) {
	for s, want := range map[string]string{"a,b,c)": "Missing left parenthesis.", "(a,1)": "Too few columns.", "(a,1,{},4)": "Too many columns.", "(a,1,{})x": "Junk after right parenthesis.", `("a`: "Unexpected end of input."} {
		_, err := ParseText(addressType(), s, nil)
		var wrong *Error
		if !errors.As(err, &wrong) || wrong.Code != "22P02" || wrong.Detail != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestWrittenForms: another process makes the same values of a form.
func TestWrittenForms(t *testing.T) {
	typ := addressType()
	again, err := ReadForm(WriteForm(typ))
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseText(typ, `(s,7,{a})`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := CompositeOfKey(again, CompositeKey(v)); err != nil || got.Text() != v.Text() {
		t.Errorf("%s is %s, %v", v.Text(), got.Text(), err)
	}
	if _, err := ReadForm(`{"fields":[{"type":"nothing"}]}`); err == nil {
		t.Error("a form of an unknown type is read")
	}
}
