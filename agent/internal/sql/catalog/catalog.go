package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Meta is what the catalog needs of the meta range; *meta.Meta is one.
type Meta interface {
	View() *metastate.View
	Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error)
	// Wait returns when this node has applied the command at index.
	Wait(ctx context.Context, index uint64) error
}

// Public is the schema that every database has at first.
const Public = "public"

// Catalog finds objects by name and changes them.
type Catalog struct {
	meta Meta
	mu   struct {
		sync.Mutex
		tables map[cluster.ObjectID]*Table
		views  map[cluster.ObjectID]*View
		ids    idBlock
		// functions are the names of all functions of the version functionsOf of the schema.
		functions   map[string]bool
		functionsOf uint64
	}
	bodies struct { // tables are made ready, under mu, with those that they call
		sync.Mutex
		of map[cluster.ObjectID]*Body
	}
}

// idBlock are ids that the meta range gave to this node and that nobody has yet.
type idBlock struct{ next, end cluster.ObjectID }

// idsAtOnce is how many ids the meta range is asked for: what a migration makes, so
// that making an object mostly costs one round.
const idsAtOnce = 16

// New returns a catalog over meta.
func New(meta Meta) *Catalog {
	c := &Catalog{meta: meta}
	c.mu.tables, c.mu.views, c.bodies.of = map[cluster.ObjectID]*Table{}, map[cluster.ObjectID]*View{}, map[cluster.ObjectID]*Body{}
	return c
}

// View is the catalog, and all else of the meta range, at this moment.
func (c *Catalog) View() *metastate.View { return c.meta.View() }

// NewID returns the id of an object that is to be made.
func (c *Catalog) NewID(ctx context.Context) (cluster.ObjectID, error) {
	if id, ok := c.takeID(); ok {
		return id, nil
	}
	result, err := c.meta.Propose(ctx, metastate.Command{Via: metastate.ViaAgent, AllocateObjects: &metastate.AllocateObjects{Count: idsAtOnce}})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("ask for ids: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.ids = idBlock{result.Object + 1, result.Object + idsAtOnce} // of two that asked at once, one block is lost
	return result.Object, nil
}

func (c *Catalog) takeID() (cluster.ObjectID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.mu.ids.next
	if id == c.mu.ids.end {
		return 0, false
	}
	c.mu.ids.next++
	return id, true
}

// Create makes a collection in the draft of scope; existed says that IF NOT EXISTS found
// one. sound is asked about the expressions of the table.
func (c *Catalog) Create(ctx context.Context, in Scope, stmt *syntax.CreateCollection, by string, sound func(*Table) error) (next *Draft, existed bool, err error) {
	empty := stmt.Word == "COLLECTION" && len(stmt.Columns)+len(stmt.Like)+len(stmt.Constraints) == 0
	if empty {
		stmt = schemaless(stmt)
	}
	desc, err := in.describe(stmt)
	if err != nil {
		return nil, false, err
	}
	desc.Collection.Schemaless, desc.Collection.OnCommit = empty, stmt.OnCommit
	m := making{name: stmt.Name, ifNotExists: stmt.IfNotExists, pool: stmt.Pool, poolPosition: stmt.PoolPosition, by: by}
	if k := stmt.PrimaryKey(); k != nil {
		m.key = k.Name
	}
	next, existed, err = c.make(ctx, in, m, desc)
	if err != nil || existed {
		return next, existed, err
	}
	if err := c.numbered(ctx, in, next, desc, stmt); err != nil {
		return nil, false, err
	}
	copied, err := in.likeUniques(stmt.Like)
	if err != nil {
		return nil, false, err
	}
	if err := c.uniques(ctx, in, next, desc, slices.Concat(copied, stmt.Constraints)); err != nil {
		return nil, false, err
	}
	if err := c.adoptChecks(ctx, desc); err != nil {
		return nil, false, err
	}
	if err := c.addChecks(ctx, in, desc, stmt.Constraints); err != nil {
		return nil, false, err
	}
	if err := c.foreignKeys(ctx, in, next, desc, stmt.Constraints); err != nil {
		return nil, false, err
	}
	in = in.now(next)
	if err := in.bindCalls(desc); err != nil {
		return nil, false, err
	}
	t, err := in.NewTable(desc, nil)
	if err == nil {
		err = sound(t)
	}
	if err == nil {
		err = in.need(next, desc)
	}
	return next, false, err
}

// making says where a new collection is to be.
type making struct {
	name         syntax.Name
	ifNotExists  bool
	pool         string
	poolPosition int
	by           string
	key          string // the name of the primary key, "" if it is to be made up
}

// make puts a new collection into the draft of scope.
func (c *Catalog) make(ctx context.Context, in Scope, m making, desc *cluster.Object) (next *Draft, existed bool, err error) {
	schema, err := in.creationSchema(m.name)
	if err != nil {
		return nil, false, err
	}
	if _, taken := in.find(schema.ID, cluster.RelationNames, desc.Name); taken {
		if m.ifNotExists {
			return in.Draft, true, nil
		}
		return nil, false, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", desc.Name)}
	}
	if o, taken := in.find(schema.ID, cluster.TypeNames, desc.Name); taken {
		if o.Composite != nil { // whose attributes are listed as a relation's
			return nil, false, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", desc.Name)}
		}
		return nil, false, &syntax.Error{Code: "42710", Message: fmt.Sprintf("type %q already exists", desc.Name),
			Hint: "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type."}
	}
	if desc.Collection.Pool, err = poolOf(in.View, m.pool, m.poolPosition); err != nil {
		return nil, false, err
	}
	if desc.ID, err = c.NewID(ctx); err != nil {
		return nil, false, err
	}
	desc.Parent, desc.Owner = schema.ID, m.by
	if err := in.nameKey(desc, m.key); err != nil {
		return nil, false, err
	}
	in.born(desc)
	next = in.Draft.clone()
	next.rest(schema)
	next.add(desc)
	return next, false, nil
}

// poolOf finds the pool that a new collection is to be in.
func poolOf(view *metastate.View, name string, position int) (cluster.PoolID, error) {
	if name == "" {
		return cluster.DefaultPool, nil
	}
	pool, ok := view.Pool(name)
	switch {
	case !ok:
		return 0, &syntax.Error{
			Code: "42704", Message: fmt.Sprintf("there is no pool %q: %s", name, strings.Join(view.PoolNames(), ", ")), Position: position,
		}
	case pool.State != cluster.PoolReady:
		return 0, &syntax.Error{Code: "55006", Message: fmt.Sprintf("pool %q is %s: its ranges are still being made", name, pool.State), Hint: "SHOW OPERATIONS says how far it is."}
	}
	return pool.ID, nil
}

// Publish has the changes of a draft be what everybody sees, all or none. An error that
// Overtaken accepts says that others have changed the same objects: who has told nobody of
// the draft makes another one.
// It returns the operations that carry the changes on.
func (c *Catalog) Publish(ctx context.Context, d *Draft, by string) (operations []string, err error) {
	if d.Empty() {
		return nil, nil
	}
	result, err := c.propose(ctx, metastate.Command{By: by, Via: metastate.ViaSQL, ChangeObjects: d.change()})
	return result.Operations, err
}

// Prepare has the changes of a draft be as good as made, and seen by nobody until the
// record of the transaction says what became of that.
func (c *Catalog) Prepare(ctx context.Context, d *Draft, by string, id cluster.TxnID, record []byte) error {
	_, err := c.propose(ctx, metastate.Command{By: by, Via: metastate.ViaSQL, PrepareObjects: &metastate.PrepareObjects{Txn: id.String(), Record: record, Change: *d.change()}})
	return err
}

// Overtaken reports whether a change was refused because somebody else's came first.
func Overtaken(err error) bool {
	var refusal *metastate.Refusal
	return errors.As(err, &refusal) && (refusal.Code == metastate.CodeStale || refusal.Code == metastate.CodeExists || refusal.Code == metastate.CodeReferenced)
}

// Propose runs a command about anything else that SQL changes, and waits until
// this node shows its effect. A refusal is an error: *metastate.Refusal.
func (c *Catalog) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	return c.propose(ctx, cmd)
}

// propose runs the command and waits until this node shows its effect, so that
// the session's next statement sees it; one that is refused, too, so that who tries
// again sees why.
func (c *Catalog) propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	result, err := c.meta.Propose(ctx, cmd)
	if err != nil {
		return result, err
	}
	if err := c.meta.Wait(ctx, result.Index); err != nil {
		return result, fmt.Errorf("wait for the change to reach this node: %w", err)
	}
	return result, result.Err()
}
