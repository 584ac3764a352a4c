package handshake

import (
	"errors"
	"strings"
)

// CheckOrigin reports what is wrong with an entry of the list that [OriginAllowed]
// takes: that no browser could ever send what it stands for. An entry is one of
//
//	scheme://host, scheme://host:port      https://app.example.com, app://local, file://
//	scheme://*.domain, with a port or not  every name below the domain, and not the domain itself
//	null                                   pages without an origin: sandboxed frames, data: URLs
//	*                                      all
//
// Letters of any case are equal. Without a port it is the default one of the scheme.
func CheckOrigin(entry string) error {
	if entry == "*" || entry == "null" {
		return nil
	}
	scheme, rest, ok := strings.Cut(entry, "://")
	host, port := splitPort(rest)
	domain, wild := strings.CutPrefix(host, "*.")
	switch {
	case !ok || !isScheme(scheme):
		return errors.New("want scheme://host, scheme://host:port, scheme://*.domain, null or *")
	case defaultPort(scheme) != "" && !strings.HasPrefix(strings.ToLower(scheme), "http"):
		return errors.New("a page's origin is http:// or https://, never ws:// or wss://")
	case strings.ContainsAny(rest, "/?#@"):
		return errors.New("an origin ends with the host or the port: no path, no slash, no user")
	case strings.IndexFunc(rest, func(r rune) bool { return r > 0x7e }) >= 0:
		return errors.New("browsers send a name with other letters than ASCII in its xn-- form")
	case rest == "":
		if defaultPort(scheme) != "" {
			return errors.New("the host is missing")
		}
		return nil // file://
	case host == "*" || strings.Contains(domain, "*") || wild && (validIPv4(domain) || strings.HasPrefix(domain, ".") || domain == ""):
		return errors.New("* stands for all the names before a domain, as in https://*.example.com, or for every origin, alone")
	case !validHost(strings.TrimPrefix(rest, "*.")) || len(port) == 5 && port > "65535":
		return errors.New("want a host, and a port or none")
	}
	return nil
}

// isScheme reports whether s is a scheme, RFC 3986 §3.1.
func isScheme(s string) bool {
	for i, r := range s {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
			return false
		}
	}
	return s != ""
}

// OriginAllowed judges the Origin of a handshake (RFC 6455 §10.2) for a server
// reached under host. An empty origin is allowed: browsers always send one. allow
// lists what [CheckOrigin] takes; an empty list means the same host alone.
func OriginAllowed(origin, host []byte, allow []string) bool {
	if len(origin) == 0 {
		return true
	}
	if len(allow) == 0 {
		return SameOrigin(origin, host)
	}
	for _, a := range allow {
		if a == "*" || a == string(origin) || matches(origin, a) {
			return true
		}
	}
	return false
}

// SameOrigin reports whether origin, scheme://host[:port], has the host and port
// of host, host[:port] as in the Host header. Letters of any case are equal. A
// port left out is the default of the origin's scheme on both sides: whether TLS
// ends in front of us is not known here.
func SameOrigin(origin, host []byte) bool {
	scheme, name, port, ok := splitOrigin(origin)
	name2, port2 := splitPort(host)
	return ok && equalFold(name, name2) && samePort(port, port2, defaultPort(scheme))
}

// matches reports whether origin is what an entry stands for.
func matches(origin []byte, entry string) bool {
	scheme, host, port, ok := splitOrigin(origin)
	scheme2, rest, ok2 := strings.Cut(entry, "://")
	if rest == "" && ok2 { // file://
		return equalFold(origin, entry)
	}
	host2, port2 := splitPort(rest)
	if !ok || !ok2 || !equalFold(scheme, scheme2) || !samePort(port, port2, defaultPort(scheme)) {
		return false
	}
	if domain, wild := strings.CutPrefix(host2, "*"); wild {
		n := len(host) - len(domain)
		return n > 0 && len(domain) > 1 && equalFold(host[n:], domain) && host[0] != '.'
	}
	return equalFold(host, host2)
}

// splitOrigin takes a serialized origin apart, RFC 6454 §6.2. ok is false for
// "null" and for anything more or less than scheme, host and port.
func splitOrigin[S text](origin S) (scheme, host, port S, ok bool) {
	i := 0
	for i < len(origin) && origin[i] != ':' {
		i++
	}
	if i == 0 || len(origin) < i+3 || origin[i+1] != '/' || origin[i+2] != '/' || !validHost(origin[i+3:]) {
		return scheme, host, port, false
	}
	host, port = splitPort(origin[i+3:])
	return origin[:i], host, port, true
}

func defaultPort[S text](scheme S) string {
	switch {
	case equalFold(scheme, "https"), equalFold(scheme, "wss"):
		return "443"
	case equalFold(scheme, "http"), equalFold(scheme, "ws"):
		return "80"
	}
	return ""
}

func samePort[A, B text](a A, b B, def string) bool {
	switch {
	case len(a) == 0 && len(b) == 0:
		return true
	case len(a) == 0:
		return string(b) == def
	case len(b) == 0:
		return string(a) == def
	}
	return string(a) == string(b)
}
