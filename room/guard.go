package room

import "time"

// guard puts a guard around the functions of Config, which are code of the application. If one of them panics only
// its result is lost. They run on loops and with locks held. After runtime.Goexit the call does not return: code that
// must follow it is deferred before it.
func (c *Config) guard() {
	if c.Panicked == nil {
		c.Panicked = func(string, any) {}
	}
	if encode := c.Encode; encode != nil {
		c.Encode = func(dst []byte, room string, offset uint64, payload []byte) (out []byte) {
			ok := false
			defer func() {
				if !ok {
					c.Panicked("Encode", recover())
					out = append(dst, payload...)
				}
			}()
			out = encode(dst, room, offset, payload)
			ok = true
			return out
		}
	}
	if translate := c.Translate; translate != nil {
		c.Translate = func(dst []byte, d Dialect, room string, message []byte) (out []byte) {
			ok := false
			defer func() {
				if !ok {
					c.Panicked("Translate", recover())
					out = append(dst, message...)
				}
			}()
			out = translate(dst, d, room, message)
			ok = true
			return out
		}
	}
	if announce := c.Announce; announce != nil {
		c.Announce = func(e Event) (f Frames) {
			c.call("Announce", func() { f = announce(e) })
			return f
		}
	}
	if offline := c.Offline; offline != nil {
		c.Offline = func(u *User) { c.call("Offline", func() { offline(u) }) }
	}
	if looks := c.Looks; looks != nil {
		c.Looks = func(label string) (all []string) {
			c.call("Looks", func() { all = looks(label) })
			return all
		}
	}
	if now := c.Now; now != nil {
		c.Now = func() time.Time {
			t := c.Clock.Wall()
			c.call("Now", func() { t = now() })
			return t
		}
	}
}

// call runs a function of the application. It reports whether f has returned.
func (c *Config) call(name string, f func()) (ok bool) {
	defer func() {
		if !ok {
			c.Panicked(name, recover())
		}
	}()
	f()
	return true
}
