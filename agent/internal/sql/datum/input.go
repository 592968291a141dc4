package datum

// InputFunction is what pg_type.typinput says of a type.
func (t Type) InputFunction() string {
	switch name := t.String(); {
	case t == Int2Vector:
		return "int2vectorin"
	case t.IsArray():
		return "array_in"
	case t.IsEnum():
		return "enum_in"
	case t.IsInt(), t.IsFloat(), t == Bool, t == Text, t == Varchar, t == Bytea, t == Name, t == OID, t == Bpchar, t == Char:
		return name + "in"
	default:
		return name + "_in"
	}
}

// InputFunctions are those of all types.
func InputFunctions() []string {
	out := []string{"array_in", "enum_in", "domain_in", "int2vectorin"}
	for _, t := range Types() {
		out = append(out, t.InputFunction())
	}
	return out
}
