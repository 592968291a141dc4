// Package auth makes and checks certificates, tokens, SCRAM verifiers, roles.
//
// One cluster has one certificate authority (ECDSA P-256: Ed25519 server
// certificates break SCRAM channel binding in psql and pgx). Who a certificate
// stands for is its URI SAN, nodedb://<cluster>/node/<id> or
// nodedb://<cluster>/user/<name>, never its common name: a user called node.1
// is no node.
//
// Three kinds of secrets exist besides keys: join tokens (ndbjoin1.…), which
// carry the pin of the CA so that the joining node checks the cluster before it
// shows the secret; bearer tokens of the admin API (ndb_…); and passwords. Of
// all three only a hash or verifier is ever stored.
//
// # Concurrency
//
// All functions and all methods of Source may be called by any goroutine. The
// tls.Configs follow Source: a reloaded bundle holds from the next handshake on.
//
// # Invariants
//
//  1. No error or String of this package holds a secret.
//  2. A private key is never read from a file that others may read.
//  3. The names in a certificate come from the issuer's side, never from a CSR.
//  4. Secrets are compared in constant time.
//
// # What is not here
//
// The records of users and tokens (metastate), the SCRAM exchange (pgwire), and
// which call needs which role (admin).
package auth
