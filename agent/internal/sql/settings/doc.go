// Package settings is what SET, RESET and SHOW work on: the settings that are known, and
// their values in one session. They go back with a transaction and with a savepoint.
package settings
