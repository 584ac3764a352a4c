package perch_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/room"
)

// A server that echoes, and a client of it on the same loops.
func Example() {
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0"})
	srv.Handle("/ws", perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			c.Send(op, p) // p is valid until OnMessage returns
		},
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}

	closed := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := srv.Dial(ctx, "ws://"+srv.Addr().String()+"/ws", perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) { c.SendText("hello") },
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			fmt.Printf("%v %s\n", op, p)
			c.Close(perch.CloseNormal, "done")
		},
		OnClose: func(_ perch.Conn, err *perch.CloseError) {
			fmt.Println("closed", uint16(err.Code))
			close(closed)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	<-closed
	srv.Shutdown(ctx)
	// Output:
	// text hello
	// closed 1000
}

// Callbacks that block run on the worker pool. They get a Ref, which any goroutine may use.
func ExampleServer_HandleBlocking() {
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0"})
	srv.HandleBlocking("/db", perch.BlockingHandler{
		OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) {
			time.Sleep(time.Millisecond) // a slow query: no loop waits for it
			c.Send(op, p)
		},
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	got := make(chan string, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := srv.Dial(ctx, "ws://"+srv.Addr().String()+"/db", perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { c.SendText("select 1") },
		OnMessage: func(_ perch.Conn, _ perch.Opcode, p []byte) { got <- string(p) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-got)
	srv.Shutdown(ctx)
	// Output: select 1
}

// A room: each connection that has joined gets all messages, in one order for all.
func ExampleConn_Join() {
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0"})
	news, err := srv.Rooms().Create("news", room.Options{})
	if err != nil {
		log.Fatal(err)
	}
	joined := make(chan struct{}, 3)
	srv.Handle("/news", perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) {
			if _, err := c.Join(news, room.JoinOptions{}); err != nil {
				log.Print(err)
			}
			joined <- struct{}{}
		},
	})
	if err := srv.Start(); err != nil {
		log.Fatal(err)
	}
	got := make(chan string, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for range 3 {
		err := srv.Dial(ctx, "ws://"+srv.Addr().String()+"/news", perch.Handler{
			OnMessage: func(_ perch.Conn, _ perch.Opcode, p []byte) { got <- string(p) },
		})
		if err != nil {
			log.Fatal(err)
		}
		<-joined
	}
	news.Publish(room.Message{Payload: []byte("extra, extra")}, func(r room.Receipt, err error) {
		fmt.Println("message", r.Offset, "for", r.Members, err)
	})
	for range 3 {
		fmt.Println(<-got)
	}
	srv.Shutdown(ctx)
	// Output:
	// message 1 for 3 <nil>
	// extra, extra
	// extra, extra
	// extra, extra
}
