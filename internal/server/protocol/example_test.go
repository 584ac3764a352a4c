package protocol_test

import (
	"fmt"
	"time"

	"github.com/perchws/perch/internal/server/protocol"
)

func Example() {
	answer := func(p []byte) []byte {
		m, err := protocol.Parse(p)
		if err != nil {
			return protocol.AppendError(nil, nil, protocol.AsError(err))
		}
		content, err := m.String("content", 16<<10, true)
		if err != nil {
			return protocol.AppendError(nil, m.ID(), protocol.AsError(err))
		}
		b := protocol.NewObject(nil, protocol.TypeMessageSent).ID(m.ID())
		return b.Int("length", int64(len(content))).Time("timestamp", time.Unix(0, 0)).End()
	}
	fmt.Printf("%s\n", answer([]byte(`{"type":"chat_message","id":1,"content":"hello"}`)))
	fmt.Printf("%s\n", answer([]byte(`{"type":"chat_message","id":2,"content":["hello"]}`)))
	fmt.Printf("%s\n", answer([]byte(`hello`)))
	// Output:
	// {"type":"message_sent","id":1,"length":5,"timestamp":"1970-01-01T00:00:00.000Z"}
	// {"type":"error","code":"wrong_type","message":"The field \"content\" must be a string.","field":"content","id":2}
	// {"type":"error","code":"invalid_json","message":"The message is not valid JSON, at byte 0."}
}
