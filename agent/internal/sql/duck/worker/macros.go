package worker

// macros are the statements that define what rewritten SQL calls and DuckDB has not.
func macros() []string {
	return nil
}
