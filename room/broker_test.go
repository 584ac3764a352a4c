package room_test

import (
	"testing"

	"github.com/perchws/perch/room"
	"github.com/perchws/perch/room/brokertest"
)

func TestMemoryContract(t *testing.T) {
	brokertest.Run(t, func(*testing.T) brokertest.Harness {
		m := room.NewMemory()
		return brokertest.Harness{Nodes: []room.Broker{m, m}}
	})
}

// Late also keeps the contract, in whatever order it answers, and its nodes keep that of a room.Census and a
// room.Directory.
func TestLateContract(t *testing.T) {
	for seed := range uint64(3) {
		brokertest.Run(t, func(t *testing.T) brokertest.Harness {
			b := brokertest.NewLate()
			over, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				b.Run(seed, over)
			}()
			t.Cleanup(func() {
				close(over)
				<-ended
			})
			h := brokertest.Harness{Nodes: []room.Broker{b, b}, Durable: true, Lose: b.Lose, Change: b.Change}
			if seed > 0 {
				nodes := []*brokertest.LateNode{b.Node(), b.Node()}
				h.Nodes = []room.Broker{nodes[0], nodes[1]}
				h.Expire = func(node int) { nodes[node].Expire() }
				h.Renew = func(node int) { nodes[node].Renew() }
			}
			return h
		})
	}
}
