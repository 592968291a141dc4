package client

import "regexp"

// secrets are what must never leave a machine in a debug bundle: the forms of
// NodeDB's own secrets, and values that say that they are one.
var secrets = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "[redacted private key]"},
	{regexp.MustCompile(`\bndbjoin1\.[A-Za-z0-9._~+/=-]+`), "[redacted join token]"},
	{regexp.MustCompile(`\bndb_[A-Za-z0-9._~+/=-]+`), "[redacted token]"},
	{regexp.MustCompile(`SCRAM-SHA-256\$[A-Za-z0-9:$+/=]+`), "[redacted verifier]"},
	{regexp.MustCompile(`(?i)(\bBearer )[A-Za-z0-9._~+/=-]+`), "${1}[redacted]"},
	{regexp.MustCompile(`(?i)(\bpassword["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s"',;&}]+)`), "${1}[redacted]"},
	{regexp.MustCompile(`(?i)(\bpassword\s+)'[^']*'`), "${1}'[redacted]'"},
	{regexp.MustCompile(`(postgres(?:ql)?://[^:/@\s]+:)[^@\s]+@`), "${1}[redacted]@"},
}

// Redact takes secrets out of text: tokens, join tokens, private keys, SCRAM
// verifiers, passwords.
func Redact(text []byte) []byte {
	for _, s := range secrets {
		text = s.pattern.ReplaceAll(text, []byte(s.with))
	}
	return text
}
