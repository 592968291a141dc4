package worker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// engine is the one DuckDB instance of the process.
type engine struct {
	db      bind.Database
	threads int
	runs    sync.Map // connection id (bind.IdxT) -> *run
	fatal   func(message string)
}

// failure is an error of DuckDB with its class.
type failure struct {
	class   bind.ErrorType
	message string
}

func (f *failure) Error() string { return f.message }

func openEngine(c frame.Config, fatal func(string)) (*engine, error) {
	e := &engine{threads: c.Threads, fatal: fatal}
	if err := e.open(c); err != nil {
		return nil, err
	}
	conn, err := e.connect()
	if err != nil {
		return nil, err
	}
	defer bind.Disconnect(&conn)
	if err := registerScan(conn, e); err != nil {
		return nil, err
	}
	if err := registerFunctions(conn); err != nil {
		return nil, err
	}
	if err := registerText(conn); err != nil {
		return nil, err
	}
	if err := registerBuiltin(conn); err != nil {
		return nil, err
	}
	if err := registerJSON(conn); err != nil {
		return nil, err
	}
	for _, stmt := range append(macros(), lockDown()...) {
		if err := exec(conn, stmt); err != nil {
			return nil, fmt.Errorf("set up DuckDB: %w: %.80s", err, stmt)
		}
	}
	return e, nil
}

func (e *engine) open(c frame.Config) error {
	var config bind.Config
	if bind.CreateConfig(&config) == bind.StateError {
		return errors.New("create DuckDB configuration")
	}
	defer bind.DestroyConfig(&config)
	settings := [][2]string{
		{"threads", strconv.Itoa(c.Threads)},
		{"memory_limit", strconv.FormatInt(c.MemoryBytes>>10, 10) + "KiB"},
		{"temp_directory", c.SpillDir},
		{"max_temp_directory_size", strconv.FormatInt(c.SpillBytes>>10, 10) + "KiB"},
		{"preserve_insertion_order", "false"},
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"default_null_order", "nulls_last_on_asc_first_on_desc"},
	}
	for _, s := range settings {
		if bind.SetConfig(config, s[0], s[1]) == bind.StateError {
			return fmt.Errorf("set DuckDB's %s", s[0])
		}
	}
	var message string
	if bind.OpenExt(":memory:", &e.db, config, &message) == bind.StateError {
		return fmt.Errorf("open DuckDB: %s", message)
	}
	return nil
}

// lockDown ends the set-up: from here on no file can be opened and only what a
// session needs can be set.
func lockDown() []string {
	return []string{
		"SET GLOBAL TimeZone='UTC'",
		"SET GLOBAL enable_external_access=false",
		"SET GLOBAL allowed_configs=['TimeZone']",
		"SET GLOBAL lock_configuration=true",
	}
}

func (e *engine) connect() (bind.Connection, error) {
	var conn bind.Connection
	if bind.Connect(e.db, &conn) == bind.StateError {
		return conn, errors.New("connect to DuckDB")
	}
	return conn, nil
}

func (e *engine) runOf(id bind.IdxT) *run {
	if r, ok := e.runs.Load(id); ok {
		return r.(*run)
	}
	return nil
}

func connectionID(conn bind.Connection) bind.IdxT {
	var client bind.ClientContext
	bind.ConnectionGetClientContext(conn, &client)
	defer bind.DestroyClientContext(&client)
	return bind.ClientContextGetConnectionId(client)
}

func exec(conn bind.Connection, sql string) error {
	var res bind.Result
	defer bind.DestroyResult(&res)
	if bind.Query(conn, sql, &res) == bind.StateError {
		return &failure{bind.ResultErrorType(&res), bind.ResultError(&res)}
	}
	return nil
}

// quote makes an SQL string literal.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
