// Package pool has the two things that loops share out instead of owning:
// buffers and workers. It knows nothing of connections.
package pool
