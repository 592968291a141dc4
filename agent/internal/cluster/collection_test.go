package cluster

import "testing"

// TestColumnsNeverReturn: a table changes in no way in which its rows would be read as
// what they are not.
func TestColumnsNeverReturn(t *testing.T) {
	table := func(next ColumnID, ids ...ColumnID) *Collection {
		c := &Collection{NextColumn: next, PrimaryKey: []ColumnID{1}}
		for _, id := range ids {
			c.Columns = append(c.Columns, Column{ID: id, Name: string(rune('a' + id)), Type: "text"})
		}
		return c
	}
	old := table(5, 1, 2, 4) // 3 was dropped
	for name, next := range map[string]*Collection{"the same": old, "one added": table(6, 1, 2, 4, 5), "one dropped": table(5, 1, 2), "both": table(7, 1, 6)} {
		if err := next.Follows(old); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := table(5, 1, 2)
	other.PrimaryKey = []ColumnID{2}
	for name, next := range map[string]*Collection{"a dropped column": table(5, 1, 2, 3, 4), "ids again": table(4, 1, 2), "another key": other} {
		if err := next.Follows(old); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
