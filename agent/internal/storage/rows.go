package storage

import "errors"

// Rows finds single rows in one view of a Reader, all with one iterator: to make one
// costs as much as to find a row. The view is of the moment of the first look. It
// belongs to one goroutine at a time.
type Rows struct {
	r  Reader // nil: there is none
	it *Iterator
}

// NewRows returns a view. Who has it closes it.
func NewRows(r Reader) *Rows { return &Rows{r: r} }

// ErrNoRows is of a look into NoRows.
var ErrNoRows = errors.New("rows are not at hand")

// NoRows is a view for who may not read.
func NoRows() *Rows { return &Rows{} }

// SeekGE finds the first version of key's row at or after key. The iterator stands
// there until the next look.
func (v *Rows) SeekGE(key []byte) (at *Iterator, ok bool, err error) {
	if v.r == nil {
		return nil, false, ErrNoRows
	}
	if v.it == nil {
		if v.it, err = v.r.NewRowIter(); err != nil {
			return nil, false, err
		}
	}
	if !v.it.SeekRowGE(key) {
		return nil, false, v.it.Err()
	}
	return v.it, true, nil
}

// Close gives the view up.
func (v *Rows) Close() error {
	if v.it == nil {
		return nil
	}
	return v.it.Close()
}

// Readable reports whether a look finds anything.
func (v *Rows) Readable() bool { return v != nil && v.r != nil }
