package catalog

import (
	"context"
	"errors"
	"fmt"
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

// Schema is the only schema there is.
const Schema = "public"

// Catalog finds collections by name and changes them.
type Catalog struct {
	meta Meta
	mu   struct {
		sync.Mutex
		tables map[cluster.CollectionID]*Table
	}
}

// New returns a catalog over meta.
func New(meta Meta) *Catalog {
	c := &Catalog{meta: meta}
	c.mu.tables = map[cluster.CollectionID]*Table{}
	return c
}

// View is the catalog, and all else of the meta range, at this moment.
func (c *Catalog) View() *metastate.View { return c.meta.View() }

// Lookup finds a collection in view; schema "" is the default one.
func (c *Catalog) Lookup(view *metastate.View, schema, name string) (*Table, bool) {
	if schema != "" && schema != Schema {
		return nil, false
	}
	desc, ok := view.Collections[name]
	if !ok {
		return nil, false
	}
	t, err := c.table(desc)
	return t, err == nil
}

// Resolve is Lookup with the error that PostgreSQL gives.
func (c *Catalog) Resolve(view *metastate.View, name syntax.Name) (*Table, error) {
	if name.Schema == "" || name.Schema == Schema {
		if desc, ok := view.Collections[name.Name]; ok {
			return c.table(desc)
		}
	}
	return nil, undefined(name)
}

func undefined(name syntax.Name) *syntax.Error {
	full := name.Name
	if name.Schema != "" {
		full = name.Schema + "." + name.Name
	}
	return &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", full), Position: name.Position}
}

// table returns the prepared form of desc, made once per version.
func (c *Catalog) table(desc *cluster.Collection) (*Table, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.mu.tables[desc.ID]; ok && t.Desc.Version == desc.Version {
		return t, nil
	}
	t, err := NewTable(desc)
	if err != nil {
		return nil, &syntax.Error{Code: "0A000", Message: err.Error(), Hint: "A newer version of NodeDB made it: upgrade this node."}
	}
	if len(c.mu.tables) > len(c.meta.View().Collections)+1000 {
		clear(c.mu.tables) // what was dropped would stay for ever
	}
	c.mu.tables[desc.ID] = t
	return t, nil
}

// Create creates the collection; existed says that IF NOT EXISTS found one.
// checkDefault is asked about each default.
func (c *Catalog) Create(ctx context.Context, stmt *syntax.CreateCollection, by string, checkDefault func(Column) error) (existed bool, err error) {
	if stmt.Name.Schema != "" && stmt.Name.Schema != Schema {
		return false, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", stmt.Name.Schema),
			Hint: "All collections live in the schema public.", Position: stmt.Name.Position}
	}
	desc, err := describe(stmt)
	if err != nil {
		return false, err
	}
	if stmt.Pool != "" {
		view := c.View()
		pool, ok := view.Pool(stmt.Pool)
		switch {
		case !ok:
			return false, &syntax.Error{
				Code: "42704", Message: fmt.Sprintf("there is no pool %q: %s", stmt.Pool, strings.Join(view.PoolNames(), ", ")), Position: stmt.PoolPosition,
			}
		case pool.State != cluster.PoolReady:
			return false, &syntax.Error{Code: "55006", Message: fmt.Sprintf("pool %q is %s: its ranges are still being made", stmt.Pool, pool.State), Hint: "SHOW OPERATIONS says how far it is."}
		}
		desc.Pool = pool.ID
	}
	t, err := NewTable(desc)
	if err != nil {
		return false, err
	}
	for _, column := range t.Columns {
		if column.Default == "" {
			continue
		}
		if err := checkDefault(column); err != nil {
			return false, err
		}
	}
	cmd := metastate.Command{By: by, Via: "sql", CreateCollection: &metastate.CreateCollection{Collection: *desc, IfNotExists: stmt.IfNotExists}}
	result, err := c.propose(ctx, cmd)
	var refusal *metastate.Refusal
	if errors.As(err, &refusal) && refusal.Code == metastate.CodeExists {
		return false, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", desc.Name)}
	}
	if err != nil {
		return false, fmt.Errorf("create collection: %w", err)
	}
	return result.Existed, nil
}

// Drop drops the collections, all or none; missing are those that IF EXISTS
// did not find.
func (c *Catalog) Drop(ctx context.Context, stmt *syntax.DropCollection, by string) (missing []string, err error) {
	view := c.View()
	cmd := metastate.Command{By: by, Via: "sql"}
	seen := map[string]bool{}
	for _, name := range stmt.Names {
		if _, ok := c.Lookup(view, name.Schema, name.Name); !ok {
			if !stmt.IfExists {
				return nil, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("table %q does not exist", name.Name)}
			}
			missing = append(missing, name.Name)
			continue
		}
		if !seen[name.Name] {
			cmd.Batch = append(cmd.Batch, metastate.Command{DropCollection: &metastate.DropCollection{Name: name.Name, IfExists: stmt.IfExists}})
		}
		seen[name.Name] = true
	}
	switch len(cmd.Batch) {
	case 0:
		return missing, nil
	case 1:
		cmd.DropCollection, cmd.Batch = cmd.Batch[0].DropCollection, nil
	}
	_, err = c.propose(ctx, cmd)
	var refusal *metastate.Refusal
	if errors.As(err, &refusal) && refusal.Code == metastate.CodeNotFound {
		return nil, &syntax.Error{Code: "42P01", Message: refusal.Message}
	}
	if err != nil {
		return nil, fmt.Errorf("drop collection: %w", err)
	}
	return missing, nil
}

// Propose runs a command about anything else that SQL changes, and waits until
// this node shows its effect. A refusal is an error: *metastate.Refusal.
func (c *Catalog) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	return c.propose(ctx, cmd)
}

// propose runs the command and waits until this node shows its effect, so that
// the session's next statement sees it.
func (c *Catalog) propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	result, err := c.meta.Propose(ctx, cmd)
	if err != nil {
		return result, err
	}
	if err := result.Err(); err != nil {
		return result, err
	}
	if err := c.meta.Wait(ctx, result.Index); err != nil {
		return result, fmt.Errorf("wait for the change to reach this node: %w", err)
	}
	return result, nil
}
