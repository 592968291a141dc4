package sql

import (
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
	c.want("2|3727.5|1815|1912.50\nSELECT 1", "select count(born), sum(born), min(born), max(born) from c")
	c.want("f|1\nNULL|1\nt|1\nSELECT 3", "select born > 1900 as late, count(*) from c where born is null or born > 1815 or name = 'Ada' group by late order by 2")
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
