package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Difference names the options in which what is asked differs from s, sorted;
// empty: in none.
func (s *OperationSpec) Difference(asked *OperationSpec) string {
	had, wants := s.fields(), asked.fields()
	names := maps.Clone(had)
	maps.Copy(names, wants)
	var diff []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := had[name], wants[name]; !bytes.Equal(a, b) {
			diff = append(diff, fmt.Sprintf("%s: %s, asked %s", name, optionText(name, a), optionText(name, b)))
		}
	}
	return strings.Join(diff, "; ")
}

// Text names what is asked for with each option that is set.
func (s *OperationSpec) Text() string {
	fields := s.fields()
	parts := []string{string(s.Kind)}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "kind" && string(fields[name]) != "null" {
			parts = append(parts, name+" "+optionText(name, fields[name]))
		}
	}
	return strings.Join(parts, ", ")
}

func (s *OperationSpec) fields() map[string]json.RawMessage {
	var m map[string]json.RawMessage
	b, err := json.Marshal(s)
	if err != nil || json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}

// optionText writes an option as people write it.
func optionText(name string, v json.RawMessage) string {
	if v == nil || string(v) == "null" {
		return "unset"
	}
	var pool PoolSpec
	if name == "wanted" && json.Unmarshal(v, &pool) == nil {
		return pool.Text()
	}
	n, err := strconv.ParseUint(string(v), 10, 64)
	if name != "rate" || err != nil {
		return string(v)
	}
	for _, unit := range []struct {
		name  string
		bytes uint64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n%unit.bytes == 0 {
			return fmt.Sprintf("%d%s/s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%dB/s", n)
}
