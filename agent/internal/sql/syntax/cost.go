package syntax

// Measured: PostgreSQL's tree takes 85 to 215 bytes of memory per token, and a
// statement's text is kept up to three times (as it came, as a literal of the
// tree, as what the plan makes of it).
const (
	costPerToken = 192
	costPerByte  = 3
)

// Cost is about how much memory a statement takes once it is parsed and planned.
// A text of many short tokens takes a hundred times its length.
func Cost(text string) int64 {
	cost := int64(costPerByte * len(text))
	if len(text) <= shortText { // the longest tokens are not worth a look
		return cost + int64(len(text)/4*costPerToken)
	}
	l := lexer{text: text}
	for {
		switch t := l.next(); t.kind {
		case tokenEnd, tokenBad:
			return cost
		default:
			cost += costPerToken
		}
	}
}
