package worker

import (
	"fmt"
	"strings"
)

// macros are the statements that define what rewritten SQL calls and DuckDB has
// not. Each argument is named once, so that nested calls do not grow; those of
// rewrite's list doubling are the exceptions.
func macros() []string {
	m := []string{
		// The length of an interval by which PostgreSQL compares: -1 day 02:00 is -22:00.
		`nd_span(x) AS list_transform([x], lambda i: (datepart('year', i) * 360 + datepart('month', i) * 30 + datepart('day', i))::HUGEINT * 86400000000
			+ datepart('hour', i) * 3600000000 + datepart('minute', i) * 60000000 + datepart('microsecond', i))[1]`,
		`nd_hex(x) AS lower(hex(x))`,
		`nd_sha256(x) AS unhex(sha256(x))`,
		`nd_name_or_number(name, number) AS coalesce(name, CAST(number AS VARCHAR))`,
		`nd_typeof(x) AS lower(typeof(x))`,

		longText("nd_repeat(s, n)", "p.n > 0 AND strlen(p.s) * p.n", "repeat(p.s, p.n)", "{'s': s, 'n': n}"),
		longText("nd_lpad(s, n, f)", "p.n", "lpad(p.s, p.n, p.f)", "{'s': s, 'n': n, 'f': f}"),
		longText("nd_rpad(s, n, f)", "p.n", "rpad(p.s, p.n, p.f)", "{'s': s, 'n': n, 'f': f}"),

		`nd_substring_from(s, start) AS substring(s, greatest(start, 1))`,
		// Positions before the first character count: substring('abc', 0, 2) is 'a'.
		`nd_substring(s, start, n) AS list_transform([{'b': start, 'n': n}], lambda p:
			CASE WHEN p.n < 0 THEN error('ND22011 negative substring length not allowed')
			ELSE substring(s, greatest(p.b, 1), greatest(p.b + p.n - greatest(p.b, 1), 0)) END)[1]`,
		`nd_substring_match(s, pattern) AS list_transform([regexp_extract_all(s, pattern,
			CASE WHEN regexp_matches(pattern, '(^|[^\\])\([^?]') THEN 1 ELSE 0 END)], lambda m: m[1])[1]`,
		`nd_overlay(s, r, start, n := NULL) AS left(s, start - 1) || r || substring(s, start + coalesce(n, length(r)))`,
		`nd_initcap(s) AS array_to_string(list_transform(regexp_extract_all(lower(s), '[\p{L}\p{N}]+|[^\p{L}\p{N}]+'),
			lambda w: upper(left(w, 1)) || substring(w, 2)), '')`,
		`nd_quote_ident(s) AS CASE WHEN regexp_full_match(s, '[a-z_][a-z0-9_]*') AND NOT list_contains(` + quoted() + `, s)
			THEN s ELSE '"' || replace(s, '"', '""') || '"' END`,
		`nd_quote_literal(s) AS CASE WHEN contains(CAST(s AS VARCHAR), '\') THEN 'E' ELSE '' END ||
			'''' || replace(replace(CAST(s AS VARCHAR), '\', '\\'), '''', '''''') || ''''`,
		`nd_quote_nullable(s) AS coalesce(nd_quote_literal(s), 'NULL')`,
		`nd_split_part(s, d, n) AS CASE WHEN d <> '' THEN split_part(s, d, n) WHEN n IN (1, -1) THEN s ELSE left(s, 0) END`,
		regexpMatch(0), regexpMatch(1), regexpMatch(2), regexpMatch(3), regexpMatch(4),
		`nd_regexp_count(s, p) AS len(regexp_extract_all(s, p))`,

		`nd_array_length(a) AS CAST(nullif(len(a), 0) AS INTEGER)`,
		`nd_array_remove(a, x) AS list_transform([x], lambda v: list_filter(a, lambda e: e IS DISTINCT FROM v))[1]`,
		`nd_expand_array(a) AS list_transform(a, lambda v, i: {'x': v, 'n': i})`,
		`nd_subscripts(a, d) AS CASE WHEN d = 1 THEN CAST(generate_series(1, len(a)) AS INTEGER[]) END`,
		// A null is in no array, not even in one with nulls.
		`nd_list_contains(a, b) AS list_transform([b], lambda v: list_has_all(a, v) AND list_aggregate(v, 'count') = len(v))[1]`,

		`nd_json_has(j, k) AS list_contains(json_keys(j), k)`,
		`nd_json_has_any(j, ks) AS list_has_any(json_keys(j), CAST(ks AS VARCHAR[]))`,
		`nd_json_has_all(j, ks) AS list_has_all(json_keys(j), CAST(ks AS VARCHAR[]))`,
		`nd_json_typeof(j) AS CASE json_type(j) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string'
			WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE CASE WHEN j IS NULL THEN NULL ELSE 'number' END END`,

		`nd_size_pretty(n) AS CASE WHEN abs(n) < 10240 THEN n || ' bytes' WHEN abs(n) < 10485760 THEN round(n / 1024.0)::BIGINT || ' kB'
			WHEN abs(n) < 10737418240 THEN round(n / 1048576.0)::BIGINT || ' MB' ELSE round(n / 1073741824.0)::BIGINT || ' GB' END`,
		formatType(),
	}
	for i := range m {
		m[i] = "CREATE MACRO " + m[i]
	}
	return m
}

// longText defines a function whose result can be long though its arguments are
// short: length says how long, before it is made. DuckDB can't be interrupted then.
func longText(head, length, body, fields string) string {
	return fmt.Sprintf(`%s AS list_transform([%s], lambda p: CASE WHEN %s > %d THEN error('ND54000 requested length too large') ELSE %s END)[1]`,
		head, fields, length, maxValueBytes, body)
}

// regexpMatch is regexp_match for patterns of so many groups.
func regexpMatch(groups int) string {
	list := "regexp_extract(v, p)"
	if groups > 0 {
		list = ""
	}
	for i := range groups {
		if i > 0 {
			list += ", "
		}
		list += fmt.Sprintf("regexp_extract(v, p, %d)", i+1)
	}
	return fmt.Sprintf("nd_regexp_match%d(s, p) AS list_transform([s], lambda v: CASE WHEN regexp_matches(v, p) THEN [%s] END)[1]", groups, list)
}

// quotedWords are the keywords of PostgreSQL that quote_ident puts in quotes.
const quotedWords = `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean
	both case cast char character check coalesce collate collation column concurrently constraint create
	cross current_catalog current_date current_role current_schema current_time current_timestamp
	current_user dec decimal default deferrable desc distinct do else end except exists extract false
	fetch float for foreign freeze from full grant greatest group grouping having ilike in initially
	inner inout int integer intersect interval into is isnull join lateral leading least left like limit
	localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric
	offset on only or order out outer overlaps overlay placing position precision primary real
	references returning right row select session_user setof similar smallint some substring symmetric
	table tablesample then time timestamp to trailing treat trim true union unique user using values
	varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists
	xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`

// quoted is the list of them.
func quoted() string { return "['" + strings.Join(strings.Fields(quotedWords), "', '") + "']" }
