package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// errEnough ends a scan.
var errEnough = errors.New("enough")

type lineFunc = func(name string, r *Record, line []byte) error

// scan calls fn with every line of a class in dir, oldest first; r is nil for one
// that is no record.
func scan(dir string, class Class, fn lineFunc) error {
	names, err := files(dir, class)
	if err != nil {
		return err
	}
	for _, name := range names {
		err := scanFile(dir, name, fn)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func scanFile(dir, name string, fn lineFunc) error {
	f, err := os.Open(filepath.Join(dir, name)) //nolint:gosec // a name of the log's own
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, lineMost)
	for lines.Scan() {
		r := &Record{}
		if json.Unmarshal(lines.Bytes(), r) != nil {
			r = nil
		}
		if err := fn(name, r, lines.Bytes()); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(lines.Err(), f.Close())
}
