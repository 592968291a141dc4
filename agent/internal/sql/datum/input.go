package datum

// InputFunction is what pg_type.typinput says of a type.
func (t Type) InputFunction() string {
	switch name := t.String(); {
	case t.IsVector():
		return name + "in"
	case t.IsArray():
		return "array_in"
	case t.IsEnum():
		return "enum_in"
	case t.IsInt(), t.IsFloat(), t == Bool, t == Text, t == Varchar, t == Bytea, t == Name, t == OID, t == Bpchar, t == Char, t.IsNumbered(), t == Tid, t == ACLItem:
		return name + "in"
	default:
		return name + "_in"
	}
}
