package agenttest

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// storedTypes are columns with a literal of each, and its text as PostgreSQL 15 writes it.
var storedTypes = []struct{ typ, literal, want string }{
	{"int8[]", "{1,NULL,-3}", "{1,NULL,-3}"},
	{"text[]", `{a,"b c","NULL",NULL,""}`, `{a,"b c","NULL",NULL,""}`},
	{"uuid[]", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"},
	{"numeric(6,2)[]", "{1.005,NULL,20}", "{1.01,NULL,20.00}"},
	{"timestamptz[]", `{"2024-02-29 13:14:15.5+02",infinity}`, `{"2024-02-29 11:14:15.5+00",infinity}`},
	{"jsonb[]", `{"{\"b\":1}"}`, `{"{\"b\": 1}"}`},
	{"char(4)", "ab", "ab  "},
	{`"char"`, "xyz", "x"},
	{"name", "a name", "a name"},
	{"oid", "4294967295", "4294967295"},
	{"time(2)", "13:14:15.678", "13:14:15.68"},
	{"timetz", "04:05:06.7+05:30", "04:05:06.7+05:30"},
	{"timestamp(0)", "2024-01-01 12:34:56.5", "2024-01-01 12:34:57"},
	{"interval", "1 year 2 mons -3 days 04:05:06.7", "1 year 2 mons -3 days +04:05:06.7"},
	{"interval hour to minute", "1 day 02:03:04", "1 day 02:03:00"},
	{"inet", "192.168.0.1/24", "192.168.0.1/24"},
	{"cidr", "2001:DB8::/32", "2001:db8::/32"},
	{"bit(4)", "xA", "1010"},
	{"varbit[]", `{1,""}`, `{1,""}`},
	{"json", ` {"b":1,  "a": [1.0]} `, ` {"b":1,  "a": [1.0]} `},
}

// typesOfColumns writes a value of each type as a literal, by one node, and what another
// one sends of it as a parameter, in both formats: by key and by DuckDB it is the same.
func typesOfColumns(t *testing.T, c *Cluster) {
	writer, err := c.Node(1).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close(t.Context())
	reader, err := c.Node(2).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(t.Context())
	columns, literals, want, names := "id int8 PRIMARY KEY", "1", []string{}, ""
	for i, s := range storedTypes {
		name := "c" + string(rune('a'+i))
		columns += ", " + name + " " + s.typ
		literals += ", '" + strings.ReplaceAll(s.literal, "'", "''") + "'"
		names += ", " + name
		want = append(want, s.want)
	}
	names = strings.TrimPrefix(names, ", ")
	for _, s := range []string{"CREATE TABLE typed (" + columns + ")", "INSERT INTO typed VALUES (" + literals + ")"} {
		if _, err := writer.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	read := func(from, id string, format int16) [][]byte {
		r := reader.PgConn().ExecParams(t.Context(), "SELECT "+names+" FROM "+from+" WHERE id = "+id, nil, nil, nil, []int16{format}).Read()
		if r.Err != nil || len(r.Rows) != 1 {
			t.Fatalf("row %s of %s: %d rows, %v", id, from, len(r.Rows), r.Err)
		}
		return r.Rows[0]
	}
	const slow = "(SELECT * FROM typed UNION ALL SELECT * FROM typed WHERE id < 0) x"
	text, binary := read("typed", "1", pgx.TextFormatCode), read("typed", "1", pgx.BinaryFormatCode)
	for i, w := range want {
		if string(text[i]) != w {
			t.Errorf("%s is %q, want %q", storedTypes[i].typ, text[i], w)
		}
	}
	for id, row := range map[string][][]byte{"2": text, "3": binary} {
		places, formats := "", make([]int16, len(row))
		for i := range row {
			places += ", $" + strconv.Itoa(i+1)
			if id == "3" {
				formats[i] = pgx.BinaryFormatCode
			}
		}
		if r := writer.PgConn().ExecParams(t.Context(), "INSERT INTO typed VALUES ("+id+places+")", row, nil, formats, nil).Read(); r.Err != nil {
			t.Fatalf("row %s: %v", id, r.Err)
		}
	}
	for _, from := range []string{"typed", slow} {
		for _, id := range []string{"1", "2", "3"} {
			for i, v := range read(from, id, pgx.TextFormatCode) {
				if string(v) != want[i] {
					t.Errorf("%s of row %s of %s is %q, want %q", storedTypes[i].typ, id, from, v, want[i])
				}
			}
			for i, v := range read(from, id, pgx.BinaryFormatCode) {
				if !slices.Equal(v, binary[i]) {
					t.Errorf("%s of row %s of %s is % x, want % x", storedTypes[i].typ, id, from, v, binary[i])
				}
			}
		}
	}
	readByPgx(t, reader)
}

// readByPgx has a driver read PostgreSQL's binary forms.
func readByPgx(t *testing.T, conn *pgx.Conn) {
	var numbers []*int64
	var texts []*string
	var interval pgtype.Interval
	var clock pgtype.Time
	err := conn.QueryRow(t.Context(), "SELECT ca, cb, cn, ck FROM typed WHERE id = 1").Scan(&numbers, &texts, &interval, &clock)
	if err != nil {
		t.Fatal(err)
	}
	if len(numbers) != 3 || *numbers[0] != 1 || numbers[1] != nil || *numbers[2] != -3 || len(texts) != 5 || *texts[1] != "b c" || texts[3] != nil {
		t.Errorf("arrays are %v, %v", numbers, texts)
	}
	if interval.Months != 14 || interval.Days != -3 || interval.Microseconds != 14706700000 || clock.Microseconds != 47655680000 {
		t.Errorf("the interval is %+v, the time %+v", interval, clock)
	}
}
