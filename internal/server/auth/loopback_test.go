package auth

import (
	"strings"
	"testing"
)

func TestLoopbackHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8000": true, "LocalHost:1": true, "localhost:": true,
		"127.0.0.1": true, "127.0.0.1:8000": true, "[::1]": true, "[::1]:8000": true, "[0:0:0:0:0:0:0:1]:1": true,

		"": false, ":8000": false, "evil.example": false, "evil.example:8000": false, "localhost.evil.example": false,
		"127.0.0.1.evil.example": false, "127.0.0.2": false, "127.1.2.3": false, "0.0.0.0": false, "127.0.0.1.nip.io": false,
		"127.1": false, "2130706433": false, "0x7f.1": false, "0x7f000001": false, "0177.0.0.1": false, "127.0.0.01": false, "[::]": false, "::1": false, "[::1": false,
		"[::1]x": false, "[::1]:x": false, "[127.0.0.1]": false, "[localhost]": false, "[::ffff:127.0.0.1]": false, "::ffff:127.0.0.1": false,
		"[::1%25lo]": false, "[::1%lo]": false, "localhost:x": false, "localhost:+1": false, "localhost:65536": false, "localhost:1:2": false,
		"evil@localhost": false, " localhost": false, "localhost, evil.example": false, "127.0.0.1.": false, "[::1].": false,

		// RFC 6761 §6.3: localhost and all names below it.
		"localhost.": true, "localhost.:8000": true, "LOCALHOST.": true, "foo.localhost": true, "foo.localhost:8000": true, "foo.localhost.": true,
		"Foo.LocalHost.:1": true, "a.b.localhost": true, "x_y-1.localhost": true, strings.Repeat("a", 63) + ".localhost": true,
		"localhost..": false, ".localhost": false, "foo..localhost": false, ".": false, "localhostevil": false, "evillocalhost": false, "foo-localhost": false,
		"localhost.evil": false, "localhost.localdomain": false, "foo.localhost.evil.example": false, "foo localhost": false, "ev/il.localhost": false,
		"evil.example#.localhost": false, "evil.example\\.localhost": false, "\u043bocalhost": false, "loc\u0430lhost": false, "ⓛocalhost": false,
		"localhost\x00": false, "evil@x.localhost": false, "*.localhost": false, strings.Repeat("a", 64) + ".localhost": false, strings.Repeat("a.", 123) + "localhost": false,
	} {
		if got := LoopbackHost(host); got != want {
			t.Errorf("LoopbackHost(%q) = %v", host, got)
		}
	}
}

func TestLoopbackListen(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8000": true, "127.3.2.1:0": true, "[::1]:80": true, "localhost:80": true, "[::ffff:127.0.0.1]:1": true,
		"": false, ":8000": false, "0.0.0.0:8000": false, "[::]:80": false, "192.0.2.1:80": false, "evil.example:80": false, "127.0.0.1": false,
	} {
		if got := LoopbackListen(addr); got != want {
			t.Errorf("LoopbackListen(%q) = %v", addr, got)
		}
	}
}
