package render

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

type machine struct {
	ID     uint32     `json:"id"`
	Leader *uint32    `json:"leader"`
	Voters []uint32   `json:"voters"`
	Bytes  *uint64    `json:"bytes"`
	Disk   float64    `json:"diskUsedPct"`
	Took   float64    `json:"took"`
	At     *time.Time `json:"at"`
	State  string     `json:"state"`
	Note   string     `json:"note,omitempty"`
}

func machines() List[machine] {
	number := func(n uint64) *uint64 { return &n }
	node := func(n uint32) *uint32 { return &n }
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	return List[machine]{
		Kind: "MachineList", Name: func(m machine) string { return Node(m.ID) },
		Items: []machine{
			{1, node(1), []uint32{1, 2, 3}, number(222208), 26, 281, &at, "ready", "a, b"},
			{2, node(2), []uint32{1, 2, 5}, number(2 << 20), 80, 7200, nil, "ready", ""},
			{3, nil, []uint32{2, 5, 4}, nil, 81, 0, nil, "dead", "x"},
		},
		Columns: []Column[machine]{
			{Head: "NODE", Key: "id", Cell: func(m machine) string { return Node(m.ID) }},
			{Head: "LEADER", Key: "leader", Cell: func(m machine) string {
				if m.Leader == nil {
					return None
				}
				return Node(*m.Leader)
			}},
			{Head: "VOTERS", Key: "voters", Cell: func(m machine) string { return Nodes(m.Voters, ",") }},
			{Head: "BYTES", Key: "bytes", Cell: func(m machine) string {
				if m.Bytes == nil {
					return None
				}
				return Bytes(*m.Bytes)
			}},
			{Head: "DISK", Key: "diskUsedPct", Cell: func(m machine) string { return Percent(m.Disk / 100) }},
			{Head: "TOOK", Key: "took", Cell: func(m machine) string { return Seconds(m.Took) }},
			{Head: "AGE", Key: "at", Cell: func(m machine) string {
				if m.At == nil {
					return None
				}
				return "4d"
			}},
			{Head: "STATE", Key: "state", Cell: func(m machine) string { return m.State }},
		},
	}
}

func filtered(t *testing.T, filters ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	l := machines()
	err := l.Print(&term.Streams{Out: &out}, Options{Format: "name", Filter: filters})
	return strings.Join(strings.Fields(out.String()), " "), err
}

func TestFilter(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		// What the table shows and what JSON has.
		{"leader=n1", "n1"}, {"leader=1", "n1"}, {"leader=–", "n3"}, {"leader=", "n3"}, {"node!=n1", "n2 n3"}, {"id=3", "n3"},
		{"voters=n1,n2,n3", "n1"}, {"voters=1,2,3", "n1"}, {"voters~n5", "n2 n3"}, {"voters!~n5", "n1"}, {"state=READY", "n1 n2"},
		{"bytes=217.0 KiB", "n1"}, {"bytes=217.0KiB", "n1"}, {"bytes=222208", "n1"}, {"bytes=2MiB", "n2"}, {"bytes=–", "n3"},
		{"disk=80%", "n2"}, {"disk=80", "n2"}, {"took=4m41s", "n1"}, {"took=2h", "n2"},
		// Orders, in any unit that the column has. What is not known is not more or less.
		{"bytes>=1MiB", "n2"}, {"bytes>2KiB", "n1 n2"}, {"bytes<1GB", "n1 n2"}, {"bytes>1000000", "n2"}, {"disk>=80%", "n2 n3"}, {"disk<80", "n1"},
		{"took>1h", "n2"}, {"took>300", "n2"}, {"leader>n1", "n2"}, {"leader<=1", "n1"}, {"at>2026-10-31", "n1"}, {"age>2d", "n1"}, {"age>5d", ""},
		// Several conditions.
		{"state=ready,disk>=80%", "n2"}, {"state = ready && disk >= 80%", "n2"}, {"voters=n1,n2,n5,state=ready", "n2"}, {`note="a, b"`, "n1"}, {"note=a, b", "n1"},
		{"state~ready|dead", "n1 n2 n3"}, {"", "n1 n2 n3"},
	} {
		if got, err := filtered(t, c.filter); err != nil || got != c.want {
			t.Errorf("%q: got %q %v, want %q", c.filter, got, err, c.want)
		}
	}
	if got, err := filtered(t, "state=ready", "leader=n2"); err != nil || got != "n2" {
		t.Errorf("given twice: got %q %v, want n2", got, err)
	}
}

// TestFilterRefuses: what cannot be compared is a mistake, not an empty answer.
func TestFilterRefuses(t *testing.T) {
	for filter, says := range map[string]string{
		"leader>abc":              `such as "n1"`,
		"disk=lots":               `such as "26%"`,
		"bytes>80%":               `such as "217.0 KiB"`,
		"bytes>1h":                `such as "217.0 KiB"`,
		"state>ready":             `such as "ready"`,
		"voters>n1":               `such as "n1,n2,n3"`,
		"colour=red":              "no column \"colour\": node, leader, voters",
		"state=ready || disk>80%": "cannot be or-ed",
		"state":                   "is not FIELD=VALUE",
		"state~(":                 "missing closing",
		"state=ready,leders=n1":   `no column "leders"`,
	} {
		_, err := filtered(t, filter)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %s", filter, err, says)
		}
	}
	l := List[machine]{Columns: machines().Columns}
	var option *OptionError
	if err := l.Print(&term.Streams{Out: &bytes.Buffer{}}, Options{Filter: []string{"colour=red"}}); !errors.As(err, &option) {
		t.Errorf("no rows: got %v, want the same refusal", err)
	}
	one := One[machine]{Kind: "Machine", Text: machineText}
	for _, o := range []Options{{Columns: []string{"id"}}, {Filter: []string{"id=1"}}, {Sort: "id"}, {Format: "json", Columns: []string{"id"}}} {
		if err := one.Print(&term.Streams{Out: &bytes.Buffer{}}, o); !errors.As(err, &option) {
			t.Errorf("one object, %+v: got %v, want a refusal", o, err)
		}
	}
}

func machineText(w io.Writer) error {
	_, err := io.WriteString(w, "a machine\n")
	return err
}

// TestNarrowTerminals: a table leaves out what can be spared, the last first; not
// where it was asked for, and not off a terminal.
func TestNarrowTerminals(t *testing.T) {
	head := func(width int, o Options) string {
		var out bytes.Buffer
		l := machines()
		for _, i := range []int{3, 5} { // BYTES, TOOK
			l.Columns[i].Less = true
		}
		if err := l.Print(&term.Streams{Out: &out, OutTTY: width > 0, Width: width}, o); err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(out.String(), "\n")
		return strings.Join(strings.Fields(line), " ")
	}
	all := "NODE LEADER VOTERS BYTES DISK TOOK AGE STATE"
	for width, want := range map[int]string{
		0: all, 80: all, 57: "NODE LEADER VOTERS BYTES DISK AGE STATE", 45: "NODE LEADER VOTERS DISK AGE STATE", 10: "NODE LEADER VOTERS DISK AGE STATE",
	} {
		if got := head(width, Options{}); got != want {
			t.Errorf("%d columns wide: got %s, want %s", width, got, want)
		}
	}
	if got := head(10, Options{Format: "wide"}); got != all {
		t.Errorf("wide: got %s", got)
	}
}
