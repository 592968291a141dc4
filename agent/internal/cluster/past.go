package cluster

// PastLack is what a replica lacks to serve reads of the past.
type PastLack string

// What a replica may lack. All but the last concern every read.
const (
	PastServes     PastLack = ""
	PastAbsent     PastLack = "absent"     // there is no replica of the range here
	PastReturning  PastLack = "returning"  // its node asks its peers first whether its store is as new as they know
	PastEmpty      PastLack = "empty"      // it waits for its first snapshot
	PastInstalling PastLack = "installing" // a snapshot takes the place of what it holds
	PastDamaged    PastLack = "damaged"    // its disk does not give back what was stored
	PastFailed     PastLack = "failed"     // it has stopped
	PastBehind     PastLack = "behind"     // it does not know that the read's time is closed
)

// PastLacks are all of them, in the order in which they are looked for.
var PastLacks = [...]PastLack{PastAbsent, PastReturning, PastEmpty, PastInstalling, PastDamaged, PastFailed, PastBehind}
