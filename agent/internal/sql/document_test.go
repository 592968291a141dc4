package sql

import (
	"fmt"
	"strings"
	"testing"
)

// Documents in a collection that was made without columns: written, and their fields named
// as columns, on both paths.
func TestDocuments(t *testing.T) {
	_, c := slowFixture(t)
	c.want("CREATE COLLECTION", "create collection c")
	c.want("INSERT 0 3", `insert into c {_id: 'ada', name: 'Ada', born: 1815, tags: ['x', 'y'], address: {city: 'London', zip: null}},
		{"_id": "alan", "name": "Alan \"T\"", "born": 1912.50, "alive": false, "deep": {"list": [1, [2, {"z": true}]]}}, {_id: 'none'}`)
	c.want("ada|{\"born\": 1815, \"name\": \"Ada\", \"tags\": [\"x\", \"y\"], \"address\": {\"zip\": null, \"city\": \"London\"}}\nSELECT 1", "select * from c where _id = 'ada'")
	for _, from := range []string{"c", "c as d", "c, (select 1) one(x)"} {
		for query, want := range map[string]string{
			"select _id, name, born from %s where born > 1815 order by _id":                               "alan|\"Alan \\\"T\\\"\"|1912.50\nSELECT 1",
			"select _id from %s where name = 'Ada'":                                                       "ada\nSELECT 1",
			"select address.city, tags[0], tags[-1], nothing.at.all from %s order by _id":                 "\"London\"|\"x\"|\"y\"|NULL\nNULL|NULL|NULL|NULL\nNULL|NULL|NULL|NULL\nSELECT 3",
			"select _id from %s where address.zip is null and address.city is not null":                   "ada\nSELECT 1",
			"select _id, deep.list[1][1].z as z from %s where deep.list[1][1].z":                          "alan|true\nSELECT 1",
			"select _id from %s where born is null":                                                       "none\nSELECT 1",
			"select _id from %s where not alive":                                                          "alan\nSELECT 1",
			"select _id from %s order by born desc nulls last, _id":                                       "alan\nada\nnone\nSELECT 3",
			"select _id from %s where born between 1800 and 1900":                                         "ada\nSELECT 1",
			"select _id from %s where born in (1912.5, 3) or name in ('Ada', 'B') order by _id":           "ada\nalan\nSELECT 2",
			"select _id from %s where tags @> '[\"x\"]'":                                                  "ada\nSELECT 1",
			"select lower(name), born + 1, name || '!', born::int8, name::text from %s where _id = 'ada'": "ada|1816|Ada!|1815|Ada\nSELECT 1",
			"select coalesce(name, 'nobody') as n from %s order by _id desc limit 1":                      "\"nobody\"\nSELECT 1",
			"select _id from %s where name like 'Al%%'":                                                   "alan\nSELECT 1",
			"select _id from %s where doc @> {born: 1815, tags: ['y']}":                                   "ada\nSELECT 1",
		} {
			c.want(want, strings.ReplaceAll(strings.Replace(query, "%s", from, 1), "%%", "%"))
		}
	}
	for _, from := range []string{"c", "c, (values (1)) v(x)"} {
		p, err := c.session.Prepare(t.Context(), "select address.city, tags[0], deep.list[1].z, lower(name), born + 1 as b from "+from, nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, column := range p.Columns {
			names = append(names, column.Name)
		}
		if got := strings.Join(names, " "); got != "city tags z lower b" {
			t.Errorf("the columns are called %s", got)
		}
	}
	c.want("2|3727.5|1815|1912.50\nSELECT 1", "select count(born), sum(born), min(born), max(born) from c")
	c.want("f|1\nt|1\nNULL|1\nSELECT 3", "select born > 1900 as late, count(*) from c where born is null or born > 1815 or name = 'Ada' group by late order by 1")
	c.want("UPDATE 1", "update c set name = 'Augusta', address.city = 'Ockham', address.house.number = 1, tags[0] = null where name = 'Ada'")
	c.want(`{"born": 1815, "name": "Augusta", "tags": [null, "y"], "address": {"zip": null, "city": "Ockham", "house": {"number": 1}}}`+"\nSELECT 1", "select doc from c where _id = 'ada'")
	c.want("\"Augusta\"|1816\nUPDATE 1", "update c set born = born + 1, tags = default where born < 1900 returning name, born")
	c.want("1\nSELECT 1", "select count(*) from c where tags is null and born = 1816")
	c.want("none\nDELETE 1", "delete from c where name is null returning _id")
	c.want("new|\"New\"\nINSERT 0 1", "insert into c (_id, name, born) values ('new', $1, 5) returning _id, name", "New")
	c.want("\"New\"|5\nSELECT 1", "select name, born from c where name = $1", "New")
	c.want("INSERT 0 1", "insert into c {_id: 'new', name: 'Newer'} on conflict (_id) do update set name = excluded.name, was = c.name")
	c.want("\"Newer\"|\"New\"|5\nSELECT 1", "select name, was, born from c where _id = 'new'")
	c.want("INSERT 0 1", "insert into c values ($1)", `{"a": 1, "_id": "given"}`)
	c.want("INSERT 0 1", "insert into c {n: $1::int, list: [$2, lower('X')], part: {a: 1 + 1}}", "7", "text")
	c.want("7|[\"text\", \"x\"]|2|36\nSELECT 1", "select n, list, part.a, length(_id) from c where n = 7")
	c.want("INSERT 0 3", "insert into c select jsonb_build_object('_id', 'copy ' || _id, 'source', doc) from c where born is not null and name is not null")
	c.want("copy ada|\"Augusta\"\ncopy alan|\"Alan \\\"T\\\"\"\ncopy new|\"Newer\"\nSELECT 3", "select _id, source.name from c where source.name is not null order by _id")
	c.want(`22023 a document must be an object, not an array`, "insert into c values ('[1]')")
	c.want(`22023 the _id of a document must be a string, not a number`, "insert into c {_id: 1}")
	c.want(`23505 duplicate key value violates unique constraint "c_pkey" / Key (_id)=(new) already exists.`, "insert into c {_id: 'new'}")
	c.want(`23514 new row for relation "c" violates check constraint "c_doc_check" / Failing row contains (new, []).`, "update c set doc = '[]' where _id = 'new'")
}

// Indexes of documents: of fields, and inverted ones, which answer as reading all rows does.
func TestDocumentIndexes(t *testing.T) {
	f, c := slowFixture(t)
	c.run("begin")
	c.run("create collection c")
	c.want("INSERT 0 3", `insert into c {_id: 'a', name: 'Ada', born: 1815, tags: ['x', 'y'], deep: {k: [{v: 1}]}}, {_id: 'b', name: 'Bob', born: 1815.0, tags: []}, {_id: 'n', name: ['Ada', 'Bob'], born: 'Ada'}`)
	c.want("CREATE INDEX", "create index on c (name)")
	c.want("CREATE INDEX", "create index on c (lower(name)) where born > 0")
	c.want("CREATE INDEX", "create index on c ((deep.k))")
	c.want("CREATE INDEX", "create index on c using gin (doc)")
	c.want("CREATE INDEX", "create index paths on c using gin (doc jsonb_path_ops)")
	c.want(`0A000 access method "gin" does not support unique indexes`, "create unique index on c using gin (doc)")
	c.run("rollback")
	c.run("create collection c")
	c.run("begin")
	c.run("drop table c")
	c.run("create collection c")
	c.run("create index on c (name)")
	c.run("create index on c using gin (doc)")
	c.run("commit")
	c.run(`insert into c {_id: 'a', name: 'Ada', born: 1815, tags: ['x', 'y'], deep: {k: [{v: 1}]}}, {_id: 'b', name: 'Bob', born: 1815.0, tags: []}, {_id: 'n', name: ['Ada', 'Bob'], born: 'Ada'}`)
	var rows strings.Builder
	for i := range 200 {
		fmt.Fprintf(&rows, ", {_id: 'r%d', name: 'r%d', n: %d, tags: ['t%d', 'all']}", i, i, i, i%10)
	}
	c.want("INSERT 0 201", "insert into c {_id: 'r'}"+rows.String())
	c.run("create collection plain")
	c.want("INSERT 0 204", "insert into plain (_id, doc) select _id, doc from c")
	c.want("c_doc_idx|CREATE INDEX c_doc_idx ON public.c USING gin (doc)\nc_name_idx|CREATE INDEX c_name_idx ON public.c USING btree (document_field(doc, 'name'))\nSELECT 2",
		"select c.relname, pg_get_indexdef(c.oid) from pg_class c join pg_index i on i.indexrelid = c.oid where c.relname like 'c!_%idx' escape '!' order by 1")
	c.want("Index Scan using c_name_idx on c\n  Index Cond: (document_field(doc, 'name') = '\"Ada\"'::jsonb)\nEXPLAIN", "explain select * from c where name = 'Ada'")
	c.want("Index Scan using c_doc_idx on c\n  Index Cond: (doc -> 'born' = '1815'::jsonb)\n  Recheck Cond: (doc -> 'born' = '1815'::jsonb)\n  Filter\nEXPLAIN", "explain select * from c where born = 1815")
	conditions := map[string]string{
		"name = 'Ada'": "a", "born = 1815": "a b", "born = '1815'": "", "doc @> {tags: ['x']}": "a", "doc @> {}": "*", "tags @> '[\"y\", \"x\"]'": "a",
		"doc @> {deep: {k: [{v: 1}]}}": "a", "doc ? 'deep'": "a", "doc ? 'nope'": "", "name in ('Ada', 'Bob')": "a b", "n = 17": "r17", "doc @> '{\"name\": [\"Bob\"]}'": "n",
		"doc @> {n: 5} and tags @> '[\"t5\"]'": "r5", "deep.k = '[{\"v\": 1}]'::jsonb": "a", "doc @> '[]'": "", "n = 5 or n = 6": "r5 r6", "n is null and born = 'Ada'": "n",
	}
	for condition, want := range conditions {
		indexed := c.run("select _id from c where " + condition + " order by _id")
		whole := c.run("select _id from plain where " + condition + " order by _id")
		if indexed != whole {
			t.Errorf("%s\n by index: %s\nwithout it: %s", condition, indexed, whole)
		}
		if got := strings.Join(strings.Split(indexed, "\n")[:len(strings.Split(indexed, "\n"))-1], " "); want != "*" && got != want {
			t.Errorf("%s: got %q, want %q", condition, got, want)
		}
	}
	c.want("r7\nSELECT 1", "select _id from c where doc @> $1", `{"n": 7}`)
	c.want("204\nSELECT 1", "select count(*) from c where doc @> $1", `{}`)
	c.want("a\nb\nSELECT 2", "select _id from c where born = $1::int order by _id", "1815")
	c.want("UPDATE 1", "update c set tags[0] = 'z', born = 1 where _id = 'a'")
	c.want("SELECT 0", "select _id from c where tags @> '[\"x\"]'")
	c.want("a\nSELECT 1", "select _id from c where tags @> '[\"z\", \"y\"]' and born = 1")
	c.want("DELETE 100", "delete from c where n >= 100")
	c.want("0\nSELECT 1", "select count(*) from c where n = 150")
	checkIndexes(t, f, "c")
	c.want("CREATE INDEX", "create index on plain using gin (doc jsonb_path_ops)")
	c.want("CREATE INDEX", "create index on plain (born, name)")
	c.want("Index Scan using plain_doc_idx on plain\n  Index Cond: (doc @> '{\"n\": 150}'::jsonb)\n  Recheck Cond: (doc @> '{\"n\": 150}'::jsonb)\n  Filter\nEXPLAIN", "explain select * from plain where doc @> {n: 150}")
	c.want("r150\nSELECT 1", "select _id from plain where doc @> {n: 150}")
	c.want("204\nSELECT 1", "select count(*) from plain where doc ? 'n' or true")
	checkIndexes(t, f, "plain")
}
