// Package perch stands for the engine.
package perch

type Conn struct{ _ int }

func (c Conn) Send(p []byte) error { return nil }
func (c Conn) SetValue(v any)      {}
func (c Conn) Ref() Ref            { return Ref{} }

type Ref struct{ _ int }

func (r Ref) Send(p []byte) error     { return nil }
func (r Ref) Do(f func(c Conn)) error { return nil }

type Handler struct {
	OnOpen    func(c Conn)
	OnMessage func(c Conn, p []byte)
}
