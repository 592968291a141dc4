package sql

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// What a schema change does with foreign keys: who writes to either table keeps them from
// the first, those of the table that is referenced as well, so ranges are told of both.

// internalRun is for work that no session asks for.
func (s *Server) internalRun(env *queryplan.Env) *exec.Run {
	return &exec.Run{DB: s.cfg.DB, Planted: s.cfg.Planted.exec(), Env: env, Tables: func(id cluster.ObjectID) (*catalog.Table, bool) {
		return s.catalog.Scope(nil, 0, nil).TableByID(id)
	}}
}

// raiseReferenced has ranges refuse writes to the tables that are to be referenced by those
// who do not know of that.
func (c *schemaChange) raiseReferenced(ctx context.Context) error {
	for _, k := range c.object.Collection.ForeignKeys {
		o := c.server.catalog.View().Objects[k.Table]
		if !slices.Contains(c.what.ForeignKeys, k.ID) || o == nil || o.ID == c.object.ID {
			continue
		}
		fence := []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: o.RowsID(), Version: o.Version}}}
		if err := c.server.cfg.DB.Raise(ctx, o.Collection.Pool, fence); err != nil {
			return fmt.Errorf("have all ranges ask for version %d of what is referenced: %w", o.Version, err)
		}
	}
	return nil
}

// takeBackKeys has the foreign keys of the change go, or be as they were: not valid.
func (c *schemaChange) takeBackKeys(rows *cluster.Collection) {
	ours := func(k *cluster.ForeignKey) bool { return k.State != "" && slices.Contains(c.what.ForeignKeys, k.ID) }
	rows.ForeignKeys = slices.DeleteFunc(rows.ForeignKeys, func(k cluster.ForeignKey) bool {
		return ours(&k) && !(c.what.Validate && k.NotValid) // which was there before
	})
	for i := range rows.ForeignKeys {
		if k := &rows.ForeignKeys[i]; ours(k) {
			k.State = ""
		}
	}
}

// forgetKeys has tables forget foreign keys that reference them no more.
func (c *schemaChange) forgetKeys(ctx context.Context) error {
	objects := c.server.catalog.View().Objects
	child := objects[c.what.Table]
	gone := func(r cluster.Referrer) bool {
		return r.Table == c.what.Table && (slices.Contains(c.what.ForeignKeys, r.Key) || slices.Contains(c.what.Leaves, r.Key)) && (child == nil ||
			!slices.ContainsFunc(child.Collection.ForeignKeys, func(k cluster.ForeignKey) bool { return k.ID == r.Key }))
	}
	for id, o := range objects {
		if o.Collection == nil || !slices.ContainsFunc(o.Collection.ReferencedBy, gone) {
			continue
		}
		err := c.alterTable(ctx, id, func(rows *cluster.Collection) {
			rows.ReferencedBy = slices.DeleteFunc(slices.Clone(rows.ReferencedBy), gone)
		})
		if err != nil {
			return fmt.Errorf("have table %q forget a foreign key: %w", o.Name, err)
		}
	}
	return nil
}

// prove looks at the rows of tables that the transaction has made, for foreign keys that
// were added to them.
func (s *Session) prove(ctx context.Context, env *queryplan.Env, keys []cluster.Referrer) error {
	for _, k := range keys {
		t, ok := s.scope().TableByID(k.Table)
		if !ok {
			continue
		}
		run := s.server.internalRun(env)
		run.Tx, run.Memory = s.tx, s.memory
		run.Tables = func(id cluster.ObjectID) (*catalog.Table, bool) { return s.scope().TableByID(id) }
		if err := run.ProveForeignKey(ctx, t, k.Key); err != nil {
			return err
		}
	}
	return nil
}

// leave has constraints go in whose stead others are by now.
func (c *schemaChange) leave(rows *cluster.Collection) {
	left := func(id cluster.ObjectID) bool { return slices.Contains(c.what.Leaves, id) }
	rows.Checks = slices.DeleteFunc(rows.Checks, func(k cluster.Check) bool { return k.Leaving && left(k.ID) })
	rows.ForeignKeys = slices.DeleteFunc(rows.ForeignKeys, func(k cluster.ForeignKey) bool { return k.Leaving && left(k.ID) })
}

// comeBack has constraints be there again in whose stead others were to be. Writers have
// obeyed them all the time; their names somebody else may have.
func (c *schemaChange) comeBack(rows *cluster.Collection) {
	left := func(id cluster.ObjectID) bool { return slices.Contains(c.what.Leaves, id) }
	for i := range rows.Checks {
		if k := &rows.Checks[i]; k.Leaving && left(k.ID) {
			k.Name = freeName(k.Name, func(name string) bool { _, taken := rows.Check(name); return taken })
			k.Leaving = false
		}
	}
	for i := range rows.ForeignKeys {
		if k := &rows.ForeignKeys[i]; k.Leaving && left(k.ID) {
			k.Name = freeName(k.Name, func(name string) bool { _, taken := rows.ForeignKey(name); return taken })
			k.Leaving = false
		}
	}
	for i := range rows.Indexes {
		x := &rows.Indexes[i]
		if !x.Dropped || !left(x.ID) {
			continue
		}
		if len(rows.PrimaryColumns()) > 0 && x.Constraint == cluster.PrimaryConstraint {
			x.Constraint = cluster.UniqueConstraint
		}
		x.Name = freeName(x.Name, func(name string) bool {
			_, ours := rows.Index(name)
			o, taken := c.server.catalog.View().Find(c.object.Parent, cluster.RelationNames, name)
			return ours || taken && o.ID != c.object.ID || name == rows.KeyName
		})
		x.Dropped, x.State = false, ""
	}
}

// freeName is a name, or one like it if that is taken.
func freeName(name string, taken func(string) bool) string {
	out := name
	for n := 1; taken(out); n++ {
		out = name + "_" + strconv.Itoa(n)
	}
	return out
}

// drops are the indexes that go: not those that stay as the change has come to nothing.
func (c *schemaChange) drops() []cluster.ObjectID {
	if c.op.Failure == nil && c.op.State != cluster.OpCancelling {
		return c.what.Drops
	}
	return slices.DeleteFunc(slices.Clone(c.what.Drops), func(id cluster.ObjectID) bool { return slices.Contains(c.what.Leaves, id) })
}
