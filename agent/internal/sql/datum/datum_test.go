package datum

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func mustParse(t testing.TB, typ Type, s string) Datum {
	t.Helper()
	d, err := ParseText(typ, s, nil)
	if err != nil {
		t.Fatalf("ParseText(%s, %q): %v", typ, s, err)
	}
	return d
}

func TestTextForms(t *testing.T) {
	for _, c := range []struct {
		typ      Type
		in, want string
	}{
		{Bool, "TRUE", "t"}, {Bool, " off ", "f"}, {Bool, "y", "t"},
		{Int2, " -7", "-7"}, {Int8, "-9223372036854775808", "-9223372036854775808"}, {Int4, "007", "7"},
		{Float8, "1e15", "1e+15"}, {Float8, "123456789012345", "123456789012345"}, {Float8, "0.0001", "0.0001"},
		{Float8, "0.00001", "1e-05"}, {Float8, "nan", "NaN"}, {Float8, "-inf", "-Infinity"}, {Float4, "1000000", "1e+06"}, {Float4, "1.1", "1.1"},
		{Float8, "-0", "-0"},
		{Numeric, "1.50", "1.50"}, {Numeric, "1e3", "1000"}, {Numeric, "-0.00", "0.00"}, {Numeric, "12345678901234567890123456789012345678901234567890.5", "12345678901234567890123456789012345678901234567890.5"},
		{Numeric, "NaN", "NaN"}, {Numeric, ".5", "0.5"}, {Numeric, "5.", "5"}, {Numeric, "1.5e-3", "0.0015"},
		{Text, "héllo", "héllo"}, {Varchar, "", ""}, {Bpchar, "ab  ", "ab  "}, {Char, "xyz", "x"}, {Char, "", ""}, {Name, strings.Repeat("ä", 32), strings.Repeat("ä", 31)},
		{Bytea, `\xDEADbeef`, `\xdeadbeef`}, {Bytea, `a\\b\001`, `\x615c6201`},
		{UUID, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{Date, "2024-02-29", "2024-02-29"}, {Date, "0044-03-15 BC", "0044-03-15 BC"}, {Date, "infinity", "infinity"}, {Date, "20240229", "2024-02-29"}, {Date, "1969-12-31", "1969-12-31"},
		{Date, "2024-02-29 13:00:00+02", "2024-02-29"}, {Date, "99999-01-01", "99999-01-01"},
		{Timestamp, "2024-02-29T13:14:15.123456Z", "2024-02-29 13:14:15.123456"}, {Timestamp, "2024-02-29", "2024-02-29 00:00:00"},
		{Timestamp, "1969-12-31 23:59:59.5", "1969-12-31 23:59:59.5"}, {Timestamp, "2024-01-01 24:00", "2024-01-02 00:00:00"},
		{Timestamptz, "2024-02-29 13:14:15+02", "2024-02-29 11:14:15+00"}, {Timestamptz, "2024-07-01 12:00 Europe/Berlin", "2024-07-01 10:00:00+00"},
		{Timestamptz, "2024-07-01 12:00-0530", "2024-07-01 17:30:00+00"}, {Timestamptz, "epoch", "1970-01-01 00:00:00+00"},
		{JSONB, `{"bb":1,"a":[1.0,1e3,"x\n\u00e9"],"a":{"z":null,"y":true}}`, `{"a": {"y": true, "z": null}, "bb": 1}`},
		{JSONB, ` [1 , 2.50,"\/"] `, `[1, 2.50, "/"]`},
		{Time, "13:14", "13:14:00"},
		{Interval, "1 year 2 mons -3 days 04:05:06.7", "1 year 2 mons -3 days +04:05:06.7"}, {Interval, "90 minutes", "01:30:00"}, {Interval, "1.5 days", "1 day 12:00:00"},
		{Interval, "2h ago", "-02:00:00"}, {Interval, "P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"}, {Interval, "P1W", "7 days"}, {Interval, "1-2", "1 year 2 mons"},
		{Interval, "-1-2 +3 -4:05:06", "-1 years -2 mons +3 days -04:05:06"}, {Interval, "2562047788:00:54.775807", "2562047788:00:54.775807"}, {Interval, "1 century 2 millennia", "2100 years"},
		{Interval, "-0:00:00.000001", "-00:00:00.000001"}, {Interval, "P-1DT-2H", "-1 days -02:00:00"},
		{Time, "24:00", "24:00:00"}, {Time, "01:02:03.456789 PM", "13:02:03.456789"}, {Time, "2024-02-29 04:05:06+02", "04:05:06"}, {Time, "12:00 am", "00:00:00"},
		{Timetz, "04:05:06.7+05:30", "04:05:06.7+05:30"}, {Timetz, "04:05-08", "04:05:00-08"},
		{Inet, "192.168.0.1/24", "192.168.0.1/24"}, {Inet, "010.1.1.1", "10.1.1.1"}, {Inet, "1.2.3.4/32", "1.2.3.4"}, {Inet, "10.1/16", "10.1.0.0/16"}, {Inet, "::ffff:1.2.3.4", "::ffff:1.2.3.4"},
		{Inet, "::1.2.3.4", "::1.2.3.4"}, {Inet, "2001:DB8::1/64", "2001:db8::1/64"}, {Inet, "1:0:0:2:0:0:0:3", "1:0:0:2::3"}, {Inet, "::1", "::1"}, {Inet, "::/0", "::/0"},
		{Cidr, "10.1", "10.1.0.0/16"}, {Cidr, "192.168", "192.168.0.0/24"}, {Cidr, "128", "128.0.0.0/16"}, {Cidr, "10", "10.0.0.0/8"}, {Cidr, "224", "224.0.0.0/4"}, {Cidr, "224.1", "224.1.0.0/16"},
		{Cidr, "240.1", "240.1.0.0/32"}, {Cidr, "::1/128", "::1/128"}, {Cidr, "10/8", "10.0.0.0/8"}, {Inet | Array, "{10.0.0.1,::1/64}", "{10.0.0.1,::1/64}"},
		{Bit, "b0101", "0101"}, {Varbit, "x1F", "00011111"}, {Varbit, "", ""}, {Bit, "111111111", "111111111"}, {Timetz, "23:59:59z", "23:59:59+00"}, {Timetz, "2024-07-01 12:00 Europe/Berlin", "12:00:00+02"},
		{JSON, ` {"b":1,  "a": [1.0]} `, ` {"b":1,  "a": [1.0]} `}, {OID, "4294967295", "4294967295"}, {Interval, "0", "00:00:00"},
		{Int4 | Array, "{1,NULL,3}", "{1,NULL,3}"}, {Text | Array, `{a,"b c","d\"e",""}`, `{a,"b c","d\"e",""}`}, {Int8 | Array, "{}", "{}"},
		{Int4 | Array, " [1:2]={ 7 , 8 } ", "{7,8}"}, {Text | Array, `{"NULL",nUlL,a b,"{}"}`, `{"NULL",NULL,"a b","{}"}`}, {Bool | Array, "{true,f}", "{t,f}"},
		{Numeric | Array, "{1.50,NaN,-Infinity}", "{1.50,NaN,-Infinity}"}, {Bytea | Array, `{"\\x00ff",""}`, `{"\\x00ff","\\x"}`},
		{Int4 | Array, "{{1,2},{3,NULL}}", "{{1,2},{3,NULL}}"}, {Text | Array, ` [0:1] [-1:0] = { {"a b", "null"} ,{ c\,d , null}}`, `[0:1][-1:0]={{"a b","null"},{"c,d",NULL}}`},
		{Int4 | Array, "[0:1]={1,2}", "[0:1]={1,2}"}, {Int4 | Array, "[2]={1,2}", "{1,2}"}, {Float8 | Array, "[1:1][-2:-1]={{1,2}}", "[1:1][-2:-1]={{1,2}}"}, {Int4 | Array, "{{{1},{2}}}", "{{{1},{2}}}"},
		{Timestamptz | Array, `{"2024-02-29 13:14:15+02",infinity}`, `{"2024-02-29 11:14:15+00",infinity}`},
		{JSONB | Array, `{"{\"b\":1}","[]"}`, `{"{\"b\": 1}",[]}`}, {UUID | Array, "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"},
	} {
		d := mustParse(t, c.typ, c.in)
		got := d.Text()
		if got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.typ, c.in, got, c.want)
		}
		if again := mustParse(t, c.typ, got); again.Text() != got {
			t.Errorf("%s %q: text does not round-trip: %q", c.typ, got, again.Text())
		}
		b := AppendBinary(nil, d)
		back, err := ParseBinary(c.typ, b)
		if err != nil || back.Text() != got {
			t.Errorf("%s %q: binary % x gives %q, %v", c.typ, got, b, back.Text(), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		typ      Type
		in, code string
	}{
		{Int4, "abc", "22P02"}, {Int4, "2147483648", "22003"}, {Int2, "99999999999999999999", "22003"}, {Int4, "", "22P02"}, {Int4, "1.5", "22P02"},
		{Bool, "maybe", "22P02"}, {Float8, "1e999", "22003"}, {Float8, "1e-999", "22003"}, {Float8, "0x10", "22P02"}, {Numeric, "1..2", "22P02"}, {Numeric, "e5", "22P02"},
		{Bytea, `\xabc`, "22P02"}, {Bytea, `\9`, "22P02"}, {UUID, "a0ee", "22P02"}, {UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "22P02"},
		{Date, "2023-02-29", "22008"}, {Date, "0000-01-01", "22008"}, {Date, "x", "22007"}, {Timestamp, "2023-01-01 25:00", "22008"}, {Timestamptz, "2023-01-01 00:00 Mars/X", "22023"},
		{JSONB, `{"a":}`, "22P02"}, {JSONB, `1 2`, "22P02"}, {JSONB, `"\u0000"`, "22P05"}, {JSONB, `"\ud83d"`, "22P02"}, {JSONB, `"\ud83dx"`, "22P02"}, {JSONB, `{"\ude00": 1}`, "22P02"}, {Int4, "0x1f", "22P02"}, {Int8, "1_000", "22P02"}, {Text, "a\x00b", "22021"}, {Text, "\xff", "22021"}, {Char, "ä", "22021"},
		{Time, "25:00", "22008"}, {Inet, "192.168.1", "22P02"}, {Inet, "1.2.3.4/33", "22P02"}, {Inet, "1.2.3.4/", "22P02"}, {Inet, "::1%eth0", "22P02"}, {Inet, " 1.2.3.4", "22P02"}, {Inet, "1.2.3.256", "22P02"},
		{Inet, "1.2.3.4.5", "22P02"}, {Cidr, "10.1.2.3/8", "22P02"}, {Cidr, "1:2::/16", "22P02"}, {Cidr, "", "22P02"}, {Bit, "12", "22P02"}, {Bit, "xg", "22P02"}, {Bit, "x\x10", "22P02"}, {Time, "x", "22007"}, {Timetz, "2024-01-01", "22007"}, {Interval, "P", "22007"}, {Interval, "P1H", "22007"}, {Interval, "1:2:3:4", "22007"},
		{Time, "13:00 PM", "22008"}, {JSON, "{", "22P02"}, {Interval, "2562047788:00:54.775808", "22015"}, {Int4 | Array, "{1,2", "22P02"}, {Int4 | Array, "{1,,2}", "22P02"},
		{Int4 | Array, "{{1,2},{3}}", "22P02"}, {Int4 | Array, "{{1,2}", "22P02"}, {Int4 | Array, "{{},{}}", "22P02"}, {Int4 | Array, "[2:1]={}", "2202E"}, {Int4 | Array, "{{1},2}", "22P02"},
		{Int4 | Array, "{{{{{{{1}}}}}}}", "54000"}, {Int4 | Array, "{{{1}},{2}}", "0A000"}, {Int4 | Array, "[2147483647:2147483647]={1}", "54000"}, {Int4 | Array, "[1:3]={1,2}", "22P02"},
		{Int4 | Array, "[1:2]{1,2}", "22P02"}, {Int4 | Array, "{1,x}", "22P02"}, {Text | Array, `{"a"b}`, "22P02"}, {Int4 | Array, "{1,2}x", "22P02"},
	} {
		d, err := ParseText(c.typ, c.in, nil)
		e, ok := err.(*Error)
		if !ok || e.Code != c.code {
			t.Errorf("%s %q: got %v, %v, want code %s", c.typ, c.in, d.Text(), err, c.code)
		}
	}
}

func TestTimeZones(t *testing.T) {
	berlin, err := LoadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseText(Timestamptz, "2024-07-01 12:00", berlin)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(AppendText(nil, d, berlin)); got != "2024-07-01 12:00:00+02" {
		t.Errorf("got %s", got)
	}
	if got := d.Time(); !got.Equal(time.Date(2024, 7, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("got %s", got)
	}
	if back := FromTime(d.Time()); back.I != d.I {
		t.Errorf("FromTime: got %d, want %d", back.I, d.I)
	}
	kathmandu, _ := LoadZone("Asia/Kathmandu")
	if got := string(AppendText(nil, d, kathmandu)); got != "2024-07-01 15:45:00+05:45" {
		t.Errorf("got %s", got)
	}
}

func TestModifiers(t *testing.T) {
	numeric := int32(5<<16|2) + 4
	for _, c := range []struct {
		typ      Type
		modifier int32
		in, want string
		explicit bool
	}{
		{Numeric, numeric, "1.005", "1.01", false}, {Numeric, numeric, "-1.005", "-1.01", false}, {Numeric, numeric, "7", "7.00", false}, {Numeric, numeric, "999.994", "999.99", false},
		{Numeric, numeric, "999.995", "22003", false}, {Numeric, numeric, "1000", "22003", false}, {Numeric, numeric, "0", "0.00", false},
		{Varchar, 7, "abc", "abc", false}, {Varchar, 7, "abcd", "22001", false}, {Varchar, 7, "abc  ", "abc", false}, {Varchar, 7, "äöüß", "äöü", true},
		{Bpchar, 7, "ä", "ä  ", false}, {Bpchar, 7, "abc  ", "abc", false}, {Bpchar, 7, "abcd", "22001", false}, {Bpchar, 7, "abcd", "abc", true}, {Bpchar, -1, "a ", "a ", false},
		{Bit, 3, "101", "101", false}, {Bit, 3, "10", "22026", false}, {Bit, 3, "10", "100", true}, {Bit, 2, "101", "10", true}, {Varbit, 3, "1", "1", false}, {Varbit, 3, "1011", "22001", false},
		{Time, 2, "01:02:03.456", "01:02:03.46", false}, {Timetz, 0, "01:02:03.5+02", "01:02:04+02", false}, {Timestamp, 0, "2024-01-01 00:00:00.5", "2024-01-01 00:00:01", false},
		{Interval, 1<<10<<16 | 0xffff, "1 day 02:03:04", "1 day 02:00:00", false}, {Interval, 0x7fff<<16 | 1, "00:00:01.25", "00:00:01.3", false},
		{Interval, 1<<2<<16 | 0xffff, "14 months 3 days", "1 year", false},
	} {
		var got string
		if d, err := ApplyModifier(mustParse(t, c.typ, c.in), c.modifier, c.explicit); err != nil {
			got = err.(*Error).Code
		} else {
			got = d.Text()
		}
		if got != c.want {
			t.Errorf("%s(%d) %q: got %q, want %q", c.typ, c.modifier, c.in, got, c.want)
		}
	}
}

// ordered lists values of each type in ascending order.
func ordered(t testing.TB) map[Type][]Datum {
	texts := map[Type][]string{
		Bool: {"f", "t"}, Int8: {"-9223372036854775808", "-1", "0", "1", "255", "256", "9223372036854775807"},
		Int4: {"-2147483648", "0", "7"}, Float8: {"-Infinity", "-1e300", "-1", "-1e-300", "0", "1e-300", "1", "1.5", "1e300", "Infinity", "NaN"},
		Float4:  {"-1.5", "0", "3.25"},
		Numeric: {"-Infinity", "-1000", "-12.5", "-12", "-1.01", "-1", "-0.1", "-0.01", "0", "0.001", "0.0101", "0.1", "1", "1.01", "9", "10", "12", "12.5", "100", "1e100", "Infinity", "NaN"},
		Text:    {"", "a", "a\x01", "aa", "ab", "b", "ä"}, Date: {"-infinity", "0044-03-15 BC", "1999-12-31", "2000-01-01", "infinity"},
		UUID:        {"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		Timestamptz: {"1999-12-31", "2000-01-01", "2024-01-01"}, JSONB: {"1", "2"},
		Inet: {"1.2.3.4", "9.255.0.0/16", "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/16", "10.0.0.0", "10.128.0.0/9", "::/0", "::1"}, Cidr: {"10.0.0.0/8", "10.0.0.0/16", "2001:db8::/32"},
		Bit: {"0", "00", "0011", "01", "010", "1", "10"}, Varbit: {"", "0", "1"},
		Time: {"00:00", "00:00:00.000001", "24:00"}, OID: {"0", "4294967295"},
		Timetz:   {"00:00+15:59:59", "12:00+02", "12:00+01", "11:00+00", "12:00:00.000001+01", "24:00-15:59:59"},
		Interval: {"-178000000 years", "-1 mon -1 day", "-30 days -00:00:00.000001", "-1 mon", "-1 day", "-00:00:00.000001", "0", "00:00:00.000001", "23:59:59", "1 day", "1 mon", "1 mon 00:00:01", "31 days", "2562047788:00:54.775807", "178000000 years"},
		Bpchar:   {"", "a", "a\x01", "a b", "b"}, Char: {"", "1", "a"}, Name: {"", "a", "b"},
		Int4 | Array: {"{}", "{-5}", "[-3:-2]={-5,1}", "[0:1]={-5,1}", "{-5,1}", "[2:3]={-5,1}", "{{-5,1}}", "[1:1][2:3]={{-5,1}}", "{{-5},{1}}", "{{{-5,1}}}", "{-5,1,0}", "{-5,NULL}", "{0}", "{0,0}", "{NULL}", "{NULL,1}"}, Text | Array: {"{}", `{""}`, `{"","b"}`, "{a}", "{a,a}", "{a\x01}", "{aa}", "{NULL}"},
		Numeric | Array: {"{-1.01}", "{-1}", "{0}", "{0,0}", "{0.001}", "{NaN}"}, Bool | Array: {"{f}", "{f,f}", "{f,t}", "{t}"},
	}
	out := map[Type][]Datum{Bytea: {MakeString(Bytea, ""), MakeString(Bytea, "\x00"), MakeString(Bytea, "\x00\x00"), MakeString(Bytea, "\x00\x01"), MakeString(Bytea, "\x01"), MakeString(Bytea, "\xff")}}
	for typ, ss := range texts {
		for _, s := range ss {
			out[typ] = append(out[typ], mustParse(t, typ, s))
		}
	}
	return out
}

func TestKeyOrder(t *testing.T) {
	for typ, values := range ordered(t) {
		values = append(values, MakeNull(typ))
		var last []byte
		for i, v := range values {
			k, err := AppendKey(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && bytes.Compare(last, k) >= 0 {
				t.Errorf("%s: key of %q is not after that of %q", typ, v.Text(), values[i-1].Text())
			}
			if i > 0 && (Compare(values[i-1], v) >= 0 || bytes.HasPrefix(k, last)) {
				t.Errorf("%s: %q, %q: wrong order or prefix", typ, values[i-1].Text(), v.Text())
			}
			d, rest, err := DecodeKey(typ, append(k[:len(k):len(k)], 9))
			if err != nil || len(rest) != 1 || d.Null != v.Null || !v.Null && Compare(d, v) != 0 || KeyExact(typ) && d.Text() != v.Text() {
				t.Errorf("%s %q: decoded %q, rest % x, %v", typ, v.Text(), d.Text(), rest, err)
			}
			last = k
		}
	}
}

func TestKeyOfEqualNumerics(t *testing.T) {
	a, _ := EncodeKey(mustParse(t, Numeric, "1.50"))
	b, _ := EncodeKey(mustParse(t, Numeric, "1.5"))
	c, _ := EncodeKey(mustParse(t, Float8, "-0"))
	d, _ := EncodeKey(mustParse(t, Float8, "0"))
	if !bytes.Equal(a, b) || !bytes.Equal(c, d) {
		t.Error("equal values have different keys")
	}
}

func TestRow(t *testing.T) {
	var ids []cluster.ColumnID
	var values []Datum
	var want []RowColumn
	id := cluster.ColumnID(0)
	for typ, some := range ordered(t) {
		for _, v := range append(some, MakeNull(typ)) {
			id += 3
			ids, values = append(ids, id), append(values, v)
			want = append(want, RowColumn{ID: id, Type: typ, Index: len(want)})
		}
	}
	row := AppendRow(nil, ids, values)
	out := make([]Datum, len(values))
	if err := DecodeRow(row, want, out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Null != values[i].Null || out[i].Type != values[i].Type || out[i].Text() != values[i].Text() {
			t.Errorf("column %d: got %v, want %v", ids[i], out[i], values[i])
		}
	}
	// Columns that are not there keep what the caller put in.
	some := []Datum{MakeText("default"), {}}
	if err := DecodeRow(row, []RowColumn{{ID: 1, Type: Text, Index: 0}, {ID: want[0].ID, Type: want[0].Type, Index: 1}}, some); err != nil {
		t.Fatal(err)
	}
	if some[0].S != "default" || some[1].Text() != values[0].Text() {
		t.Errorf("got %v", some)
	}
}

func TestTypeNames(t *testing.T) {
	for _, typ := range Types() {
		for _, x := range []Type{typ, typ | Array} {
			if x == NodeTree|Array || x == AnyArray|Array {
				continue
			}
			if got, ok := TypeByName(x.String()); !ok || got != x {
				t.Errorf("TypeByName(%s) = %s", x, got)
			}
			if got, ok := TypeByOID(x.OID()); !ok || got != x {
				t.Errorf("TypeByOID(%d) = %s, want %s", x.OID(), got, x)
			}
		}
	}
}

func FuzzDecodeKey(f *testing.F) {
	for typ, values := range ordered(f) {
		for _, v := range values {
			k, _ := AppendKey(nil, v)
			f.Add(uint8(typ), k)
		}
	}
	f.Fuzz(func(t *testing.T, typ uint8, b []byte) {
		d, rest, err := DecodeKey(Type(typ), b)
		if err != nil {
			return
		}
		k, err := AppendKey(nil, d)
		if err != nil {
			t.Fatal(err)
		}
		if used := b[:len(b)-len(rest)]; !bytes.Equal(k, used) && !(Type(typ).IsFloat() && math.IsNaN(d.F)) {
			t.Fatalf("%s: % x decodes to %q, whose key is % x", Type(typ), used, d.Text(), k)
		}
	})
}

func FuzzDecodeRow(f *testing.F) {
	for typ, values := range ordered(f) {
		for _, v := range values {
			f.Add(uint8(typ), AppendRow(nil, []cluster.ColumnID{1, 4}, []Datum{v, MakeNull(typ)}))
		}
	}
	f.Fuzz(func(t *testing.T, typ uint8, b []byte) {
		if t := Type(typ); !t.Storable() {
			return
		}
		out := []Datum{MakeNull(Type(typ)), MakeNull(Type(typ))}
		if err := DecodeRow(b, []RowColumn{{1, Type(typ), 0}, {4, Type(typ), 1}}, out); err != nil {
			return
		}
		again := AppendRow(nil, []cluster.ColumnID{1, 4}, out)
		back := make([]Datum, 2)
		if err := DecodeRow(again, []RowColumn{{1, Type(typ), 0}, {4, Type(typ), 1}}, back); err != nil {
			t.Fatal(err)
		}
		if Compare(out[0], back[0]) != 0 || Compare(out[1], back[1]) != 0 {
			t.Fatalf("got %v, want %v", back, out)
		}
	})
}

// unresolved reports whether d is the name of an object that nobody has looked up, or has one.
func unresolved(d Datum) bool {
	if d.Type.IsArray() {
		return slices.ContainsFunc(d.A.Values, unresolved)
	}
	return d.Type.IsRegistry() && d.I == NoObject
}

func FuzzParse(f *testing.F) {
	for typ, values := range ordered(f) {
		for _, v := range values {
			f.Add(uint8(typ), v.Text(), false)
			f.Add(uint8(typ), string(AppendBinary(nil, v)), true)
		}
	}
	f.Add(uint8(Int4|Array), "{1,2}", false)
	f.Add(uint8(Interval), "1 day 02:00", false)
	f.Fuzz(func(t *testing.T, typ uint8, s string, isBinary bool) {
		if e := Type(typ).Elem(); e > lastType || e == Enum || e == Unknown && Type(typ).IsArray() {
			return
		}
		format := FormatText
		if isBinary {
			format = FormatBinary
		}
		d, err := Decode(Type(typ), []byte(s), format, nil)
		if err != nil || d.Null {
			return
		}
		text := d.Text()
		back, err := ParseText(Type(typ), text, nil)
		if err != nil || back.Text() != text {
			t.Fatalf("%s %q (%q): text reads back as %q, %v", Type(typ), clip(s), clip(text), clip(back.Text()), err)
		}
		if unresolved(d) {
			return // the catalogs give it its number before it is shown in binary
		}
		b := AppendBinary(nil, d)
		if back, err = ParseBinary(Type(typ), b); err != nil || back.Text() != text {
			t.Fatalf("%s %q (%q): binary reads back as %q, %v", Type(typ), clip(s), clip(text), clip(back.Text()), err)
		}
	})
}
