package datum

import (
	"encoding/hex"
	"testing"
)

func TestRecords(t *testing.T) {
	name := func(s string) Datum { return MakeString(Text, s) }
	inner := MakeRecord(70000, []Datum{MakeInt(Int4, 2), name("a,b")})
	for _, c := range []struct {
		fields []Datum
		want   string
	}{
		{nil, `()`},
		{[]Datum{MakeNull(Text)}, `()`},
		{[]Datum{name(""), MakeNull(Int4), name("null")}, `("",,null)`},
		{[]Datum{name(`a"b`), name(`\`), name("{}"), name(" "), name("a;b")}, `("a""b","\\",{}," ",a;b)`},
		{[]Datum{name("("), name(")"), name("a\nb"), MakeBool(true)}, "(\"(\",\")\",\"a\nb\",t)"},
		{[]Datum{MakeInt(Int4, 1), inner}, `(1,"(2,""a,b"")")`},
	} {
		if got := MakeRecord(0, c.fields).Text(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	const want = "00000003" + "00000017" + "00000004" + "00000001" + // three fields, of which the first is an int4
		"000002c1" + "ffffffff" + // of no type, and null
		"00011170" + "0000001b" + "00000002" + "00000017" + "00000004" + "00000002" + "00000019" + "00000003" + "612c62"
	d := MakeRecord(0, []Datum{MakeInt(Int4, 1), MakeNull(Unknown), inner})
	if got := hex.EncodeToString(AppendBinary(nil, d)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
