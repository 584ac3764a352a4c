//go:build linux

package perch

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/procs"
)

// withDefaults returns c without zero fields that stand for a default; math.MaxInt, or a duration of 0, is "no limit".
func (c Config) withDefaults() (Config, error) {
	var f faults
	if c.Addr == "" {
		c.Addr = "127.0.0.1:8000"
	}
	if c.Logger == nil {
		c.Logger = slog.New(errorsOnly{})
	}
	c.Reserved = slices.Clone(c.Reserved)
	c.threads(&f)
	c.limits(&f)
	c.lists(&f)
	c.times(&f)
	var err error
	if c.TLS != nil {
		c.TLS, err = serverTLS(c.TLS)
		f.add(err)
	}
	c.Compression, err = c.Compression.withDefaults()
	f.add(err)
	if err := errors.Join(f.errs...); err != nil {
		return c, fmt.Errorf("perch: config: %w", err)
	}
	return c, nil
}

// threads checks how much may run at once.
func (c *Config) threads(f *faults) {
	if c.Loops < 0 || c.Loops > maxLoops {
		f.addf("Loops: %d is not within 1..%d", c.Loops, maxLoops)
	}
	if c.Workers == 0 {
		c.Workers = 4 * procs.Available()
	}
	switch {
	case c.Workers < 1:
		f.addf("Workers: %d is less than 1", c.Workers)
	case c.Workers > maxWorkers:
		f.addf("Workers: %d is more than %d", c.Workers, maxWorkers)
	}
	f.count("MaxTLSHandshakes", &c.MaxTLSHandshakes, 256*procs.Available())
	if c.MaxTLSHandshakes < 1 {
		c.MaxTLSHandshakes = 1 // reported above
	}
}

// limits checks the bounds of a connection, an address and the process.
func (c *Config) limits(f *faults) {
	if c.MaxConnections < -1 {
		f.addf("MaxConnections: %d is neither a limit nor -1 (all the descriptors)", c.MaxConnections)
	}
	f.count("MaxConnectionsPerIP", &c.MaxConnectionsPerIP, 100)
	f.count("NewConnectionsPerSecond", &c.NewConnectionsPerSecond, 1000)
	f.count("NewConnectionsPerIP", &c.NewConnectionsPerIP, 100)
	f.count("MaxHTTP", &c.MaxHTTP, 1024)
	c.MaxHead, c.MaxHeaders = cmp.Or(c.MaxHead, handshake.MaxHead), cmp.Or(c.MaxHeaders, handshake.MaxHeaders)
	if c.MaxHead < leastHead || c.MaxHead > handshake.MostHead {
		f.addf("MaxHead: %d is not within %d..%d", c.MaxHead, leastHead, handshake.MostHead)
	}
	if c.MaxHeaders < leastHeaders || c.MaxHeaders > handshake.MostHeaders {
		f.addf("MaxHeaders: %d is not within %d..%d", c.MaxHeaders, leastHeaders, handshake.MostHeaders)
	}
	f.count("MaxMessageSize", &c.MaxMessageSize, 64<<10)
	f.count("MaxFragments", &c.MaxFragments, 1024)
	f.count("MaxOutput", &c.MaxOutput, 1<<20)
	f.buffer("SendBuffer", &c.SendBuffer)
	f.buffer("ReceiveBuffer", &c.ReceiveBuffer)
	f.bytes("MaxOutputTotal", &c.MaxOutputTotal, 256<<20)
	f.bytes("MaxInputTotal", &c.MaxInputTotal, max(128<<20, 4*min(int64(c.MaxMessageSize), math.MaxInt64/4)))
	if c.MaxMessageSize < math.MaxInt && c.MaxInputTotal/2 < int64(c.MaxMessageSize) {
		f.addf("MaxInputTotal: %d is less than two messages of MaxMessageSize, %d", c.MaxInputTotal, c.MaxMessageSize)
	}
	err := c.Rate.defaults(Rate{Messages: 100, Burst: 200, Bytes: max(1<<20, c.MaxMessageSize)})
	if err == nil {
		err = c.Rate.fits(c.MaxMessageSize)
	}
	f.add(err)
}

// lists checks paths, origins and addresses, and copies them.
func (c *Config) lists(f *faults) {
	f.add(checkReserved(c))
	f.add(checkOrigins(c.Origins))
	c.Origins = slices.Clone(c.Origins)
	var err error
	c.TrustedProxies, err = prefixes("TrustedProxies", c.TrustedProxies)
	f.add(err)
	c.ProxyProtocol, err = prefixes("ProxyProtocol", c.ProxyProtocol)
	f.add(err)
}

// times checks timeouts and the heartbeat.
func (c *Config) times(f *faults) {
	f.period("HandshakeTimeout", &c.HandshakeTimeout, 5*time.Second)
	f.period("MessageTimeout", &c.MessageTimeout, 30*time.Second)
	f.period("CloseTimeout", &c.CloseTimeout, 5*time.Second)
	f.period("WriteTimeout", &c.WriteTimeout, 30*time.Second)
	f.period("IdleTimeout", &c.IdleTimeout, 75*time.Second)
	pingTimes(&c.PingInterval, &c.PingTimeout)
	f.period("PingInterval", &c.PingInterval, 30*time.Second)
	f.period("PingTimeout", &c.PingTimeout, 60*time.Second)
	if c.PingInterval != 0 && c.PingTimeout != 0 && c.PingTimeout <= c.PingInterval {
		f.addf("PingTimeout: %v is not above PingInterval, %v", c.PingTimeout, c.PingInterval)
	}
}

// pingTimes derives the one of the two that is zero from the other.
func pingTimes(interval, timeout *time.Duration) {
	switch {
	case *interval == -1 && *timeout == 0:
		*timeout = -1 // without pings no answer can be missed
	case *interval > 0 && *timeout == 0:
		*timeout = 2 * min(*interval, math.MaxInt64/2)
	case *timeout > 0 && *interval == 0:
		*interval = max(*timeout/2, 1)
	}
}

// prefixes is a copy of list in the form of the addresses that we compare with it: IPv4 in IPv6 becomes IPv4.
func prefixes(key string, list []netip.Prefix) ([]netip.Prefix, error) {
	list = slices.Clone(list)
	for i, p := range list {
		switch {
		case !p.IsValid():
			return list, fmt.Errorf("%s: entry %d is no prefix", key, i)
		case p.Addr().Is4In6() && p.Bits() >= 96:
			list[i] = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	return list, nil
}

// checkOrigins reports entries that no origin can match.
func checkOrigins(list []string) error {
	var errs []error
	for _, entry := range list {
		if err := handshake.CheckOrigin(entry); err != nil {
			errs = append(errs, fmt.Errorf("Origins: %q: %w", entry, err))
		}
	}
	return errors.Join(errs...)
}

// faults gathers the faults of a configuration, so that one error names all of them.
type faults struct{ errs []error }

func (f *faults) add(err error) {
	if err != nil {
		f.errs = append(f.errs, err)
	}
}

func (f *faults) addf(format string, args ...any) { f.add(fmt.Errorf(format, args...)) }

// count resolves a limit: 0 means the default, -1 means none.
func (f *faults) count(key string, p *int, def int) {
	switch {
	case *p == 0:
		*p = def
	case *p == -1:
		*p = math.MaxInt
	case *p < -1:
		f.addf("%s: %d is neither a limit nor -1 (none)", key, *p)
	}
}

// bytes resolves a limit of the memory of all connections together.
func (f *faults) bytes(key string, p *int64, def int64) {
	switch {
	case *p == 0:
		*p = def
	case *p == -1:
		*p = math.MaxInt64
	case *p < -1:
		f.addf("%s: %d is neither a limit nor -1 (none)", key, *p)
	}
}

// buffer resolves the size of a buffer of the kernel: 0 means the default; -1 means that the kernel decides, and
// becomes 0.
func (f *faults) buffer(key string, p *int) {
	switch {
	case *p == 0:
		*p = 128 << 10
	case *p == -1:
		*p = 0
	case *p < leastBuffer || *p > math.MaxInt32/2:
		f.addf("%s: %d is neither within %d..%d nor -1 (as the kernel likes)", key, *p, leastBuffer, math.MaxInt32/2)
	}
}

// leastBuffer is the smallest buffer with which TCP works well.
const leastBuffer = 4 << 10

// period resolves a time: 0 means the default; -1 means never, and becomes 0.
func (f *faults) period(key string, p *time.Duration, def time.Duration) {
	switch {
	case *p == 0:
		*p = def
	case *p == -1:
		*p = 0
	case *p < 0:
		f.addf("%s: %v is neither a time nor -1 (never)", key, *p)
	}
}
