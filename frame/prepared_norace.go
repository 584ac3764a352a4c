//go:build !race

package frame

// seal is empty: race builds alone look for changes.
type seal struct{}

func (seal) put([]byte)   {}
func (seal) check([]byte) {}
