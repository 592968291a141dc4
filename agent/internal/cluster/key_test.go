package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	row := VShard(417).Key() + "\x00\x00\x00\x00\x00\x00\x00\x07\x00k\x00"
	for _, c := range []struct {
		key   Key
		text  string
		hex   string
		next  VShard
		whole bool
	}{
		{VShard(0).Key(), "0", "0000", 0, true},
		{VShard(417).Key(), "417", "01a1", 417, true},
		{VShard(VShards).Key(), "1024", "0400", 1024, true},
		{row, "0x01a10000000000000007006b00", "01a10000000000000007006b00", 418, false},
	} {
		if c.key.String() != c.text || c.key.Hex() != c.hex || c.key.NextVShard() != c.next || c.key.Whole() != c.whole {
			t.Errorf("%q: got %s %s %d %v, want %+v", string(c.key), c.key, c.key.Hex(), c.key.NextVShard(), c.key.Whole(), c)
		}
		if got, err := ParseKey(c.text); err != nil || got != c.key {
			t.Errorf("ParseKey(%q) = %s %v", c.text, got, err)
		}
		b, err := json.Marshal(c.key)
		var back Key
		if err != nil || string(b) != `"`+c.hex+`"` || json.Unmarshal(b, &back) != nil || back != c.key {
			t.Errorf("JSON of %s: %s %v, and back %s", c.key, b, err, back)
		}
	}
	order := []Key{VShard(416).Key(), VShard(417).Key(), row, row[:len(row)-1] + "a\x00", VShard(418).Key()}
	if !slices.IsSorted(order) {
		t.Errorf("keys are not in the order of their rows: %s", order)
	}
}

func TestWhatIsNoKey(t *testing.T) {
	for _, s := range []string{"", "x", "1025", "-1", "0x", "0x04", "0x0401", "0x01a1f", "0xzz", "0x01a100", "0x01a100000000000000070", "0x01a10000000000000007006b", "0x01a10000000000000000006b00", "0x04000000000000000007006b00"} {
		if k, err := ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q) = %s, want it refused", s, k)
		}
	}
	var k Key
	if err := json.Unmarshal([]byte(`"0a1"`), &k); err == nil {
		t.Errorf("JSON 0a1 was read as %s", k)
	}
}

func TestDescriptorSpans(t *testing.T) {
	row := VShard(417).Key() + "\x00\x00\x00\x00\x00\x00\x00\x07\x00k\x00"
	left := RangeDescriptor{ID: 2, Start: VShard(400).Key(), End: row}
	right := RangeDescriptor{ID: 3, Start: row, End: VShard(420).Key()}
	if !left.Contains(0, VShard(417).Key()) || left.Contains(0, row) || !right.Contains(0, row) || right.Contains(1, row) {
		t.Error("a range owns its start and what follows, up to its end, in its pool")
	}
	if first, end := left.VShards(); first != 400 || end != 418 {
		t.Errorf("left touches [%d,%d), want [400,418)", first, end)
	}
	if first, end := right.VShards(); first != 417 || end != 420 {
		t.Errorf("right touches [%d,%d), want [417,420)", first, end)
	}
	one := RangeDescriptor{ID: 4, Start: VShard(417).Key(), End: row}
	for text, d := range map[string]*RangeDescriptor{"400-417*": &left, "417*-419": &right, "417*": &one} {
		if d.VShardText() != text {
			t.Errorf("%s is shown as %s, want %s", d.Span(), d.VShardText(), text)
		}
	}
	if err := left.Validate(); err != nil {
		t.Error(err)
	}
	if got, want := left.Span(), "[400,0x01a10000000000000007006b00)"; got != want {
		t.Errorf("span %s, want %s", got, want)
	}
	for _, d := range []RangeDescriptor{{ID: 2}, {ID: 2, Start: row, End: row}, {ID: 2, Start: "\x00\x01\x00", End: row}} {
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "span") {
			t.Errorf("%s: %v, want the span refused", d.Span(), err)
		}
	}
}
