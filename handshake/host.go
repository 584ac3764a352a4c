package handshake

// validHost reports whether s is uri-host [ ":" port ], RFC 9110 §7.2: a name
// without escapes, an IPv4 address, or an IPv6 address in brackets.
func validHost[S text](s S) bool {
	host, port := splitPort(s)
	if len(port) > 5 || len(port) > 0 && !only(port, classDigit) {
		return false
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		return validIPv6(host[1 : n-1])
	}
	return only(host, classHost)
}

// splitPort cuts host:port at the colon behind the host. Brackets stay.
func splitPort[S text](s S) (host, port S) {
	for i := len(s) - 1; i >= 0 && s[i] != ']'; i-- {
		if s[i] == ':' {
			return s[:i], s[i+1:]
		}
	}
	return s, port
}

// validIPv6 reports whether s is an IPv6 address without a zone, RFC 3986
// §3.2.2. Package netip would make a string of each.
func validIPv6[S text](s S) bool {
	groups, gap := 0, false // 16 bits each; "::" seen
	i := 0
	if len(s) >= 2 && s[0] == ':' && s[1] == ':' {
		gap = true
		i = 2
	}
	for i < len(s) {
		at := i
		for i < len(s) && class[s[i]]&classHex != 0 {
			i++
		}
		if i < len(s) && s[i] == '.' {
			groups += 2 // an IPv4 address fills the last 32 bits
			return groups <= 8 && gap == (groups < 8) && validIPv4(s[at:])
		}
		if i == at || i-at > 4 {
			return false
		}
		groups++
		if i == len(s) {
			break
		}
		if s[i] != ':' {
			return false
		}
		if i++; i == len(s) {
			return false // a colon at the end
		}
		if s[i] == ':' {
			if gap {
				return false
			}
			gap = true
			i++
		}
	}
	return groups <= 8 && gap == (groups < 8) // the gap is one group or more
}

// validIPv4 reports whether s is four decimal numbers up to 255 with dots.
func validIPv4[S text](s S) bool {
	numbers, value, digits := 0, 0, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == '.':
			if digits == 0 {
				return false
			}
			numbers++
			value, digits = 0, 0
		case class[s[i]]&classDigit == 0 || digits > 0 && value == 0:
			return false // no leading zeros
		default:
			value = value*10 + int(s[i]-'0')
			digits++
			if value > 255 {
				return false
			}
		}
	}
	return numbers == 4
}
