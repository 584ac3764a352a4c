//go:build linux

package listen_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// privateTables counts the threads of this process that have other sockets open
// than we have. It looks at one after the other: what changes meanwhile makes it
// wrong for once.
func privateTables(t *testing.T) int {
	t.Helper()
	tables := make(map[string]string)
	dirs, err := filepath.Glob("/proc/self/task/*/fd")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, dir := range dirs {
		fds, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for _, fd := range fds {
			if file, err := os.Readlink(fd); err == nil && strings.HasPrefix(file, "socket:") {
				files = append(files, filepath.Base(fd)+" "+file)
			}
		}
		slices.Sort(files)
		tables[dir] = strings.Join(files, "\n")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ours := tables[fmt.Sprintf("/proc/self/task/%d/fd", syscall.Gettid())]
	n := 0
	for _, files := range tables {
		if files != ours && files != "" { // a thread that ends has none
			n++
		}
	}
	return n
}

// All that a server does works out of private descriptor tables: echo, broadcast,
// plain HTTP, dialling, shutdown; and afterwards no thread has a table any more.
func TestPrivateTables(t *testing.T) {
	enginetest.NeedPrivateTables(t)
	wstest.NoLeaks(t)
	var logged enginetest.Journal
	var broadcast func(*perch.Prepared)
	srv := enginetest.Start(t, perch.Config{PrivateFDs: true, Logger: logged.Logger(), HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})}, func(srv *perch.Server) {
		var h perch.Handler
		h, broadcast = enginetest.Audience(srv, enginetest.Echo())
		srv.Handle("/ws", h)
	})
	if r := logged.Find("plan"); len(r) != 1 || enginetest.Attr(r[0], "private_fds") != "true" {
		t.Fatalf("planned %v", r)
	}
	var all []*wstest.Conn
	for range 20 {
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("hello"))
		c.ExpectText("hello")
		all = append(all, c)
	}
	wstest.Eventually(t, "two threads have tables of their own", func() bool { return privateTables(t) == 2 })
	broadcast(perch.Prepare(perch.Text, []byte("to all")))
	for _, c := range all {
		c.ExpectText("to all")
	}
	for n := range 5 {
		c := wstest.Connect(t, srv.Addr().String())
		fmt.Fprintf(c.TCP(), "POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12345", n)
		if r := c.ReadResponse(); r.Status != 200 || r.Body != fmt.Sprintf("/%d 12345", n) {
			t.Errorf("answered %d %q", r.Status, r.Body)
		}
		c.Close()
	}
	client := enginetest.NewClient()
	if err := srv.Dial(context.Background(), enginetest.URL(srv.Addr()), client.Handler); err != nil {
		t.Fatal(err)
	}
	ref := wstest.Receive(t, "OnOpen", client.Opened)
	ref.SendText("dialled")
	if s := wstest.Receive(t, "the echo", client.Messages); s != "dialled" {
		t.Errorf("got %q", s)
	}
	ref.Close(perch.CloseNormal, "")
	wstest.Receive(t, "OnClose", client.Closed)
	result := enginetest.Shutdown(t, srv)
	for _, c := range all {
		c.AnswerClose(perch.CloseGoingAway)
		c.Close()
	}
	enginetest.ExpectShutdown(t, srv, result)
	wstest.Eventually(t, "the tables are gone", func() bool { return privateTables(t) == 0 })
}

// Files that other goroutines open and write while connections come and go are
// never taken for sockets, nor the other way round.
func TestPrivateTablesAndFiles(t *testing.T) {
	enginetest.NeedPrivateTables(t)
	srv := enginetest.StartRoute(t, perch.Config{PrivateFDs: true, NewConnectionsPerSecond: -1, Rate: enginetest.Unlimited}, enginetest.Echo())
	dir := t.TempDir()
	stop := make(chan bool)
	var writing sync.WaitGroup
	for g := range 4 {
		writing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				name, want := filepath.Join(dir, fmt.Sprint(g)), bytes.Repeat([]byte{byte(n)}, 1000)
				if err := os.WriteFile(name, want, 0o600); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
					t.Errorf("read back %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	payload := bytes.Repeat([]byte("socket"), 500)
	for n := range 200 {
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Binary(payload))
		c.Expect(frame.OpBinary, payload)
		if n%2 == 0 {
			c.CloseHandshake(frame.CloseNormal)
			c.Close()
		}
	}
	close(stop)
	writing.Wait()
}

// With MaxConnections above the descriptor limit tables are private by
// themselves, and hold more connections than the limit of one process.
func TestMoreConnectionsThanDescriptors(t *testing.T) {
	enginetest.NeedPrivateTables(t)
	const limit, clients = 512, 560
	child := enginetest.InChild(t, func(say io.Reader) {
		lines := bufio.NewScanner(say)
		addr := ""
		for addr == "" && lines.Scan() {
			_, addr, _ = strings.Cut(lines.Text(), "listening on ")
		}
		if addr == "" {
			t.Error("the child does not listen")
			return
		}
		var all []*wstest.Conn
		for range clients {
			all = append(all, wstest.Dial(t, addr, "/ws"))
		}
		for _, c := range all {
			c.Send(wstest.Text("hello"))
			c.ExpectText("hello")
			c.Close()
		}
	})
	if !child {
		return
	}
	enginetest.LimitDescriptors(t, limit)
	var logged enginetest.Journal
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", MaxConnections: 700, NewConnectionsPerSecond: -1, Logger: logged.Logger()})
	srv.Handle("/ws", enginetest.Echo()) // as many loops as it takes: not by enginetest.StartRoute
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer srv.Wait()
	defer srv.Close()
	r := logged.Find("plan")
	if len(r) != 1 || enginetest.Attr(r[0], "private_fds") != "true" || enginetest.Attr(r[0], "max_connections") != "700" {
		t.Fatalf("planned %v", r)
	}
	fmt.Println("listening on " + srv.Addr().String())
	enginetest.AwaitParent()
	if s := srv.Stats(); s.Opened != clients || s.AcceptPauses != 0 {
		t.Errorf("%d opened, accepting paused %d times", s.Opened, s.AcceptPauses)
	}
}
