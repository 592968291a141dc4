package datum

import (
	"encoding/hex"
	"math"
	"testing"
)

// Wrong binary values are told as by PostgreSQL.
func TestWrongBinaryValues(t *testing.T) {
	const short, surplus = "08P01 insufficient data left in message", "22P03 incorrect binary data format"
	for _, c := range []struct {
		t          Type
		raw, wrong string
	}{
		{Int4, "0000", short}, {Int4, "0000000100", surplus}, {Bool, "", "08P01 no data left in message"}, {UUID, "00", short},
		{Numeric, "0001", short}, {Numeric, "0001000000000000", short}, {Numeric, "0000000000000000ff", surplus},
		{Numeric, "0000000012340000", `22P03 invalid sign in external "numeric" value`},
		{Numeric, "000000000000ffff", `22P03 invalid scale in external "numeric" value`},
		{Numeric, "00010000000000002711", `22P03 invalid digit in external "numeric" value`},
		{Inet, "", "08P01 no data left in message"}, {Inet, "09", `22P03 invalid address family in external "inet" value`},
		{Inet, "0221", `22P03 invalid bits in external "inet" value`}, {Inet, "02200010", `22P03 invalid length in external "inet" value`},
		{Cidr, "020801040a000001", `22P03 invalid external "cidr" value`}, {Inet, "022000040a00000100", surplus},
		{Varbit, "ffffffff", "22P03 invalid length in external bit string"}, {Varbit, "00000004", short}, {Varbit, "00000004a000", surplus},
		{Int4 | Array, "ffffffff", "22P03 invalid number of dimensions: -1"}, {Int4 | Array, "0000000100000002", "22P03 invalid array flags"},
		{Int4 | Array, "000000000000000000000014", "42804 binary data has array element type 20 (bigint) instead of expected 23 (integer)"},
		{Int4 | Array, "0000000100000000000000170000000100000001", short},
		{Int4 | Array, "000000010000000000000017000000010000000100000004", "22P03 insufficient data left in message"},
		{Int4 | Array, "00000001000000000000001700000001000000010000000500000000ff", "22P03 improper binary format in array element 1"},
		{Int4 | Array, "00000001000000000000999900000001000000010000000400000001", ""}, // a type of users
		{Int4 | Array, "00000001000000000000001700000001000000010000000400000001ff", surplus},
	} {
		raw, _ := hex.DecodeString(c.raw)
		_, err := ParseBinary(c.t, raw)
		got := ""
		if e, ok := err.(*Error); ok {
			got = e.Code + " " + e.Message
		}
		if got != c.wrong {
			t.Errorf("%s of %s: %q, want %q", c.t, c.raw, got, c.wrong)
		}
	}
}

// Infinity and NaN have the bytes that PostgreSQL has.
func TestBinaryOfNoNumbers(t *testing.T) {
	infinity, _ := ParseText(Numeric, "-Infinity", nil)
	for want, d := range map[string]Datum{"00000000f0000020": infinity, "7ff8000000000000": MakeFloat(Float8, math.NaN())} {
		if got := hex.EncodeToString(AppendBinary(nil, d)); got != want {
			t.Errorf("%s: %s, want %s", d.Text(), got, want)
		}
	}
}
