package metastate

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func (c *change) createCollection(in *CreateCollection) Result {
	col := in.Collection
	if old, ok := c.view.Collections[col.Name]; ok {
		if in.IfNotExists {
			return Result{Existed: true, Collection: old}
		}
		return refused(CodeExists, "collection %q already exists", col.Name)
	}
	if p := c.view.Pools[col.Pool]; p == nil || p.State != cluster.PoolReady {
		return refused(CodeConflict, "collection %q: pool %s is not ready yet", col.Name, c.view.PoolName(col.Pool))
	}
	if err := validateCollection(&col); err != nil {
		return refused(CodeInvalid, "collection %q: %v", col.Name, err)
	}
	col.ID, col.Version = c.view.next.Collection, 1
	c.view.next.Collection++
	c.view.SchemaVersion++
	c.heads = true
	c.event(cluster.Event{Kind: cluster.EventCollectionCreated, Text: fmt.Sprintf("collection %q was created", col.Name)})
	return Result{Collection: c.putCollection(col)}
}

func validateCollection(col *cluster.Collection) error {
	if col.Name == "" {
		return errors.New("it has no name")
	}
	ids, names := map[cluster.ColumnID]bool{}, map[string]bool{}
	for _, f := range col.Columns {
		switch {
		case f.ID == 0 || f.ID >= col.NextColumn:
			return fmt.Errorf("column %q has id %d, which must be set and below the next id %d", f.Name, f.ID, col.NextColumn)
		case f.Name == "" || f.Type == "":
			return fmt.Errorf("column %d has no name or no type", f.ID)
		case ids[f.ID] || names[f.Name]:
			return fmt.Errorf("column %q is listed twice", f.Name)
		}
		ids[f.ID], names[f.Name] = true, true
	}
	if len(col.PrimaryKey) == 0 {
		return errors.New("it has no primary key")
	}
	keyed := map[cluster.ColumnID]bool{}
	for _, id := range col.PrimaryKey {
		if !ids[id] || keyed[id] {
			return fmt.Errorf("primary key column %d is unknown or listed twice", id)
		}
		keyed[id] = true
	}
	return nil
}

func (c *change) removeCollection(in *DropCollection) Result {
	col, ok := c.view.Collections[in.Name]
	if !ok {
		if in.IfExists {
			return Result{Existed: true}
		}
		return refused(CodeNotFound, "collection %q does not exist", in.Name)
	}
	c.dropCollection(col)
	c.view.SchemaVersion++
	c.heads = true
	c.event(cluster.Event{Kind: cluster.EventCollectionDropped, Text: fmt.Sprintf("collection %q was dropped", col.Name)})
	return Result{Collection: col}
}

func (c *change) forgetDropped(in *ForgetDropped) Result {
	existed := true
	for _, id := range in.Collections {
		d := c.view.Dropped[id]
		if d == nil {
			continue
		}
		delete(own(c, &c.view.Dropped), id)
		c.erase(kindDropped, idKey(uint64(id)))
		c.event(cluster.Event{Kind: cluster.EventCollectionFreed, Text: fmt.Sprintf("the rows of collection %q, dropped at %s, are gone", d.Collection.Name, d.DroppedAt.UTC().Format(time.RFC3339))})
		existed = false
	}
	return Result{Existed: existed}
}

func (c *change) setSetting(in *SetSetting) Result {
	if in.Name == "" || len(in.Name) > 64 || len(in.Value) > 1024 {
		return refused(CodeInvalid, "a setting needs a name of at most 64 bytes and a value of at most 1024")
	}
	if c.view.Settings[in.Name] == in.Value {
		return Result{Existed: true}
	}
	settings := Settings{}
	maps.Copy(settings, c.view.Settings)
	settings[in.Name] = in.Value
	if in.Value == "" {
		delete(settings, in.Name)
	}
	c.view.Settings = settings
	c.event(cluster.Event{Kind: cluster.EventSettingChanged, Text: fmt.Sprintf("setting %s is now %s", in.Name, orDefault(in.Value)), Data: map[string]string{"name": in.Name, "value": in.Value}})
	c.heads = true
	return Result{}
}

func orDefault(value string) string {
	if value == "" {
		return "the default"
	}
	return value
}
