package render

import "fmt"

// wholeVShard is the length of a bound in hex that divides no vshard.
const wholeVShard = 4

// VShards is the span of a range for people: 400-416; a star marks a vshard of which
// the range owns a part.
func VShards(start, end uint32, startKey, endKey string) string {
	part := func(key string) string {
		if len(key) > wholeVShard {
			return "*"
		}
		return ""
	}
	if start+1 == end && part(startKey)+part(endKey) != "" {
		return fmt.Sprintf("%d*", start)
	}
	return fmt.Sprintf("%d%s-%d%s", start, part(startKey), max(end, 1)-1, part(endKey))
}

// Key is a bound for people, as --at takes it: the number of a vshard, or 0x and
// the digits of a row.
func Key(vshard uint32, key string) string {
	if len(key) > wholeVShard {
		return "0x" + key
	}
	return fmt.Sprint(vshard)
}
