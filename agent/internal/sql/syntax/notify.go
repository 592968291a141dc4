package syntax

// Listen is LISTEN, and UNLISTEN; without a channel that is of all.
type Listen struct {
	Channel string
	Stop    bool
}

// Notify is NOTIFY.
type Notify struct{ Channel, Payload string }

func (*Listen) node() {}
func (*Notify) node() {}
