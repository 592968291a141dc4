package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var failed []string

func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// step tries one step, unless one that it needs failed. statement tells what ran last.
func step(name string, run func() error, statement func() string, needs ...string) {
	if slices.ContainsFunc(needs, func(n string) bool { return slices.Contains(failed, n) }) {
		failed = append(failed, name)
		fmt.Printf("not tried\t%s\n", name)
		return
	}
	err := run()
	if err == nil {
		fmt.Printf("ok\t%s\n", name)
		return
	}
	failed = append(failed, name)
	code := "None"
	if pg := new(pgconn.PgError); errors.As(err, &pg) {
		code = pg.Code
	}
	fmt.Printf("fail\t%s\t%s\t%s\t%s\n", name, code, flat(err.Error()), flat(statement()))
}

func end() {
	fmt.Println("end")
	if len(failed) > 0 {
		os.Exit(1)
	}
}
