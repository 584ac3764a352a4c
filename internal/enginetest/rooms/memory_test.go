//go:build linux

package rooms_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// TestMemberMemory measures what an idle member costs above an empty server: what was allocated
// until everybody had come (what is garbage of it stays resident until the first collection), what
// lives on, and what is resident. The server is a process of its own, so that its memory is nobody
// else's. PERCH_TEST_MEMBERS=15000 is the number of connections, 3000 by default.
func TestMemberMemory(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector's own memory counts")
	}
	members := 3000
	if v := os.Getenv("PERCH_TEST_MEMBERS"); v != "" {
		members, _ = strconv.Atoi(v)
	}
	for _, tt := range []struct {
		name            string
		rooms           int  // that the members are spread over, one for each
		users           bool // every member signs in
		allocated, live int  // bytes that a member may have
		resident        int  // the same; asked of 15,000 members, fewer do not weigh against pages of the process
	}{
		{"no room", 0, false, 50, 50, 60},
		{"one room", 1, false, 120, 80, 120},
		{"ten to a room", members / 10, false, 160, 100, 160},
		{"users", 1, true, 380, 240, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !enginetest.InChild(t, func(say io.Reader) { connectMembers(t, say, members) }) {
				return
			}
			var rooms []*room.Room
			var came atomic.Int64
			all := make(chan bool)
			h := perch.Handler{OnOpen: func(c perch.Conn, _ *perch.Request) {
				k := came.Add(1)
				if tt.users {
					name := "user " + strconv.Itoa(int(k))
					if _, _, err := c.SignIn(room.Identity{ID: name, Name: name}); err != nil {
						t.Error(err)
					}
				}
				if tt.rooms > 0 {
					if _, err := c.Join(rooms[int(k)%tt.rooms], room.JoinOptions{}); err != nil {
						t.Error(err)
					}
				}
				if int(k) == members {
					close(all)
				}
			}}
			srv := enginetest.StartRoute(t, perch.Config{MaxConnectionsPerIP: -1, NewConnectionsPerSecond: -1, PingInterval: -1, PingTimeout: -1}, h)
			for k := range tt.rooms {
				rooms = append(rooms, makeRoom(t, srv, "room"+strconv.Itoa(k), room.Options{}))
			}
			live, resident := enginetest.LiveMemory(), enginetest.ResidentBytes(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			fmt.Printf("\naddress %s\n", srv.Addr())
			<-all
			runtime.ReadMemStats(&after)
			resident = (enginetest.ResidentBytes(t) - resident) / members
			allocated := int(after.TotalAlloc-before.TotalAlloc) / members
			live = (enginetest.LiveMemory() - live) / int64(members)
			fmt.Printf("\nmemory %d members, bytes each: %d allocated, %d live, %d resident\n", members, allocated, live, resident)
			if allocated > tt.allocated || int(live) > tt.live {
				t.Errorf("a member allocates %d bytes and has %d, want at most %d and %d", allocated, live, tt.allocated, tt.live)
			}
			if members >= 15_000 && resident > tt.resident {
				t.Errorf("a member has %d resident bytes, want at most %d", resident, tt.resident)
			}
			enginetest.AwaitParent()
		})
	}
}

// connectMembers opens the connections to the child.
func connectMembers(t *testing.T, say io.Reader, members int) {
	t.Helper()
	enginetest.Crowd(t, say, members, func(c net.Conn) error {
		c.Write(wstest.Request("a", "/ws"))
		b := make([]byte, 512)
		k, err := c.Read(b)
		if err != nil || !bytes.HasPrefix(b[:k], []byte("HTTP/1.1 101")) {
			return fmt.Errorf("answered %q, %v", b[:k], err)
		}
		return nil
	})
}
