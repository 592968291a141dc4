// Package keymap names the dashboard's keys once, for the footer, the help and
// the code that acts on them.
package keymap

// Key is a key, or some that do the same, and what it does.
type Key struct {
	Keys  []string
	Label string // how the footer and the help write it
	Does  string
	// Acts says that it changes the cluster: hidden from those who may not.
	Acts bool
}

// Is reports whether pressed is the key.
func (k *Key) Is(pressed string) bool {
	for _, s := range k.Keys {
		if s == pressed {
			return true
		}
	}
	return false
}

func key(label, does string, keys ...string) Key { return Key{Keys: keys, Label: label, Does: does} }

func act(label, does string, keys ...string) Key {
	return Key{Keys: keys, Label: label, Does: does, Acts: true}
}

// Keys that work everywhere.
var (
	Views   = key("0-9 -", "go to a view", "1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "-") // in the order of the views
	Next    = key("tab", "next view", "tab")
	Back    = key("esc", "back, or clear the filter", "esc")
	Leave   = key("esc", "back", "esc")
	Filter  = key("/", "filter", "/")
	Palette = key(":", "command", ":")
	Help    = key("?", "help", "?")
	Quit    = key("q", "quit", "q", "ctrl+c")
	Freeze  = key("space", "freeze the screen", "space")
	Theme   = key("ctrl+t", "next theme", "ctrl+t")
	Retry   = key("ctrl+r", "connect now", "ctrl+r")
	Copy    = key("y", "copy the command", "y")
)

// Keys of lists.
var (
	Move   = key("j/k", "move", "j", "k", "down", "up")
	Ends   = key("g/G", "first, last", "g", "G")
	Enter  = key("enter", "open", "enter")
	Sort   = key("s", "sort by the next column", "s")
	Flip   = key("S", "reverse the order", "S")
	Follow = key("f", "follow the newest", "f")
)

// Keys of views.
var (
	Map    = key("t", "map or table", "t")
	Metric = key("m", "what the map shows", "m")
	Bad    = key("n", "next bad range", "n", "N")
	Lookup = key("l", "look a key up", "l")
	Diff   = key("d", "compare the nodes' tables", "d")
	Matrix = key("m", "round trips of all", "m")
	Plan   = key("p", "make a plan", "p")

	RangesOf   = key("r", "its ranges", "r")
	SessionsOf = key("w", "its sessions", "w")

	Blocker = key("b", "whom it waits for", "b")
)

// Keys that change the cluster. Each opens its plan or verdict first.
var (
	Drain        = act("D", "drain", "D")
	Undrain      = act("U", "undrain", "U")
	Cordon       = act("C", "cordon, uncordon", "C")
	Decommission = act("X", "decommission", "X")
	Recommission = act("R", "recommission", "R")
	MoveRange    = act("M", "move a replica", "M")
	Transfer     = act("T", "transfer leadership", "T")
	Alter        = act("E", "alter", "E")
	Drop         = act("X", "drop", "X")
	Apply        = act("A", "plan and apply", "A")
	Pause        = act("P", "pause", "P")
	Resume       = act("R", "resume", "R")
	Cancel       = act("X", "cancel", "X")
	End          = act("K", "end the session", "K")
	RunNow       = act("A", "run now", "A")
)
