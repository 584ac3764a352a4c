package perch_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/perchws/perch"
)

// A net/http server of one's own, with TLS: on a listener of the engine's, its
// connections can be taken over.
func ExampleTLSListener() {
	srv := perch.New(perch.Config{Addr: "-"})
	live := srv.Route(perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) },
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	certificate, roots := selfSigned() // tls.LoadX509KeyPair, elsewhere
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ln, err := perch.TLSListener(tcp, &tls.Config{Certificates: certificate})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /live", live)
	site := &http.Server{Handler: mux}
	go site.Serve(ln)
	defer site.Close()

	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = srv.DialWith(ctx, "wss://"+tcp.Addr().String()+"/live", perch.DialOptions{TLS: roots}, perch.Handler{
		OnOpen: func(c perch.Conn, r *perch.Request) { c.SendText("hello") },
		OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) {
			fmt.Printf("%s over TLS\n", p)
			c.Close(perch.CloseNormal, "")
		},
		OnClose: func(perch.Conn, *perch.CloseError) { close(done) },
	})
	if err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: hello over TLS
}

// selfSigned borrows the certificate of httptest.
func selfSigned() ([]tls.Certificate, *tls.Config) {
	site := httptest.NewTLSServer(http.NotFoundHandler())
	defer site.Close()
	return site.TLS.Certificates, site.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
}
