package storage

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Damage is a table that does not give back what was written: a block's checksum is
// wrong, or the disk cannot read it.
type Damage struct {
	Path string
	// Start and End are the bounds of the table's keys: [Start, End).
	Start, End []byte
	Err        error
}

// events are what the engine is told by Pebble, besides what calls return.
func (o *Options) events(log *engineLog) *pebble.EventListener {
	return &pebble.EventListener{
		// Pebble tries again at once, for ever, and whoever waits for the flush waits as
		// long: the disk is what has to be looked at.
		FlushEnd: func(info pebble.FlushInfo) {
			if ofDisk(info.Err) {
				log.give(fmt.Errorf("%w: write a table: %w", ErrFatal, mark(info.Err)))
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if o.OnDamage == nil {
				return
			}
			d := Damage{Path: info.Path, Start: bytes.Clone(info.Bounds.Start), End: bytes.Clone(info.Bounds.End.Key), Err: mark(info.Details)}
			d.End = append(d.End, 0) // a bound of a table may belong to it
			o.OnDamage(d)
		},
	}
}

// unreadable makes an error of the disk in a table what a wrong checksum is: what was
// stored is lost here, and Pebble must not try the same read again and again.
func unreadable(path string, err error) error {
	if !errors.Is(err, syscall.EIO) || !strings.HasSuffix(path, ".sst") {
		return err
	}
	return fmt.Errorf("%w: %w", pebble.ErrCorruption, err)
}
