package cluster

// Counts is what a range holds.
type Counts struct {
	// Rows have a value.
	Rows int64
	// Live is the bytes of the newest versions that have a value, keys included;
	// Dead those of all others: older versions, and tombstones.
	Live, Dead int64
}

// Plus adds two counts.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Rows + d.Rows, c.Live + d.Live, c.Dead + d.Dead}
}

// Minus returns what is left of c without d.
func (c Counts) Minus(d Counts) Counts {
	return Counts{c.Rows - d.Rows, c.Live - d.Live, c.Dead - d.Dead}
}

// Halves divides c in two, as evenly as it can.
func (c Counts) Halves() (left, right Counts) {
	left = Counts{c.Rows / 2, c.Live / 2, c.Dead / 2}
	return left, Counts{c.Rows - left.Rows, c.Live - left.Live, c.Dead - left.Dead}
}

// Bytes is all of it.
func (c Counts) Bytes() int64 { return c.Live + c.Dead }

// Negative reports whether something was taken that was never added.
func (c Counts) Negative() bool { return c.Rows < 0 || c.Live < 0 || c.Dead < 0 }
