package datum

// casts are the casts between types of which none is text, as in pg_cast.
var casts = map[Type][]Type{ //nolint:gochecknoglobals // never changed
	Bool:        {Int4},
	Char:        {Int4},
	Int2:        {OID},
	Int4:        {OID, Bool, Char, Bit},
	Int8:        {OID, Bit},
	OID:         {Int4, Int8},
	JSON:        {JSONB},
	JSONB:       {JSON, Bool, Int2, Int4, Int8, Float4, Float8, Numeric},
	Inet:        {Cidr},
	Cidr:        {Inet},
	Date:        {Timestamp, Timestamptz},
	Timestamp:   {Date, Time, Timestamptz},
	Timestamptz: {Date, Time, Timetz, Timestamp},
	Time:        {Interval, Timetz},
	Timetz:      {Time},
	Interval:    {Time},
	Bit:         {Varbit, Int4, Int8},
	Varbit:      {Bit},
}

// Castable reports whether an explicit cast from one type to another exists.
func Castable(from, to Type) bool {
	anything := func(t Type) bool { return t.IsString() && t != Char }
	switch {
	case from == to, from == Unknown, to == Unknown, from.IsEnum(), to.IsEnum(), from == Record && to.IsComposite(), from.IsVector(), to.IsVector():
		return true // or is for others to say
	case anything(from), anything(to):
		return true // by the text of the value
	case from.IsArray() || to.IsArray():
		return from.IsArray() && to.IsArray() && Castable(from.Elem(), to.Elem())
	case from.IsNumber() && to.IsNumber():
		return true
	}
	if from.IsRegistry() || to.IsRegistry() {
		return castableNumber(from, to)
	}
	for _, t := range casts[from] {
		if t == to {
			return true
		}
	}
	return false
}

// castableNumber reports whether there is a cast between the numbers of objects of a kind
// and another type.
func castableNumber(from, to Type) bool {
	switch {
	case !from.IsRegistry():
		return from == OID || from.IsInt()
	case !to.IsRegistry():
		return to == OID || to == Int4 || to == Int8
	}
	return from == Regproc && to == Regprocedure || from == Regprocedure && to == Regproc || from == Regoper && to == Regoperator || from == Regoperator && to == Regoper
}

// CastContext says how willing a conversion is.
type CastContext uint8

const (
	Implicit   CastContext = iota // an operator's or function's argument
	Assignment                    // into a column
	Explicit                      // written as a cast
)

// Allowed follows pg_cast: which conversions happen by themselves.
func Allowed(from, to Type, how CastContext) bool {
	switch {
	case from == to, from == Unknown:
		return true
	case how == Explicit:
		return Castable(from, to)
	case from.IsArray() && to.IsArray():
		return Allowed(from.Elem(), to.Elem(), how)
	case from.IsNumber() && to.IsNumber():
		return how == Assignment || widens(from, to)
	case from.IsString() && to.IsString():
		return true
	case to == Text || to == Varchar || to == Bpchar:
		return how == Assignment
	case from.IsDateTime() && to.IsDateTime():
		return how == Assignment || from < to
	case from == JSON && to == JSONB, from == JSONB && to == JSON:
		return how == Assignment
	case from.IsInt() && to == OID, SameValue(from, to), (from.IsInt() || from == OID) && to.IsRegistry(), from.IsRegistry() && to == OID:
		return true
	case from == Inet && to == Cidr, from == Varbit && to == Bit:
		return how == Assignment
	case (from == OID || from.IsRegistry()) && (to == Int4 || to == Int8):
		return how == Assignment
	case from == Time && (to == Timetz || to == Interval):
		return true
	case OfDay(from, to):
		return how == Assignment
	default:
		return false
	}
}

// SameValue reports whether a value of one type is one of the other, with the same key.
func SameValue(from, to Type) bool {
	return from == Cidr && to == Inet || from == Bit && to == Varbit
}

// OfDay reports whether a cast concerns times of day.
func OfDay(from, to Type) bool {
	switch to {
	case Time:
		return from == Timestamp || from == Timestamptz || from == Timetz || from == Interval
	case Timetz:
		return from == Time || from == Timestamptz
	case Interval:
		return from == Time
	default:
		return false
	}
}

// widens reports whether numbers of type from become a to by themselves.
func widens(from, to Type) bool {
	switch {
	case from.IsInt():
		return from < to
	case from == Numeric:
		return to.IsFloat()
	default:
		return from == Float4 && to == Float8
	}
}

// CommonType is the type that values of two types are compared and unified in.
func CommonType(a, b Type) (Type, bool) {
	switch {
	case a == b:
		return a, true
	case a.IsInt() && b.IsInt():
		return max(a, b), true
	case a.IsNumber() && b.IsNumber():
		if a.IsFloat() || b.IsFloat() {
			return Float8, true
		}
		return Numeric, true
	case a.IsString() && b.IsString():
		return Text, true
	case a.IsDateTime() && b.IsDateTime():
		return max(a, b), true
	case a.IsInet() && b.IsInet():
		return Inet, true
	case a.IsBits() && b.IsBits():
		return Varbit, true
	case a == OID && b.IsInt(), a.IsInt() && b == OID:
		return OID, true
	case a.IsRegistry() && (b == OID || b.IsInt()), b.IsRegistry() && (a == OID || a.IsInt()), a.IsRegistry() && b.IsRegistry():
		return OID, true
	case a == Time && b == Timetz, a == Timetz && b == Time:
		return Timetz, true
	default:
		return 0, false
	}
}
