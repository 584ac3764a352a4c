package limit

import "net/netip"

// Address is what clients are told apart by: an IPv4 address, or the /64 of an IPv6 address, which
// one client has as a whole. The zero Address is nobody's, and is not limited.
type Address [8]byte

// AddressOf returns the Address of a: zero for loopback, unix sockets (the unspecified IPv6
// address) and unknown addresses.
func AddressOf(a netip.Addr) (k Address) {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.IsLoopback() || a == netip.IPv6Unspecified():
	case a.Is4():
		k = of4(a)
	default:
		b := a.As16()
		copy(k[:], b[:8])
	}
	return k
}

// ShareOf is AddressOf for what is divided between clients: loopback IPv4 addresses have shares
// like any other.
func ShareOf(a netip.Addr) Address {
	if a = a.Unmap(); a.Is4() {
		return of4(a)
	}
	return AddressOf(a)
}

// of4 begins as no global IPv6 prefix does: 0000::/8 is reserved.
func of4(a netip.Addr) Address {
	b := a.As4()
	return Address{0, 0, 0xFF, 0xFF, b[0], b[1], b[2], b[3]}
}
