package perch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/perchws/perch"
)

// greet is a client: it connects to url, says hello, prints the answer and leaves.
func greet(srv *perch.Server, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	closed := make(chan struct{})
	err := srv.Dial(ctx, url, perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) { c.SendText("hello") },
		OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) {
			fmt.Printf("%s\n", p)
			c.Close(perch.CloseNormal, "")
		},
		OnClose: func(perch.Conn, *perch.CloseError) { close(closed) },
	})
	if err != nil {
		log.Fatal(err)
	}
	<-closed
}

// One port for everything: what is for no WebSocket route goes to an ordinary
// http.Handler.
func Example_plainHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })

	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", HTTP: mux})
	srv.Handle("/ws", perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) },
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	resp, err := http.Get("http://" + srv.Addr().String() + "/health")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))

	greet(srv, "ws://"+srv.Addr().String()+"/ws")
	// Output:
	// 200 ok
	// hello
}

// A route in somebody else's net/http server, with any router. The engine needs
// no listener; the connection moves to one of its loops.
func ExampleServer_Route() {
	srv := perch.New(perch.Config{Addr: "-"})
	live := srv.Route(perch.Handler{
		OnUpgrade: func(r *perch.Request) perch.Response { return perch.Response{Value: r.PathValue("id")} },
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			c.SendText(fmt.Sprintf("%s in room %v", p, c.Value()))
		},
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	mux := http.NewServeMux()
	mux.Handle("GET /live/{id}", live)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a page") })
	site := httptest.NewServer(mux)
	defer site.Close()

	greet(srv, "ws"+strings.TrimPrefix(site.URL, "http")+"/live/7")
	// Output: hello in room 7
}

// Inside of a handler: it decides, then hands the connection over. On an error
// the client has its answer already.
func ExampleRoute_Upgrade() {
	srv := perch.New(perch.Config{Addr: "-"})
	live := srv.Route(perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) },
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"}) // goes out with the 101
		var refused *perch.UpgradeError
		if err := live.Upgrade(w, r); errors.As(err, &refused) {
			fmt.Println("refused:", refused.Status, refused.Reason)
		}
	}))
	defer site.Close()

	resp, err := http.Get(site.URL) // a browser that took the address for a page
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	greet(srv, "ws"+strings.TrimPrefix(site.URL, "http"))
	// Output:
	// refused: 426 this path speaks WebSocket only
	// hello
}
