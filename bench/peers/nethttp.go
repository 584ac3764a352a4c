package main

import (
	"bytes"
	"io"
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
const maxKept = 1 << 20

func release(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		buffers.Put(b)
	}
}

// readAll calls handle for every message until that or the connection fails.
func readAll[K any](next func() (K, io.Reader, error), handle func(kind K, p []byte) error) {
	for {
		kind, r, err := next()
		if err != nil {
			return
		}
		b := buffers.Get().(*bytes.Buffer)
		if _, err = b.ReadFrom(r); err == nil {
			err = handle(kind, b.Bytes())
		}
		release(b)
		if err != nil {
			return
		}
	}
}
