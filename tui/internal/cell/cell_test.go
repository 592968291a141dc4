package cell

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

var red = Style{Before: "\x1b[31m", After: "\x1b[m"}

func TestLineNeverPassesItsLimit(t *testing.T) {
	for limit := range 30 {
		l := NewLine(limit).Put(red, "hello ").Field(red, "wörld and more", 9, true).Space(3).Put(red, "…──…").To(25).Fit(red, "fits?").Join(NewLine(5).Put(red, "tail"))
		if w := ansi.StringWidth(l.String()); w > limit || w != l.Width() {
			t.Errorf("limit %d: %d cells, says %d: %q", limit, w, l.Width(), l)
		}
	}
}

func TestOver(t *testing.T) {
	b := NewBlock(10)
	for range 4 {
		b.Text(red, "abcdefghij")
	}
	b.Over(NewBlock(4).Text(red, "12").Text(red, "3456"), 3, 1)
	got := ansi.Strip(b.String())
	if want := "abcdefghij\nabc12  hij\nabc3456hij\nabcdefghij"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFrame(t *testing.T) {
	got := ansi.Strip(NewBlock(6).Text(red, "inside").Frame(red, red, "t", [6]string{"+", "+", "+", "+", "-", "|"}).String())
	if want := "+- t ----+\n| inside |\n+--------+"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWrap(t *testing.T) {
	if got := strings.Join(Wrap("the quick brown fox jumps", 10), "|"); got != "the quick|brown fox|jumps" {
		t.Errorf("got %s", got)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Duration(9 * time.Second): "9s", Duration(281 * time.Second): "4m41s", Duration(10 * time.Minute): "10m", Duration(182 * time.Minute): "3h02m", Duration(300 * time.Hour): "12d",
		Minutes(30 * time.Second): "<1m", Minutes(41 * time.Minute): "41m", Bytes(512): "512 B", Bytes(25270682): "24.1 MiB", Rate(0.44): "0.4", Rate(88): "88", Rate(20400): "20.4k",
		Rate(1.2e6): "1.2M", Node(0): "–", Nodes([]uint32{1, 2}, ","): "n1,n2", Plural(1, "node"): "1 node", Plural(2, "node"): "2 nodes", Percent(0.31): "31%",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestCharts(t *testing.T) {
	g := &Glyphs{Spark: []string{"0", "1", "2", "3", "4", "5", "6", "7"}, Full: "#", Empty: "."}
	if got := Spark(g, []float64{0, 50, 100}, 5); got != "  037" {
		t.Errorf("spark: got %q", got)
	}
	if full, empty := Bar(g, 0.3, 10); full+empty != "###......." {
		t.Errorf("bar: got %q", full+empty)
	}
	for _, share := range []float64{-1, 0, 0.5, 1, 7} {
		if full, empty := Bar(g, share, 7); len(full+empty) != 7 {
			t.Errorf("bar of %v: %q", share, full+empty)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	l := NewLine(160)
	for b.Loop() {
		l.Reset(160)
		for range 10 {
			l.Field(red, "0123456789", 14, true)
		}
	}
}
