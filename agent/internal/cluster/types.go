package cluster

import (
	"errors"
	"fmt"
)

// Domain is a type that is another one with demands.
type Domain struct {
	Type     string `json:"type"` // as in Column
	Modifier int32  `json:"modifier"`
	NotNull  bool   `json:"notNull,omitempty"`
	// Default is the SQL text of what columns get that have none of their own.
	Default string `json:"default,omitempty"`
	// Checks have VALUE for the value, and no columns.
	Checks []Check `json:"checks,omitempty"`
	// Array is the id by which catalogs name the type of its arrays.
	Array ObjectID `json:"array"`
}

// Enum is a type that lists its values.
type Enum struct {
	// Labels are in their order.
	Labels []EnumLabel `json:"labels,omitempty"`
	// NextLabel is the next id of a label: they never return.
	NextLabel uint32 `json:"nextLabel"`
	// Array is the id by which catalogs name the type of its arrays.
	Array ObjectID `json:"array"`
}

// EnumLabel is a value of an enum. Rows hold its id, keys its order: neither changes.
type EnumLabel struct {
	ID    uint32  `json:"id"`
	Name  string  `json:"name"`
	Order float64 `json:"order"`
}

// Composite is a type whose values have fields.
type Composite struct {
	Attributes []Attribute `json:"attributes,omitempty"`
	// NextAttribute is the next id of an attribute: they never return, values hold them.
	NextAttribute ColumnID `json:"nextAttribute"`
	// Array is the id by which catalogs name the type of its arrays, Relation that by which
	// they list its attributes.
	Array    ObjectID `json:"array"`
	Relation ObjectID `json:"relation"`
}

// Attribute is a field of a composite type.
type Attribute struct {
	ID   ColumnID `json:"id"`
	Name string   `json:"name"`
	// Type, UserType and Modifier are as those of a column.
	Type     string   `json:"type"`
	UserType ObjectID `json:"userType,omitempty"`
	Modifier int32    `json:"modifier"`
	Comment  string   `json:"comment,omitempty"`
}

func (c *Composite) validate() error {
	ids, names := map[ColumnID]bool{}, map[string]bool{}
	if c.Array == 0 || c.Relation == 0 {
		return errors.New("a composite type has a type of arrays, and a list of attributes")
	}
	for _, a := range c.Attributes {
		switch {
		case a.ID == 0 || a.ID >= c.NextAttribute || ids[a.ID]:
			return fmt.Errorf("the attribute %q has the id %d, which is taken or not below the next id %d", a.Name, a.ID, c.NextAttribute)
		case names[a.Name] || a.Name == "" || a.Type == "":
			return fmt.Errorf("the attribute %q is listed twice, or has no name or type", a.Name)
		}
		ids[a.ID], names[a.Name] = true, true
	}
	return nil
}

// Follows says what is wrong with the type as what becomes of old: values of old would be
// read as others.
func (c *Composite) Follows(old *Composite) error {
	if c.NextAttribute < old.NextAttribute {
		return fmt.Errorf("the next id of attributes goes back from %d to %d", old.NextAttribute, c.NextAttribute)
	}
	for _, a := range c.Attributes {
		was := false
		for _, o := range old.Attributes {
			was = was || o.ID == a.ID
		}
		if !was && a.ID < old.NextAttribute {
			return fmt.Errorf("the attribute %q has the id %d of another one", a.Name, a.ID)
		}
	}
	return nil
}

func (d *Domain) validate() error {
	if d.Type == "" || d.Array == 0 {
		return errors.New("a domain is of a type, and has one of arrays")
	}
	rows := Collection{Checks: d.Checks}
	return rows.validateChecks(nil)
}

func (e *Enum) validate() error {
	ids, names := map[uint32]bool{}, map[string]bool{}
	if e.Array == 0 {
		return errors.New("an enum has a type of arrays")
	}
	for i, l := range e.Labels {
		switch {
		case l.ID == 0 || l.ID >= e.NextLabel || ids[l.ID]:
			return fmt.Errorf("the value %q has the id %d, which is taken or not below the next id %d", l.Name, l.ID, e.NextLabel)
		case names[l.Name]:
			return fmt.Errorf("the value %q is listed twice", l.Name)
		case i > 0 && e.Labels[i-1].Order >= l.Order:
			return fmt.Errorf("the value %q is not behind the one before it", l.Name)
		}
		ids[l.ID], names[l.Name] = true, true
	}
	return nil
}

// Follows says what is wrong with the enum as what becomes of old: rows and keys with
// values of old would be read as others.
func (e *Enum) Follows(old *Enum) error {
	if e.NextLabel < old.NextLabel {
		return fmt.Errorf("the next id of values goes back from %d to %d", old.NextLabel, e.NextLabel)
	}
	orders := map[uint32]float64{}
	for _, l := range e.Labels {
		orders[l.ID] = l.Order
		was := false
		for _, o := range old.Labels {
			was = was || o.ID == l.ID
		}
		if !was && l.ID < old.NextLabel {
			return fmt.Errorf("the value %q has the id %d of another one", l.Name, l.ID)
		}
	}
	for _, l := range old.Labels {
		if order, there := orders[l.ID]; !there || order != l.Order {
			return fmt.Errorf("the value %q stays where it is", l.Name)
		}
	}
	return nil
}
