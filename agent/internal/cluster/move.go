package cluster

import (
	"errors"
	"slices"
)

// Place is where rows, or the entries of an index, are: under an id, in a pool.
type Place struct {
	Pool PoolID   `json:"pool,omitempty"`
	ID   ObjectID `json:"id"`
}

// Move is a table's way to another pool. Who writes writes in both places until it is over,
// by one transaction, so that they say the same at each time from Since on.
type Move struct {
	Pool PoolID `json:"pool,omitempty"`
	// State is delete-only while there may be those who write and do not know of the move:
	// what these change or delete must not be there. Then it is write-only.
	State   ElementState `json:"state"`
	Rows    ObjectID     `json:"rows"` // the id that the rows have there
	Indexes []IndexMove  `json:"indexes,omitempty"`
	// Since is the time, as a timestamp, from which on what is there is whole; 0: it is not.
	Since uint64 `json:"since,omitempty"`
	// Closing says that the old place is being closed for good: there is no way back.
	Closing bool `json:"closing,omitempty"`
	// Converts are the columns that are of another type there. Then the pool may be the same.
	Converts []Conversion `json:"converts,omitempty"`
}

// Conversion is what becomes of a column of a table whose rows are written anew.
type Conversion struct {
	Column   ColumnID `json:"column"`
	Type     string   `json:"type"` // as Column has it, and so UserType, Modifier and Default
	UserType ObjectID `json:"userType,omitempty"`
	Modifier int32    `json:"modifier"`
	Default  string   `json:"default,omitempty"`
	// Using is the SQL text that computes the value from the row as it was; "": the value
	// itself, as it is assigned to the new type.
	Using string `json:"using,omitempty"`
	// Explicit says that it is cast to the new type, and not assigned.
	Explicit bool `json:"explicit,omitempty"`
	// Zone is the time zone in which, and Moment the time, in microseconds since 1970, as of
	// which that is done, whoever does it.
	Zone   string `json:"zone,omitempty"`
	Moment int64  `json:"moment,omitempty"`
}

// Converts are the columns of a table that are becoming of another type.
func (c *Collection) Converts() []Conversion {
	if c == nil || c.Move == nil {
		return nil
	}
	return c.Move.Converts
}

// Converted is a table as it is once its columns are of the types that they become, in the
// place where it is.
func (c *Collection) Converted() *Collection {
	out := *c
	out.Columns, out.Move = slices.Clone(c.Columns), nil
	for _, k := range c.Move.Converts {
		for i := range out.Columns {
			if col := &out.Columns[i]; col.ID == k.Column {
				col.Type, col.UserType, col.Modifier, col.Default, col.Missing = k.Type, k.UserType, k.Modifier, k.Default, nil
			}
		}
	}
	return &out
}

// IndexMove says which id an index has in the other pool.
type IndexMove struct {
	Index ObjectID `json:"index"`
	To    ObjectID `json:"to"`
}

// RowsID is the id under which the rows are: the object's own, until they were moved.
func (o *Object) RowsID() ObjectID {
	if o.Collection != nil && o.Collection.Rows != 0 {
		return o.Collection.Rows
	}
	return o.ID
}

// IndexTo is where the entries of an index are to be.
func (m *Move) IndexTo(id ObjectID) (Place, bool) {
	for _, x := range m.Indexes {
		if x.Index == id {
			return Place{m.Pool, x.To}, true
		}
	}
	return Place{}, false
}

// Places are all places in which a table keeps anything: those of its rows and of its
// indexes, and while it is moved those that they will have.
func (o *Object) Places() []Place {
	rows := o.Collection
	if rows == nil {
		return nil
	}
	out := []Place{{rows.Pool, o.RowsID()}}
	for i := range rows.Indexes {
		out = append(out, Place{rows.Pool, rows.Indexes[i].ID})
	}
	if m := rows.Move; m != nil {
		out = append(out, Place{m.Pool, m.Rows})
		for _, x := range m.Indexes {
			out = append(out, Place{m.Pool, x.To})
		}
	}
	return out
}

// StoredIDs are the ids under which a table keeps anything.
func (o *Object) StoredIDs() []ObjectID {
	var out []ObjectID
	for _, p := range o.Places() {
		out = append(out, p.ID)
	}
	return out
}

// Stored is what is in a place of the table, as a collection that was dropped.
func (p Place) Stored(table *Object) Object {
	name := table.Name
	for i := range table.Collection.Indexes {
		if x := &table.Collection.Indexes[i]; x.ID == p.ID {
			name = x.Name
		}
	}
	return Object{ID: p.ID, Parent: table.Parent, Kind: KindTable, Name: name, Owner: table.Owner, Collection: &Collection{Pool: p.Pool}}
}

// Arrive has the table be where it was on its way to.
func (c *Collection) Arrive(id ObjectID) {
	m := c.Move
	c.Left, c.LeftTypes = &Place{c.Pool, (&Object{ID: id, Collection: c}).RowsID()}, len(m.Converts) > 0
	c.Columns = c.Converted().Columns
	c.Pool, c.Rows, c.Since, c.Move = m.Pool, m.Rows, m.Since, nil
	for i := range c.Indexes {
		if to, ok := m.IndexTo(c.Indexes[i].ID); ok {
			c.Indexes[i].ID, c.Indexes[i].Since = to.ID, m.Since
		}
	}
}

func (c *Collection) validateMove() error {
	switch m := c.Move; {
	case m == nil:
		return nil
	case m.Pool == c.Pool && len(m.Converts) == 0 || m.Rows == 0:
		return errors.New("it is moved to where it is")
	case m.State != ElementDeleteOnly && m.State != ElementWriteOnly:
		return errors.New("its move is in an unknown state")
	case m.Since != 0 && m.State != ElementWriteOnly:
		return errors.New("it is whole elsewhere before all write there")
	case m.Closing && m.Since == 0:
		return errors.New("it is closed before it is whole elsewhere")
	case len(m.Indexes) != len(c.Indexes):
		return errors.New("not all of its indexes are moved with it")
	}
	for _, k := range c.Move.Converts {
		if _, ok := c.ColumnByID(k.Column); !ok || k.Type == "" {
			return errors.New("a column that it does not have becomes of another type")
		}
	}
	for i := range c.Indexes {
		if to, ok := c.Move.IndexTo(c.Indexes[i].ID); !ok || to.ID == 0 {
			return errors.New("an index of it is not moved with it")
		}
	}
	return nil
}
