package handshake

// OriginAllowed judges the Origin of a handshake (RFC 6455 §10.2) for a server
// reached under host. An empty origin is allowed: browsers always send one.
// allow lists origins, scheme://host[:port], compared as SameOrigin does, or
// "*" for all; an empty list means the same host alone.
func OriginAllowed(origin, host []byte, allow []string) bool {
	if len(origin) == 0 {
		return true
	}
	if len(allow) == 0 {
		return SameOrigin(origin, host)
	}
	for _, a := range allow {
		if a == "*" || a == string(origin) || sameOrigins(origin, a) {
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

func sameOrigins(a []byte, b string) bool {
	schemeA, nameA, portA, okA := splitOrigin(a)
	schemeB, nameB, portB, okB := splitOrigin(b)
	return okA && okB && equalFold(schemeA, schemeB) && equalFold(nameA, nameB) &&
		samePort(portA, portB, defaultPort(schemeA))
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
