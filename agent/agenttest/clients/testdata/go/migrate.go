// The first hour of golang-migrate, with each of its two drivers.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	pgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/database/postgres"
	_ "github.com/golang-migrate/migrate/v4/source/file"
	_ "github.com/jackc/pgx/v5/stdlib"
)

func main() {
	run("pgx", func(db *sql.DB) (database.Driver, error) { return pgx.WithInstance(db, &pgx.Config{}) })
	run("postgres", func(db *sql.DB) (database.Driver, error) { return postgres.WithInstance(db, &postgres.Config{}) })
	end()
}

func run(driver string, with func(*sql.DB) (database.Driver, error)) {
	var m *migrate.Migrate
	var db *sql.DB
	begin := driver + ": begin"
	none := func() string { return "" }
	step(begin, func() error {
		var err error
		if db, err = sql.Open("pgx", ""); err != nil {
			return err
		}
		at, err := with(db)
		if err != nil {
			return err
		}
		m, err = migrate.NewWithDatabaseInstance("file://"+os.Getenv("LIB")+"/migrations", driver, at)
		return err
	}, none)
	names, _ := filepath.Glob(os.Getenv("LIB") + "/migrations/*.up.sql")
	needs, ups := []string{begin}, []string{begin}
	for i := range names {
		name := fmt.Sprintf("%s: up %d", driver, i+1)
		statement := func() string { text, _ := os.ReadFile(names[i]); return string(text) }
		step(name, func() error { return retry(m, i, m.Steps(1)) }, statement, needs...)
		ups = append(ups, name)
		if i == 0 { // what the others stand on
			needs = append(needs, name)
		}
	}
	step(driver+": down", func() error { return cause(m.Down()) }, none, ups...)
	step(driver+": drop", func() error { return cause(m.Drop()) }, none, begin)
	step(driver+": clean", func() error {
		_, err := db.Exec("DROP TYPE IF EXISTS mood; DROP VIEW IF EXISTS cities")
		return err
	}, none, begin)
}

// retry has the next migration begin, although this one failed.
func retry(m *migrate.Migrate, i int, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(cause(err), m.Force(i+1))
}

// cause is what the server said: the library's errors do not unwrap to it.
func cause(err error) error {
	var e database.Error
	if errors.As(err, &e) && e.OrigErr != nil {
		return e.OrigErr
	}
	return err
}
