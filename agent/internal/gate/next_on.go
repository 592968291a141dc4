//go:build nextversion

package gate

// The next version is there to prove the mechanism: it adds one of each kind of
// format. A cluster of both builds is upgraded in tests, and nobody else builds it.
const (
	newest = Next

	// Next is the version after the first.
	Next Version = 2

	// CommandGateway lets commands of the meta range name the node that proposed
	// them, and the meta range count them: a field, and a kind of record.
	CommandGateway = Next
	// BatchOrigin lets a batch of a data range name its gateway, and the versions of
	// rows that it writes keep that in their headers.
	BatchOrigin = Next
	// StoreValues lets the store use Pebble's value separation.
	StoreValues = Next
)

func gates() []Allowed {
	return []Allowed{
		{CommandGateway, "commands of the meta range name the node that proposed them"},
		{BatchOrigin, "versions of rows name the node through which they were written"},
		{StoreValues, "the store may keep large values apart from their keys"},
	}
}
