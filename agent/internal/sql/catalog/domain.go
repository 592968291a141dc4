package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// CreateDomain makes a domain in the draft of scope. sound is asked about it.
func (c *Catalog) CreateDomain(ctx context.Context, in Scope, stmt *syntax.CreateDomain, by string, sound func(*cluster.Object) error) (*Draft, error) {
	o := &cluster.Object{Kind: cluster.KindDomain, Owner: by, Domain: &cluster.Domain{NotNull: stmt.NotNull, Default: stmt.Default}}
	next, array, err := c.newType(ctx, in, stmt.Name, o)
	if err != nil {
		return nil, err
	}
	column, err := in.columnType(stmt.Type)
	if err != nil {
		return nil, err
	}
	if column.UserType != 0 {
		return nil, unsupportedAt("a domain of a domain or an enum", "", stmt.Type.Position)
	}
	if syntax.MentionsSequence(stmt.Default) {
		return nil, syntax.Unsupported("a sequence in the default of a domain", "Give the default to the columns.")
	}
	o.Domain.Type, o.Domain.Modifier, o.Domain.Array = column.Type, column.Modifier, array
	for i := range stmt.Constraints {
		if err := c.addDomainCheck(ctx, o, &stmt.Constraints[i]); err != nil {
			return nil, err
		}
	}
	if err := sound(o); err != nil {
		return nil, err
	}
	next.add(o)
	return next, nil
}

func domainCheck(o *cluster.Object, name string) int {
	return slices.IndexFunc(o.Domain.Checks, func(k cluster.Check) bool { return k.Name == name })
}

// addDomainCheck adds a CHECK, under a name that is made up if it has none.
func (c *Catalog) addDomainCheck(ctx context.Context, o *cluster.Object, k *syntax.Constraint) error {
	check := cluster.Check{Name: k.Name, Expression: k.Expr}
	if check.Name == "" {
		check.Name = madeName(o.Name, "", "check", func(name string) bool { return domainCheck(o, name) >= 0 })
	}
	if domainCheck(o, check.Name) >= 0 {
		return &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for domain %q already exists", check.Name, o.Name)}
	}
	if err := checkName(check.Name, 0); err != nil {
		return err
	}
	var err error
	if check.ID, err = c.NewID(ctx); err != nil {
		return err
	}
	rows := cluster.Collection{Checks: append(o.Domain.Checks, check)}
	sortChecks(&rows)
	o.Domain.Checks = rows.Checks
	return nil
}

// AlterDomain changes what a domain demands. What the rows of its columns might not
// satisfy is for domains without columns.
func (c *Catalog) AlterDomain(ctx context.Context, in Scope, stmt *syntax.AlterDomain, sound func(*cluster.Object) error) (*Draft, []Notice, error) {
	o, ok := in.UserType(stmt.Name)
	switch {
	case !ok:
		return nil, nil, noType(stmt.Name)
	case o.Domain == nil:
		return nil, nil, &syntax.Error{Code: "42809", Message: o.Name + " is not a domain"}
	}
	next, domain := *o, *o.Domain
	next.Domain, domain.Checks = &domain, slices.Clone(domain.Checks)
	used := len(in.usersOf(o.ID)) > 0
	switch action := stmt.Action.(type) {
	case *syntax.AlterDefault:
		domain.Default = action.Default
		if syntax.MentionsSequence(domain.Default) {
			return nil, nil, syntax.Unsupported("a sequence in the default of a domain", "Give the default to the columns.")
		}
	case *syntax.AlterNotNull:
		if action.NotNull && !domain.NotNull && used {
			return nil, nil, syntax.Unsupported("ALTER DOMAIN ... SET NOT NULL while columns are of the domain", "Make another domain.")
		}
		domain.NotNull = action.NotNull
	case *syntax.AddConstraint:
		if used {
			return nil, nil, syntax.Unsupported("ALTER DOMAIN ... ADD CONSTRAINT while columns are of the domain", "Make another domain.")
		}
		if err := c.addDomainCheck(ctx, &next, &action.Constraint); err != nil {
			return nil, nil, err
		}
	case *syntax.DropConstraint:
		i := domainCheck(o, action.Name)
		switch {
		case i < 0 && action.IfExists:
			return in.Draft, []Notice{{Code: "00000", Message: fmt.Sprintf("constraint %q of domain %q does not exist, skipping", action.Name, o.Name)}}, nil
		case i < 0:
			return nil, nil, noDomainCheck(o, action.Name)
		}
		domain.Checks = slices.Delete(domain.Checks, i, i+1)
	case *syntax.ValidateConstraint:
		if domainCheck(o, action.Name) < 0 {
			return nil, nil, noDomainCheck(o, action.Name)
		}
		return in.Draft, nil, nil // all are
	default:
		return nil, nil, syntax.Unsupported("this form of ALTER DOMAIN", "")
	}
	if err := sound(&next); err != nil {
		return nil, nil, err
	}
	return in.change(o, &next), nil, nil
}

func noDomainCheck(o *cluster.Object, name string) error {
	return &syntax.Error{Code: "42704", Message: fmt.Sprintf("constraint %q of domain %q does not exist", name, o.Name)}
}

// RenameDomainConstraint gives a constraint of a domain another name.
func (c *Catalog) RenameDomainConstraint(in Scope, stmt *syntax.Rename) (*Draft, error) {
	return c.ChangeType(in, syntax.Target{Kind: syntax.KindDomain, Name: stmt.Target.Name}, func(o *cluster.Object) error {
		i := domainCheck(o, stmt.Target.Part)
		switch {
		case i < 0:
			return noDomainCheck(o, stmt.Target.Part)
		case domainCheck(o, stmt.To) >= 0:
			return &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for domain %q already exists", stmt.To, o.Name)}
		}
		if err := checkName(stmt.To, 0); err != nil {
			return err
		}
		domain := *o.Domain
		rows := cluster.Collection{Checks: slices.Clone(domain.Checks)}
		rows.Checks[i].Name = stmt.To
		sortChecks(&rows)
		domain.Checks, o.Domain = rows.Checks, &domain
		return nil
	})
}
