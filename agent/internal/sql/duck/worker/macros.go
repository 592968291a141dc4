package worker

// macros are the statements that define what rewritten SQL calls and DuckDB has
// not. Each argument is named once, so that nested calls do not grow; those of
// rewrite's list doubling are the exceptions.
func macros() []string {
	m := []string{
		// The length of an interval by which PostgreSQL compares: -1 day 02:00 is -22:00.
		`nd_span(x) AS list_transform([x], lambda i: (datepart('year', i) * 360 + datepart('month', i) * 30 + datepart('day', i))::HUGEINT * 86400000000
			+ datepart('hour', i) * 3600000000 + datepart('minute', i) * 60000000 + datepart('microsecond', i))[1]`,
		// The engine tells intervals apart that are equal to PostgreSQL, if parts of one have several signs.
		`nd_one_signed(x) AS list_transform([x], lambda i: CASE WHEN greatest(datepart('year', i), datepart('month', i), datepart('day', i), datepart('hour', i), datepart('minute', i), datepart('microsecond', i)) > 0
			AND least(datepart('year', i), datepart('month', i), datepart('day', i), datepart('hour', i), datepart('minute', i), datepart('microsecond', i)) < 0
			THEN CAST(error('ND0A000 INTERSECT and EXCEPT of intervals with parts of several signs are not supported') AS INTERVAL) ELSE i END)[1]`,
		`nd_name_or_number(name, number) AS coalesce(name, CAST(number AS VARCHAR))`,
		`nd_acldefault(kind, owner) AS list_transform([{'k': kind, 'o': owner}], lambda a: CASE WHEN a.o IS NULL THEN NULL
			WHEN a.k = 'n' THEN [a.o || '=UC/' || a.o] WHEN a.k = 'r' THEN [a.o || '=arwdDxt/' || a.o] WHEN a.k = 's' THEN [a.o || '=rwU/' || a.o]
			WHEN a.k = 'f' THEN ['=X/' || a.o, a.o || '=X/' || a.o] WHEN a.k = 'd' THEN ['=Tc/' || a.o, a.o || '=CTc/' || a.o]
			WHEN a.k IN ('T', 'l') THEN ['=U/' || a.o, a.o || '=U/' || a.o] WHEN a.k = 't' THEN [a.o || '=C/' || a.o]
			WHEN a.k IN ('F', 'S') THEN [a.o || '=U/' || a.o] WHEN a.k = 'L' THEN [a.o || '=rw/' || a.o] ELSE CAST([] AS VARCHAR[]) END)[1]`,
		`nd_oid(n) AS CASE WHEN n < 0 OR n > 4294967295 THEN error('ND22003 OID out of range') ELSE CAST(n AS BIGINT) END`,

		// An oid and an integer become each other by their bits.
		`nd_oid_of_int(n) AS CASE WHEN n < 0 THEN CAST(n AS BIGINT) + 4294967296 ELSE CAST(n AS BIGINT) END`,
		`nd_int_of_oid(n) AS CAST(CASE WHEN n > 2147483647 THEN n - 4294967296 ELSE n END AS INTEGER)`,

		// Whether a row is within LIMIT l OFFSET o, by its number and that of the first of its ties.
		`nd_within_limit(n, first, l, o) AS CASE WHEN l < 0 THEN error('ND2201W LIMIT must not be negative')
			WHEN o < 0 THEN error('ND2201X OFFSET must not be negative')
			ELSE n > coalesce(o, 0) AND (l IS NULL OR l > 0 AND first - coalesce(o, 0) <= l) END`,
		`nd_bounded(s, given) AS CASE WHEN isinf(s) AND NOT given THEN error('ND22003 value out of range: overflow') ELSE s END`,

		`nd_substring_from(s, start) AS substring(s, greatest(start, 1))`,
		// Positions before the first character count: substring('abc', 0, 2) is 'a'.
		`nd_substring(s, start, n) AS list_transform([{'s': s, 'b': start, 'n': n}], lambda p:
			CASE WHEN p.n < 0 THEN error('ND22011 negative substring length not allowed')
			ELSE substring(p.s, greatest(p.b, 1), greatest(p.b + p.n - greatest(p.b, 1), 0)) END)[1]`,
		// What string_agg makes of its values, each with a separator of its own.
		`nd_joined(l) AS list_aggregate(list_transform(list_filter(l, lambda p: p.v IS NOT NULL),
			lambda p, i: CASE WHEN i = 1 THEN p.v ELSE coalesce(p.s, '') || p.v END), 'string_agg', '')`,

		`nd_json_list(a, meaning) AS list_transform(a, lambda v: coalesce(CAST(nd_json(v, meaning) AS VARCHAR), 'null'))`,
		`nd_line(j) AS chr(10) || ' ' || j`,
		`nd_lines(j) AS regexp_replace(j, '^\[\n ', '[')`,
		`nd_label(n, keys, names, wrong) AS list_transform([n], lambda v: CASE WHEN v IS NOT NULL THEN
			coalesce(keys[list_position(names, v)], CAST(error(concat(wrong, '"', v, '"')) AS BLOB)) END)[1]`,
		`nd_labeled(a, keys, names, wrong) AS list_transform(a, lambda v: CASE WHEN v IS NOT NULL THEN
			coalesce(keys[list_position(names, v)], CAST(error(concat(wrong, '"', v, '"')) AS BLOB)) END)`,
		`nd_labels(a, keys, names) AS list_transform(a, lambda v: names[list_position(keys, v)])`,
		// len has no type while its argument is a parameter.
		`nd_length(a) AS list_aggregate(list_transform(a, lambda e: 1), 'count')`,
		`nd_array_length(a) AS CAST(nullif(nd_length(a), 0) AS INTEGER)`,
		`nd_array_remove(a, x) AS list_transform([{'a': a, 'x': x}], lambda p: list_filter(p.a, lambda e: e IS DISTINCT FROM p.x))[1]`,
		`nd_option_names(a) AS list_transform(CAST(a AS VARCHAR[]), lambda o: split_part(o, '=', 1))`,
		`nd_option_values(a) AS list_transform(CAST(a AS VARCHAR[]), lambda o: CASE WHEN contains(o, '=') THEN substring(o, strpos(o, '=') + 1) END)`,
		`nd_expand_array(a) AS list_transform(a, lambda v, i: {'x': v, 'n': i})`,
		`nd_subscripts(a, d) AS CASE WHEN d = 1 THEN CAST(generate_series(1, nd_length(a)) AS INTEGER[]) END`,
		`nd_vector_subscripts(a, d) AS CASE WHEN d = 1 THEN CAST(generate_series(0, len(a) - 1) AS INTEGER[]) END`,
		// A null is in no array, not even in one with nulls.
		`nd_list_contains(a, b) AS list_transform([{'a': a, 'b': b}], lambda p: CASE WHEN p.a IS NOT NULL AND p.b IS NOT NULL THEN
			list_has_all(p.a, p.b) AND list_aggregate(p.b, 'count') = len(p.b) END)[1]`,

		// To the engine two nulls make an empty one.
		`nd_list_concat(a, b) AS list_transform([{'a': a, 'b': b}], lambda p: CASE WHEN p.a IS NULL THEN p.b ELSE list_concat(p.a, p.b) END)[1]`,

		`nd_json_has(j, k) AS list_contains(json_keys(j), k)`,
		`nd_json_has_any(j, ks) AS list_has_any(json_keys(j), CAST(ks AS VARCHAR[]))`,
		`nd_json_has_all(j, ks) AS list_has_all(json_keys(j), CAST(ks AS VARCHAR[]))`,
		`nd_json_typeof(j) AS CASE json_type(j) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string'
			WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE CASE WHEN j IS NULL THEN NULL ELSE 'number' END END`,

		formatType(), typeNumber(),
	}
	for i := range m {
		m[i] = "CREATE MACRO " + m[i]
	}
	return m
}
