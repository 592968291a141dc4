package permit

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createFunction wants to make a function, or to have it do something else.
func (p *permitting) createFunction(node *syntax.CreateFunction) error {
	if node.Replace {
		var args []syntax.TypeName
		for _, a := range node.Parameters {
			if a.Mode == cluster.ParameterIn || a.Mode == cluster.ParameterInOut {
				args = append(args, a.Type)
			}
		}
		o, err := p.FindFunction(syntax.Target{Kind: syntax.KindRoutine, Name: node.Name, Args: &args})
		if schema, ok := p.CreationSchema(node.Name); err == nil && ok && o.Parent == schema.ID && !p.Rights.Owns(o) {
			return catalog.NotOwner(o)
		}
	}
	return p.create(node.Name)
}

// ownFunctions wants to do what the owners of functions may.
func (p *permitting) ownFunctions(list ...syntax.Target) error {
	for _, t := range list {
		if err := p.use(t.Name); err != nil {
			return err
		}
		if o, err := p.FindFunction(t); err == nil && !p.Rights.Owns(o) {
			return catalog.NotOwner(o)
		}
	}
	return nil
}

// dropFunctions: what is in a schema its owner drops, too.
func (p *permitting) dropFunctions(list []syntax.Target) error {
	for _, t := range list {
		err := p.ownFunctions(t)
		if o, missing := p.FindFunction(t); missing == nil && err != nil {
			if schema, ok := p.Object(o.Parent); ok && p.Rights.Owns(schema) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
