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
