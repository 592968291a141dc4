package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// identityValue says what becomes of a value that an INSERT gives to a column: useDefault
// has the column take its default instead.
func identityValue(override pg.OverridingKind, column *catalog.Column) (useDefault bool, err error) {
	switch {
	case column.Generated != "":
		out := fail("428C9", 0, "cannot insert a non-DEFAULT value into column %q", column.Name)
		out.Detail = "Column \"" + column.Name + "\" is a generated column."
		return false, out
	case !column.Identity || override == pg.OverridingKind_OVERRIDING_SYSTEM_VALUE:
		return false, nil
	case override == pg.OverridingKind_OVERRIDING_USER_VALUE:
		return true, nil
	case !column.Always:
		return false, nil
	}
	out := fail("428C9", 0, "cannot insert a non-DEFAULT value into column %q", column.Name)
	out.Detail = "Column \"" + column.Name + "\" is an identity column defined as GENERATED ALWAYS."
	out.Hint = "Use OVERRIDING SYSTEM VALUE to override."
	return false, out
}

// identitySet refuses to set an identity that takes no other values, and what is computed.
func identitySet(value *pg.Node, column *catalog.Column) error {
	if multi := value.GetMultiAssignRef(); multi != nil {
		value = rowPart(multi)
	}
	if !column.Always && column.Generated == "" || value.GetSetToDefault() != nil {
		return nil
	}
	out := fail("428C9", 0, "column %q can only be updated to DEFAULT", column.Name)
	if column.Generated != "" {
		out.Detail = "Column \"" + column.Name + "\" is a generated column."
		return out
	}
	out.Detail = "Column \"" + column.Name + "\" is an identity column defined as GENERATED ALWAYS."
	return out
}
