package builtin

// functions are all by their names.
var functions = byName(acls, arrays, texts, documents, floats, numerics, integers, buckets, moments, timeOperators, parts, spans, strs, regexps, byteas, digests, writtens, sizes, floatAggregates, intervalAggregates, numberFormats, numberReads, timeFormats, composites, likes, orderedSets) //nolint:gochecknoglobals // never changed

func byName(lists ...[]Function) map[string][]*Function {
	out := map[string][]*Function{}
	for _, list := range lists {
		for i := range list {
			out[list[i].Name] = append(out[list[i].Name], &list[i])
		}
	}
	return out
}
