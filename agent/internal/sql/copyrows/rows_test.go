package copyrows

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// optionsOf reads the options of a COPY as they are written.
func optionsOf(t *testing.T, direction, options string) *syntax.CopyOptions {
	t.Helper()
	s, err := syntax.Parse("copy t " + direction + " " + options)
	if err != nil {
		t.Fatal(err)
	}
	return &s.Node.(*syntax.Copy).Options //nolint:forcetypeassert // it is a COPY
}

// pieces gives data in pieces of n bytes.
func pieces(data string, n int) func() ([]byte, error) {
	return func() ([]byte, error) {
		if data == "" {
			return nil, io.EOF
		}
		piece := data[:min(n, len(data))]
		data = data[len(piece):]
		return []byte(piece), nil
	}
}

func intAndText() []Column {
	return []Column{{Name: "a", Type: datum.Int4, Modifier: -1}, {Name: "b", Type: datum.Text, Modifier: -1}}
}

// readAll shows what is read of data, however it is cut.
func readAll(t *testing.T, o *syntax.CopyOptions, columns []Column, data string) string {
	t.Helper()
	var first string
	for n := range []int{1, 2, 3, 7, 1 << 20} {
		var out []string
		r := NewReader(o, columns, &datum.Reading{}, pieces(data, n+1))
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				out = append(out, fmt.Sprintf("%v; %s", err, r.Where()))
				break
			}
			var parts []string
			for _, v := range row {
				if v.Null {
					parts = append(parts, "NULL")
				} else {
					parts = append(parts, fmt.Sprintf("%q", v.Text()))
				}
			}
			out = append(out, strings.Join(parts, ","))
		}
		got := strings.Join(out, " / ")
		if n > 0 && got != first {
			t.Fatalf("in pieces of %d: %s, else %s", n+1, got, first)
		}
		first = got
	}
	return first
}

// TestReader: the answers are PostgreSQL's.
func TestReader(t *testing.T) {
	for _, c := range []struct{ options, data, want string }{
		{"", "1\tx\n2\t\\N\n", `"1","x" / "2",NULL`},
		{"", "1\tx\r\n2\ty", `"1","x" / "2","y"`},
		{"", "1\tx\r2\ty\r", `"1","x" / "2","y"`},
		{"", "1\ta\\tb\\\\c\\x41\\101\\q\n", `"1","a\tb\\cAAq"`},
		{"", "1\tx\\\ny\n", `"1","x\ny"`},
		{"", "1\tx\n\\.\nrest", `"1","x"`},
		{"", "1\tx\n2\ty\\.\n3\tz\n", `"1","x" / "2","y"`},
		{"", "1\tx\\.y\n", `end-of-copy marker corrupt; line 1`},
		{"", "1\tx\n2\ty\r\n", `"1","x" / literal carriage return found in data; line 2`},
		{"", "1\tx\r\n2\ty\n", `"1","x" / literal newline found in data; line 2`},
		{"", "1\n", `missing data for column "b"; line 1: "1"`},
		{"", "1\tx\ty\n", `extra data after last expected column; line 1: "1	x	y"`},
		{"", "q\tx\n", `invalid input syntax for type integer: "q"; line 1, column a: "q"`},
		{"", "1\t\xff\n", `invalid byte sequence for encoding "UTF8": 0xff; line 1: "1	?"`},
		{"", "1\t\\xff\n", `invalid byte sequence for encoding "UTF8": 0xff; line 1: "1	\xff"`},
		{"", "1\tx\\", `"1","x"`},
		{"", "1\tx\n2\ty\\\\", `"1","x" / "2","y\\"`},
		{"", "1\t\\", `"1",""`},
		{"null ''", "1\t\\", `"1",NULL`},
		{"", "1\tx\n\\", `"1","x" / invalid input syntax for type integer: ""; line 2, column a: ""`},
		{"", "1\\", `missing data for column "b"; line 1: "1\"`},
		{"", "", ""},
		{"null 'x' delimiter '|'", "1|x\n2|\\N\n3|\\|", `"1",NULL / "2","N" / "3","|"`},
		{"csv", "1,\"a \"\"b\"\", c\nd\"\n2,\n3,\"\"\n", `"1","a \"b\", c\nd" / "2",NULL / "3",""`},
		{"csv", "1,x\n\\.\nrest", `"1","x"`},
		{"csv", "1,\"x", `unterminated CSV quoted field; line 1: "1,"x"`},
		{"csv", "1,x\n2,y\r\n", `"1","x" / unquoted carriage return found in data; line 2`},
		{"csv quote '''' escape '\\'", "1,'it\\'s'\n2,'a\\b'\n", `"1","it's" / "2","a\\b"`},
		{"csv header", "x,y\n1,z\n", `"1","z"`},
		{"(format csv, header match)", "a,b\n1,z\n", `"1","z"`},
		{"(format csv, header match)", "a,c\n1,z\n", `column name mismatch in header line field 2: got "c", expected "b"; line 1: "a,c"`},
		{"(format csv, header match)", "a\n1,z\n", `wrong number of fields in header line: got 1, expected 2; line 1: "a"`},
	} {
		if got := readAll(t, optionsOf(t, "from stdin", c.options), intAndText(), c.data); got != c.want {
			t.Errorf("%s %q\n got: %s\nwant: %s", c.options, c.data, got, c.want)
		}
	}
}

func TestBinaryReader(t *testing.T) {
	const head = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ data, want string }{
		{head + "\x00\x02\x00\x00\x00\x04\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff", `"7",NULL`},
		{head + "\x00\x02\x00\x00\x00\x04\x00\x00\x00\x07\x00\x00\x00\x01x", `"7","x"`},
		{head, ""},
		{"PGCOPX\n\xff\r\n\x00", "COPY file signature not recognized; "},
		{head[:12], "invalid COPY file header (missing flags); "},
		{head + "\x00\x03", "row field count is 3, expected 2; line 1"},
		{head + "\x00\x02\x00\x00\x00\x04\x00", "unexpected EOF in COPY data; line 1, column a"},
		{head + "\xff\xff\x00", "received copy data after EOF marker; line 1"},
		{head + "\x00\x02\xff\xff\xff\xfe", "invalid field size; line 1, column a"},
	} {
		if got := readAll(t, optionsOf(t, "from stdin", "binary"), intAndText(), c.data); got != c.want {
			t.Errorf("%q\n got: %s\nwant: %s", c.data, got, c.want)
		}
	}
}

// TestWhatIsWrittenIsRead: rows of any text come back, in any format.
func TestWhatIsWrittenIsRead(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	columns := intAndText()
	for _, options := range []string{"", "delimiter '|'", "csv", "csv header quote '''' escape '\\' delimiter ';'", "binary"} {
		w := NewWriter(optionsOf(t, "to stdout", options), columns, &datum.Style{Location: time.UTC})
		data, want := w.Begin(nil), ""
		for i := range 200 {
			row := []datum.Datum{datum.MakeInt(datum.Int4, int64(i)), datum.MakeNull(datum.Text)}
			shown := "NULL"
			if random.IntN(5) > 0 {
				const letters = "ab\\.,;|'\"\n\r\t\v\b NÄ€😀x0"
				runes := []rune(letters)
				text := ""
				for range random.IntN(6) {
					text += string(runes[random.IntN(len(runes))])
				}
				row[1], shown = datum.MakeText(text), fmt.Sprintf("%q", text)
			}
			data = w.Row(data, row)
			want += fmt.Sprintf(" / %q,%s", fmt.Sprint(i), shown)
		}
		data = w.End(data)
		if got := " / " + readAll(t, optionsOf(t, "from stdin", options), columns, string(data)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", options, got, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add("1\tx\n\\.\n", byte(0))
	f.Add("1,\"x\"\r\n", byte(1))
	f.Add("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff", byte(2))
	f.Fuzz(func(t *testing.T, data string, which byte) {
		o := optionsOf(t, "from stdin", []string{"", "csv", "binary"}[which%3])
		readAll(t, o, intAndText(), data)
	})
}
