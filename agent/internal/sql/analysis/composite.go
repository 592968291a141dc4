package analysis

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// composite is the category of composite types.
const composite = 'C'

// form is the form of a composite type; nil: it is none.
func (a *analysis) form(t oid) *datum.CompositeType {
	if v, ok := a.valueType(t); ok && v.IsComposite() {
		return v.CompositeType()
	}
	return nil
}

// asComposite is coerce_record_to_complex: ROW(...) as a value of a composite type.
func (a *analysis) asComposite(e *expr, to oid, by askedFor, at int32) *expr {
	form := a.form(to)
	if form == nil {
		return of(to, e.at, "")
	}
	wrong := func(at int32, detail string) {
		was := a.err
		a.refuse("42846", at, "cannot cast type record to %s", a.sqlName(to))
		if was == nil && a.err != nil {
			a.err.Detail = detail
		}
	}
	kids := make([]*expr, len(e.row))
	for i, k := range e.row {
		if i == len(form.Fields) {
			wrong(at, "Input has too many columns.")
			break
		}
		t := a.typeOf(form.Fields[i].Type)
		if kids[i] = k; k.typ != unsure && !a.converts(k.typ, t, by) {
			wrong(k.at, "Cannot cast type "+a.sqlName(k.typ)+" to "+a.sqlName(t)+" in column "+strconv.Itoa(i+1)+".")
			continue
		}
		kids[i] = a.coerceBy(k, t, by)
	}
	if len(e.row) < len(form.Fields) {
		wrong(at, "Input has too few columns.")
	}
	return of(to, at, "row", kids...)
}

// fields is (r).f.g.
func (a *analysis) fields(e *expr, x *pg.A_Indirection) *expr {
	for _, n := range x.Indirection {
		name := n.GetString_()
		if name == nil {
			return of(unsure, e.at, "", e)
		}
		form := a.form(e.typ)
		switch {
		case e.typ == unsure, e.typ == record:
			return of(unsure, e.at, "", e)
		case form == nil:
			a.refuse("42809", e.at, "column notation .%s applied to type %s, which is not a composite type", name.Sval, a.sqlName(e.typ))
			return of(unsure, e.at, "", e)
		}
		i := form.Field(name.Sval)
		if i < 0 {
			a.refuse("42703", e.at, "column \"%s\" not found in data type %s", name.Sval, a.sqlName(e.typ))
			return of(unsure, e.at, "", e)
		}
		e = of(a.typeOf(form.Fields[i].Type), e.at, "field "+name.Sval, e).with(form.Fields[i].Modifier + 1)
	}
	return e
}
