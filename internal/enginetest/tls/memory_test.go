//go:build linux

package tls_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/wstest"
)

// idleTLS is the most that an idle connection may cost, in bytes of live heap and
// stack: two AES-GCM states, a tls.Conn and its secrets. A goroutine per
// connection costs five times as much.
const idleTLS = 4 << 10

// An idle connection has given back what its records were read into. The server is
// a process of its own here, so that its memory is nobody else's.
// PERCH_TEST_IDLE=8000 is the number of connections, 1000 by default.
func TestTLSIdleMemory(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector's own memory counts")
	}
	clients := 1000
	if v := os.Getenv("PERCH_TEST_IDLE"); v != "" {
		clients, _ = strconv.Atoi(v)
	}
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			if !enginetest.InChild(t, func(say io.Reader) { connectIdle(t, say, clients, v.id) }) {
				return
			}
			srv, _ := startSecure(t, perch.Config{MaxConnectionsPerIP: -1, NewConnectionsPerSecond: -1, PingInterval: -1, PingTimeout: -1}, enginetest.Echo())
			before, resident := enginetest.LiveMemory(), enginetest.ResidentBytes(t)
			fmt.Printf("\naddress %s\n", srv.Addr())
			enginetest.AwaitStats(t, srv, "all have echoed", func(s *perch.Stats) bool { return s.MessagesSent == uint64(clients) })
			var each int64
			wstest.Eventually(t, "the sweep has come by", func() bool {
				last := each
				each = (enginetest.LiveMemory() - before) / int64(clients)
				time.Sleep(300 * time.Millisecond) // a sweep of some connections
				return each <= idleTLS && each > last-last/100 && each < last+last/100
			})
			debug.FreeOSMemory()
			fmt.Printf("\nmemory %d connections, each %d bytes live, %d resident\n", clients, each, (enginetest.ResidentBytes(t)-resident)/clients)
			enginetest.AwaitParent()
		})
	}
}

// connectIdle opens the connections to the child, and has each echo once.
func connectIdle(t *testing.T, say io.Reader, clients int, version uint16) {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
	message := wstest.Binary(make([]byte, 128)).Append(nil, true)
	enginetest.Crowd(t, say, clients, func(conn net.Conn) error {
		c := tls.Client(conn, config)
		c.Write(append(wstest.Request("a", "/ws"), message...))
		var got []byte
		for b := make([]byte, 512); !bytes.HasSuffix(got, make([]byte, 128)); {
			k, err := c.Read(b)
			if err != nil {
				return err
			}
			got = append(got, b[:k]...)
		}
		return nil
	})
}
