package jsonb

import (
	"hash/fnv"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Items are what an inverted index has a value under: numbers that stand for the scalars in
// it with the keys on the way to them (elements of arrays have the way of the array), and
// with keys, for the keys and the texts at its top. Two values may share one by chance: who
// finds a row by it looks at the row.
func Items(j string, withKeys bool) []int64 {
	var out []int64
	walkItems(j, nil, func(way []byte, scalar string) {
		out = append(out, item(itemValue, way, scalarKey(scalar)))
	})
	if withKeys {
		out = append(out, keyItems(j)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// What an item is of. The numbers are on disk.
const (
	itemValue = 1
	itemKey   = 2
)

// walkItems calls fn with each scalar.
func walkItems(j string, way []byte, fn func(way []byte, scalar string)) {
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		for key, v := range datum.JSONFields(j) {
			walkItems(v, step(way, datum.JSONText(key)), fn)
		}
	case datum.JSONArray:
		for v := range datum.JSONElements(j) {
			walkItems(v, way, fn)
		}
	default:
		fn(way, j)
	}
}

// step is a way with one more key. It is written so that no two ways are the same bytes.
func step(way []byte, key string) []byte {
	out, _ := datum.AppendKey(slices.Clip(way), datum.MakeText(key)) // a text has a key
	return out
}

func scalarKey(scalar string) []byte {
	out, _ := datum.AppendKey(nil, value(scalar)) // so has a jsonb
	return out
}

func item(kind byte, way, last []byte) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write(way)
	_, _ = h.Write(last)
	return int64(h.Sum64())
}

func keyItems(j string) []int64 {
	var out []int64
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		for key := range datum.JSONFields(j) {
			out = append(out, KeyItem(datum.JSONText(key)))
		}
	case datum.JSONArray:
		for e := range datum.JSONElements(j) {
			if e[0] == '"' {
				out = append(out, KeyItem(datum.JSONText(e)))
			}
		}
	case datum.JSONString:
		out = append(out, KeyItem(datum.JSONText(j)))
	}
	return out
}

// KeyItem is the item of all values that ? finds the key in.
func KeyItem(key string) int64 { return item(itemKey, nil, scalarKey(datum.QuoteJSON(key))) }

// ContainedItem is an item that all values have which contain j at the end of keys; ok is
// false if there is none. Of several it is that of the scalar which is the furthest down,
// and says the most.
func ContainedItem(path []string, j string) (found int64, ok bool) {
	best := -1
	walkItems(j, wayOf(path), func(way []byte, scalar string) {
		weight := len(way)
		switch datum.KindOfJSON(scalar) {
		case datum.JSONString, datum.JSONNumber:
			weight += len(scalar) + 1_000
		}
		if weight > best {
			found, ok, best = item(itemValue, way, scalarKey(scalar)), true, weight
		}
	})
	return found, ok
}

func wayOf(path []string) (way []byte) {
	for _, key := range path {
		way = step(way, key)
	}
	return way
}

// FieldItem is the item of all values that have a scalar at the end of keys; ok is false
// if j is no scalar.
func FieldItem(path []string, j string) (found int64, ok bool) {
	if !isScalar(j) {
		return 0, false
	}
	return item(itemValue, wayOf(path), scalarKey(j)), true
}
