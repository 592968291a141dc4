package cluster

// Collection is the descriptor of what SQL calls a table.
type Collection struct {
	ID      CollectionID `json:"id"`
	Name    string       `json:"name"`
	Pool    PoolID       `json:"pool,omitempty"` // where its rows live
	Version uint64       `json:"version"`        // rises with each change of the descriptor
	Columns []Column     `json:"columns"`
	// PrimaryKey lists column ids in key order; never empty.
	PrimaryKey []ColumnID `json:"primaryKey"`
	NextColumn ColumnID   `json:"nextColumn"`
}

// Column describes one column.
type Column struct {
	ID   ColumnID `json:"id"`
	Name string   `json:"name"`
	// Type is PostgreSQL's name of the type: bool int2 int4 int8 float4 float8
	// numeric text varchar bytea uuid date timestamp timestamptz jsonb.
	Type string `json:"type"`
	// Modifier is PostgreSQL's typmod (-1: none), e.g. of varchar(20), numeric(10,2).
	Modifier int32  `json:"modifier"`
	NotNull  bool   `json:"notNull,omitempty"`
	Default  string `json:"default,omitempty"` // SQL text of the expression
	Hidden   bool   `json:"hidden,omitempty"`  // the generated key of a collection without one
}

// Column returns the column called name.
func (c *Collection) Column(name string) (*Column, bool) {
	for i := range c.Columns {
		if c.Columns[i].Name == name {
			return &c.Columns[i], true
		}
	}
	return nil, false
}

// ColumnByID returns the column with the id.
func (c *Collection) ColumnByID(id ColumnID) (*Column, bool) {
	for i := range c.Columns {
		if c.Columns[i].ID == id {
			return &c.Columns[i], true
		}
	}
	return nil, false
}
