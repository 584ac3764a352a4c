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

// What several rules say.
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

// tooSmall reports that there is a limit, and that it is less than so much.
func tooSmall[T int | int64](limit, least T) bool { return limit > 0 && limit < least }

// hasty reports a time that is shorter than a network takes at its worst.
func hasty(d time.Duration) bool { return d > 0 && d < time.Second }

// endless is for a total that has no limit.
func endless(total func(c *Config) int64) test {
	return when(func(c *Config) bool { return total(c) < 0 })
}

// forever is for a time without end.
func forever(d func(c *Config) time.Duration) test {
	return when(func(c *Config) bool { return d(c) < 0 })
}

// twoParts is for a total that holds less than two of its parts.
func twoParts(total, part func(c *Config) int64) test {
	return when(func(c *Config) bool { return total(c) > 0 && part(c) > 0 && total(c)/2 < part(c) })
}

// withoutDeflate is for a key that only compression asks.
func withoutDeflate(key string) test {
	return when(func(c *Config) bool { return c.Engine.Compression.Disabled && c.told(key) })
}

// totals are all that is bounded for the process.
func (c *Config) totals() int64 {
	sum := int64(0)
	input := cmp.Or(c.Engine.MaxInputTotal, max(128<<20, 4*int64(c.Engine.MaxMessageSize))) // auto
	for _, total := range []int64{c.Engine.MaxOutputTotal, input, c.Session.MaxBytes, c.Chat.MaxSends, c.Engine.Rooms.MaxHistoryTotal} {
		if total < 0 { // another rule is about that
			return 0
		}
		sum += total
		if sum < 0 {
			return 1<<63 - 1
		}
	}
	return sum
}

// fewDescriptors reports that there are never as many connections as are allowed, however loops share them.
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

// onUnix reports that perchd makes a unix socket.
func (c *Config) onUnix() bool { return strings.HasPrefix(c.Engine.Addr, "unix:") }

// oneSocket reports that all loops share one socket, which may be of any kind.
func (c *Config) oneSocket() bool { return c.onUnix() || c.Engine.Addr == Systemd }

// sameAddress reports that both listeners cannot be there. Port 0 is another one each time.
func sameAddress(c *Config) bool {
	return c.AdminListen == c.Engine.Addr && !strings.HasSuffix(c.AdminListen, ":0")
}

// tokensInTheClear reports that clients of other machines talk to perchd itself, and without TLS.
func tokensInTheClear(c *Config, f *Facts) bool {
	return !c.Open() && f.ListenReached && !c.TLS.Enabled() && len(c.Engine.TrustedProxies)+len(c.Engine.ProxyProtocol) == 0
}

func (c *Config) anyOrigin() bool { return slices.Contains(c.Engine.Origins, "*") }

type prefixList = []netip.Prefix

func hasUnix(list prefixList) bool { return slices.Contains(list, perch.UnixPeers()) }

func hasOnlyAddresses(list prefixList) bool { return len(list) > 0 && !hasUnix(list) }

// tooWide is for prefixes that nobody has all addresses of.
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

// wide reports a prefix that is larger than any private network, or what a provider of the internet has.
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

// keyFiles are the files of auth-key.
func (c *Config) keyFiles(*Facts) (all []Verifier) {
	for _, k := range c.Auth.Keys {
		all = append(all, Verifier{Key: "auth-key", Path: k.Path})
	}
	return all
}

// twice is for what only one key may have. In a key set of an issuer keys for several algorithms may share a kid.
func twice(all func(c *Config, f *Facts) []Verifier, has func(v Verifier) string, what string) test {
	return func(c *Config, f *Facts) (by []string) {
		seen := make(map[string]string) // who has it: a key of the configuration
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

// crowded is for more keys without a kid than one token is tried with.
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

// writable is for files that every user may write.
func writable(key string) test {
	return openFile(key, 0o002, func(File) bool { return true })
}

// exposed is for secrets that the group may read or write, or every user may read.
func exposed(key string) test {
	return openFile(key, 0o064, func(f File) bool { return f.Secret })
}

// openFile is for files of a key with one of these bits in their mode.
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

// secretURL reports that there may be a secret in a URL.
func secretURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.User != nil || u.RawQuery != "")
}
