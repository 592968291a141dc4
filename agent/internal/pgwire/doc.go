// Package pgwire speaks the PostgreSQL protocol (owner of pgproto3).
//
// A Server listens, lets clients in and carries their messages to a session of
// package sql. It owns sockets, TLS, logins, prepared statements, portals and the
// encoding of rows; it knows nothing of what a statement means.
//
// # Concurrency
//
//  1. Each connection has one goroutine, which reads, runs statements and writes.
//     A statement that runs while its portal is read piece by piece is a coroutine
//     of that goroutine, never a second thread of it.
//  2. Other goroutines reach a connection only through conn.cancelStatement and
//     conn.end, which touch conn.mu and the deadlines of the socket.
//  3. Output is collected and written when the connection is about to wait for
//     the client, or when outputLimit bytes are waiting; a client that does not
//     read stops its own statement, and nobody else's.
//
// # Invariants
//
//  1. Before a client has proven who it is, no message of more than
//     maxLoginMessageBytes is read, nothing but the login is done, and it ends
//     within Config.AuthTimeout. Whoever has not takes no place from another who
//     does: see room and throttle.
//  2. An unknown user and a wrong password are answered by the same messages.
//  3. Bytes that a client sent in the clear are never read as if they had come
//     through TLS.
//  4. A session ends by FATAL 57P01 only between transactions, unless it is
//     forced to.
//  5. What one client does ends at most its own connection.
//  6. Memory that clients decide about is counted before it is taken: see account
//     and frames.
package pgwire
