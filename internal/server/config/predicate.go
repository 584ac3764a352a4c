package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/handshake"
)

// Texts of several rules.
const (
	fillsMemory = "without a limit clients can fill the memory of the machine: leave it out, or write a size"
	keepsPlace  = "with 0 a client that does nothing keeps its place for ever: leave it out, or write a time"
	tooFast     = "clients that are far away, or on a phone, are not as fast: want 1s or more"
	onlyDeflate = "it means nothing without compression: leave it out, or set permessage-deflate"
	nobodyAsked = "without a key nobody needs a token, so that this keeps out nobody: set auth-key, auth-jwks-file or auth-jwks-url, or leave it out"
	replaceable = "every user of this machine can put something else into it: chmod o-w"
	readable    = "other users can read this secret: chmod 600, and chown it to the user of perchd"
)

const (
	leastHead, mostHead = 256, handshake.MostHead
	leastBuffer         = 4 << 10
	leastTotal          = 1 << 20
	ownRooms            = 2 // general and random
	mostNameless        = 4 // keys of an algorithm without a kid: auth.MaxTries
)

// tooSmall reports whether there is a limit, and it is less than least.
func tooSmall[T int | int64](limit, least T) bool { return limit > 0 && limit < least }

// hasty reports whether a time is shorter than a slow network needs.
func hasty(d time.Duration) bool { return d > 0 && d < time.Second }

// endless tests whether a total has no limit.
func endless(total func(c *Config) int64) test {
	return when(func(c *Config) bool { return total(c) < 0 })
}

// forever tests whether a time has no end.
func forever(d func(c *Config) time.Duration) test {
	return when(func(c *Config) bool { return d(c) < 0 })
}

// twoParts tests whether a total holds less than two of its parts.
func twoParts(total, part func(c *Config) int64) test {
	return when(func(c *Config) bool { return total(c) > 0 && part(c) > 0 && total(c)/2 < part(c) })
}

// withoutDeflate tests whether a key is set that only compression uses.
func withoutDeflate(key string) test {
	return when(func(c *Config) bool { return c.Engine.Compression.Disabled && c.told(key) })
}

// totals is the sum of all bounds for the process.
func (c *Config) totals() int64 {
	sum := int64(0)
	input := cmp.Or(c.Engine.MaxInputTotal, max(128<<20, 4*int64(c.Engine.MaxMessageSize))) // auto
	for _, total := range []int64{c.Engine.MaxOutputTotal, input, c.Session.MaxBytes, c.Chat.MaxSends, c.Engine.Rooms.MaxHistoryTotal} {
		if total < 0 { // this is another rule
			return 0
		}
		sum += total
		if sum < 0 {
			return 1<<63 - 1
		}
	}
	return sum
}

// fewDescriptors reports whether the descriptors can never be enough for the connections allowed, however loops share
// them.
func fewDescriptors(c *Config, f *Facts) bool {
	tables := 1
	if !c.oneSocket() {
		tables = mostTables
		if c.Engine.Loops > 0 {
			tables = c.Engine.Loops
		}
	}
	return f.Descriptors > 0 && c.Engine.MaxConnections/tables > f.Descriptors
}

// mostTables is how many descriptor tables the engine makes by itself.
const mostTables = 64

// onUnix reports whether perchd makes a unix socket.
func (c *Config) onUnix() bool { return strings.HasPrefix(c.Engine.Addr, "unix:") }

// oneSocket reports whether all loops share one socket.
func (c *Config) oneSocket() bool { return c.onUnix() || c.Engine.Addr == Systemd }

// sameAddress reports whether both listeners have the same address. Port 0 is a different port each time.
func sameAddress(c *Config) bool {
	return c.AdminListen == c.Engine.Addr && !strings.HasSuffix(c.AdminListen, ":0")
}

// tokensInTheClear reports whether clients of other machines talk to perchd directly, and without TLS.
func tokensInTheClear(c *Config, f *Facts) bool {
	return !c.Open() && f.ListenReached && !c.TLS.Enabled() && len(c.Engine.TrustedProxies)+len(c.Engine.ProxyProtocol) == 0
}

func (c *Config) anyOrigin() bool { return slices.Contains(c.Engine.Origins, "*") }

type prefixList = []netip.Prefix

func hasUnix(list prefixList) bool { return slices.Contains(list, perch.UnixPeers()) }

func hasOnlyAddresses(list prefixList) bool { return len(list) > 0 && !hasUnix(list) }

// tooWide tests for prefixes that are too large for the proxies of one operator.
func tooWide(list func(c *Config) prefixList) test {
	return func(c *Config, _ *Facts) (by []string) {
		for _, p := range list(c) {
			if p != perch.UnixPeers() && wide(p) {
				by = append(by, p.String())
			}
		}
		return by
	}
}

var global = netip.MustParsePrefix("2000::/3") // IPv6 of the internet

// wide reports whether a prefix is larger than any private network, or than the prefix of an internet provider.
func wide(p netip.Prefix) bool {
	switch {
	case p.Addr().Is4():
		return p.Bits() < 8
	case p.Addr().Is4In6():
		return p.Bits() < 96+8
	case p.Overlaps(global):
		return p.Bits() < 19
	}
	return p.Bits() < 7
}

// keyFiles returns the files of auth-key.
func (c *Config) keyFiles(*Facts) (all []Verifier) {
	for _, k := range c.Auth.Keys {
		all = append(all, Verifier{Key: "auth-key", Path: k.Path})
	}
	return all
}

// twice tests whether two keys share something that only one may have. In a key set of an issuer keys for several
// algorithms may share a kid.
func twice(all func(c *Config, f *Facts) []Verifier, has func(v Verifier) string, what string) test {
	return func(c *Config, f *Facts) (by []string) {
		seen := make(map[string]string) // to the key of the configuration that has it
		for _, v := range all(c, f) {
			it := has(v)
			before, again := seen[it]
			if it != "" && again && (before == "auth-key" || v.Key == "auth-key") {
				by = append(by, fmt.Sprintf("%s %s", what, it))
			}
			seen[it] = v.Key
		}
		return slices.Compact(by)
	}
}

// crowded tests whether there are more keys without a kid than one token is tried with.
func crowded(_ *Config, f *Facts) (by []string) {
	nameless := make(map[string]int)
	for _, v := range f.Verifiers {
		if v.ID == "" {
			if nameless[v.Algorithm]++; nameless[v.Algorithm] == mostNameless+1 {
				by = append(by, v.Algorithm)
			}
		}
	}
	return by
}

// writable tests whether every user may write a file.
func writable(key string) test {
	return openFile(key, 0o002, func(File) bool { return true })
}

// exposed tests whether the group may read or write a secret, or every user may read it.
func exposed(key string) test {
	return openFile(key, 0o064, func(f File) bool { return f.Secret })
}

// openFile tests whether a file of a key has one of these bits in its mode.
func openFile(key string, bits fs.FileMode, matters func(File) bool) test {
	return func(_ *Config, f *Facts) (by []string) {
		for _, file := range f.Files {
			if file.Key == key && matters(file) && file.Mode&bits != 0 {
				by = append(by, fmt.Sprintf("%s has mode %04o", file.Path, file.Mode.Perm()))
			}
		}
		return by
	}
}

// secretURL reports whether a URL may have a secret in it.
func secretURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.User != nil || u.RawQuery != "")
}
