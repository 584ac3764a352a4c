package main

import (
	"bytes"
	"net"
	"net/http"
	"sync"
)

// serveHTTP serves libraries that take over a connection of net/http.
func serveHTTP(ln net.Listener, echo, fan http.HandlerFunc) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", echo)
	mux.HandleFunc("/fan", fan)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: handshakeTime}
	return srv.Serve(ln)
}

// buffers hold a message while it is read and answered; an idle connection has none.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKept is the largest buffer that goes back into the pool.
const maxKept = 64 << 10

func release(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		buffers.Put(b)
	}
}
