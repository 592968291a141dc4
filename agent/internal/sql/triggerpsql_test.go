package sql

import (
	"strings"
	"testing"
)

// TestTriggersInPsql: what psql's \d asks of a table with triggers.
func TestTriggersInPsql(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.want("CREATE TABLE", "create table t (id int primary key)")
	c.want("CREATE TRIGGER", "create trigger a before insert on t as $$ select 1 $$")
	oid := strings.TrimSuffix(c.run("select oid from pg_class where relname = 't' and relhastriggers"), "\nSELECT 1")
	c.want("SELECT 0", `SELECT conname, conrelid::pg_catalog.regclass AS ontable, pg_catalog.pg_get_constraintdef(oid, true) AS condef
  FROM pg_catalog.pg_constraint c
 WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('`+oid+`') UNION ALL VALUES ('`+oid+`'::pg_catalog.regclass))
       AND contype = 'f' AND conparentid = 0 ORDER BY conname`)
	c.want("a|CREATE TRIGGER a BEFORE INSERT ON t FOR EACH STATEMENT BEGIN select 1; END|O|f|NULL\nSELECT 1", `SELECT t.tgname, pg_catalog.pg_get_triggerdef(t.oid, true), t.tgenabled, t.tgisinternal,
  CASE WHEN t.tgparentid != 0 AND t.tgisinternal THEN
    (SELECT u.tgrelid::pg_catalog.regclass
     FROM pg_catalog.pg_trigger AS u,
          pg_catalog.pg_partition_ancestors(t.tgrelid) WITH ORDINALITY AS a(relid, depth)
     WHERE u.tgname = t.tgname AND u.tgrelid = a.relid
           AND u.tgparentid = 0
     ORDER BY a.depth LIMIT 1)
  END AS parent
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = '`+oid+`' AND (NOT t.tgisinternal OR (t.tgisinternal AND t.tgenabled = 'D')
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend WHERE objid = t.oid
        AND refclassid = 'pg_catalog.pg_trigger'::pg_catalog.regclass))
ORDER BY 1;`)
}
