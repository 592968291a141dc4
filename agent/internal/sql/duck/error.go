package duck

// Error is what the executor answers to a statement that fails.
type Error struct {
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
	Position int // 1-based character of the statement, 0: unknown
	retry    bool
}

func (e *Error) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// Retryable says that running the statement again may succeed: the child process
// died or was being started.
func (e *Error) Retryable() bool { return e.retry }
