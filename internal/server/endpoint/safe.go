package endpoint

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

// safe is /ws/safe: a message is processed or answered with an error, and the client learns nothing about the inside
// of the server.
func (r *Realm) safe(process func(typ string) error) perch.Handler {
	return r.Handler(Endpoint{
		Name:  pathSafe,
		Error: appendSafeError,
		Message: func(conn perch.Conn, c *Client, typ string, m protocol.Message) error {
			defer c.contain(conn)
			if err := process(typ); err != nil {
				return err
			}
			o := protocol.NewObject(nil, protocol.TypeProcessed).Raw("data", object(m))
			send(conn, o.Time("timestamp", r.Now()).ID(m.ID()))
			return nil
		},
	})
}

// process handles a message of /ws/safe: it does nothing, except that one type of message is dangerous.
func process(typ string) error {
	if typ == protocol.TypeDangerous {
		return &protocol.Error{Code: protocol.CodeProcessingError}
	}
	return nil
}

// contain is deferred: it turns a panic into the end of its connection, with 1011.
func (c *Client) contain(conn perch.Conn) {
	p := recover()
	if p == nil {
		return
	}
	c.realm().cfg.Meter.Error(c.at.Name, string(protocol.CodeInternal))
	c.log(conn, slog.LevelError, "handler panicked", slog.String("error", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	c.Close(conn, perch.CloseInternalError, reasonInternal)
}

// appendSafeError writes errors in the form of /ws/safe, where all errors in the form of a message have one code.
func appendSafeError(dst []byte, id json.RawMessage, e *protocol.Error) []byte {
	code := e.Code
	switch code {
	case protocol.CodeInvalidJSON, protocol.CodeNotAnObject, protocol.CodeTooDeep, protocol.CodeTooManyMembers,
		protocol.CodeNotText, protocol.CodeMissingField, protocol.CodeWrongType, protocol.CodeTooLong:
		code = protocol.CodeValidationError
	}
	text := e.Message
	if text == "" {
		text = e.Code.Meaning()
	}
	return protocol.NewObject(dst, "").String("error", text).String("code", string(code)).ID(id).End()
}

// object writes a message as JSON again.
func object(m protocol.Message) json.RawMessage {
	b := []byte{'{'}
	_ = m.Each(func(name string, raw json.RawMessage) error {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(protocol.AppendString(b, name), ':'), raw...)
		return nil
	})
	return append(b, '}')
}
