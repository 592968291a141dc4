// The first hour of goose.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrations are those of golang-migrate in the form of goose. Statements that
// are not for a transaction block say so.
func migrations() (out fstest.MapFS, texts, downs []string) {
	out = fstest.MapFS{}
	names, _ := filepath.Glob(os.Getenv("LIB") + "/migrations/*.up.sql")
	for _, name := range names {
		up, _ := os.ReadFile(name)
		down, _ := os.ReadFile(strings.Replace(name, ".up.", ".down.", 1))
		downs = append(downs, string(down))
		text := "-- +goose Up\n" + string(up) + "\n-- +goose Down\n" + string(down)
		if strings.Contains(text, "CONCURRENTLY") || strings.Contains(text, "BEGIN;") {
			text = "-- +goose NO TRANSACTION\n" + text
		}
		out["000"+strings.Replace(filepath.Base(name), ".up.", ".", 1)] = &fstest.MapFile{Data: []byte(text)}
		texts = append(texts, string(up))
	}
	return out, texts, downs
}

func main() {
	ctx := context.Background()
	var p *goose.Provider
	files, texts, downs := migrations()
	none := func() string { return "" }
	step("begin", func() error {
		db, err := sql.Open("pgx", "")
		if err != nil {
			return err
		}
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		p, err = goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker), goose.WithAllowOutofOrder(true))
		return err
	}, none)
	needs := []string{"begin"}
	for i, text := range texts {
		name := fmt.Sprintf("up %d", i+1)
		step(name, func() error {
			_, err := p.ApplyVersion(ctx, int64(i+1), true)
			if part := new(goose.PartialError); errors.As(err, &part) {
				return part.Err
			}
			return err
		}, func() string { return text }, needs...)
		if i == 0 || i == 3 { // what the others stand on
			needs = append(needs, name)
		}
	}
	step("status", func() error { _, err := p.Status(ctx); return err }, none, "begin")
	down := ""
	step("down", func() error {
		_, err := p.DownTo(ctx, 0)
		if part := new(goose.PartialError); errors.As(err, &part) {
			down = downs[part.Failed.Source.Version-1]
		}
		return err
	}, func() string { return down }, "begin")
	end()
}
