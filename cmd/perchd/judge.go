package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/perchws/perch/internal/procs"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/sock"
)

// judge checks the settings by the rules of package config, and logs its warnings.
func (d *daemon) judge() error {
	doubts, err := d.cfg.Judge(d.facts())
	for _, doubt := range doubts {
		d.log.Warn(doubt)
	}
	return err
}

// resolve looks up the addresses to listen on, takes the socket that was inherited, and finds out whether other
// machines reach them. In open mode perchd listens on the addresses that were looked up here. If it only checks there
// is no socket: systemd passes it to perchd alone.
func (d *daemon) resolve(checked bool) error {
	c := d.cfg
	switch {
	case c.Engine.Addr != config.Systemd:
		var listen, admin error
		d.reached.ListenReached, listen = resolve(c, "listen", &c.Engine.Addr)
		d.reached.AdminReached, admin = resolve(c, "admin-listen", &c.AdminListen)
		return errors.Join(listen, admin)
	case !checked:
		inherited, err := inherit(c)
		if err != nil {
			return err
		}
		d.reached.ListenReached = inherited.Network() != "unix" && !auth.LoopbackListen(inherited.String())
	}
	var err error
	d.reached.AdminReached, err = resolve(c, "admin-listen", &c.AdminListen)
	return err
}

// resolve looks up the address of a key, and reports whether other machines reach it.
func resolve(c *config.Config, key string, addr *string) (reached bool, err error) {
	if *addr == "" || strings.HasPrefix(*addr, "unix:") {
		return false, nil
	}
	a, err := net.ResolveTCPAddr("tcp", *addr)
	if err != nil {
		return false, c.Errorf(key, "%w", err)
	}
	if c.Open() {
		*addr = a.String()
	}
	return !auth.LoopbackListen(a.String()), nil
}

// facts are used by rules besides the settings. A file that cannot be read is a fault that others report.
func (d *daemon) facts() config.Facts {
	c, f := d.cfg, d.reached
	f.Descriptors, f.CPUs, f.Memory = sock.DescriptorLimit(), procs.Available(), memory()
	file := func(key, path string, secret bool) {
		if info, err := os.Stat(path); path != "" && err == nil {
			f.Files = append(f.Files, config.File{Key: key, Path: path, Mode: info.Mode().Perm(), Secret: secret})
		}
	}
	verifies := func(key, path string, k auth.Key) {
		f.Verifiers = append(f.Verifiers, config.Verifier{Key: key, Path: path, ID: k.ID(), Algorithm: k.Algorithm()})
	}
	for _, k := range c.Auth.Keys {
		key, err := auth.LoadKey(k.ID, k.Path)
		file("auth-key", k.Path, key.CanSign())
		if err == nil {
			verifies("auth-key", k.Path, key)
		}
	}
	secrets := false
	for _, k := range auth.KeySet(c.Auth.KeySetFile) {
		secrets = secrets || k.CanSign()
		verifies("auth-jwks-file", c.Auth.KeySetFile, k)
	}
	file("auth-jwks-file", c.Auth.KeySetFile, secrets)
	file("metrics-key", c.MetricsKey, true)
	for _, path := range c.TLS.Certs {
		file("tls-cert", path, false)
	}
	for _, path := range c.TLS.Keys {
		file("tls-key", path, true)
	}
	file("tls-client-ca", c.TLS.ClientCA, false)
	file("config", c.File, false)
	if d.certs != nil {
		f.Invalid = d.certs.Invalid(d.clock.Wall())
	}
	return f
}

// wouldWarn is the log of a perchd that only checks: it prints the warnings.
type wouldWarn struct{ to io.Writer }

func (wouldWarn) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (w wouldWarn) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintln(w.to, "perchd would warn:", r.Message)
	return err
}

func (w wouldWarn) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w wouldWarn) WithGroup(string) slog.Handler      { return w }

// memory is how many bytes the process may use, by machine, cgroup and GOMEMLIMIT.
func memory() int64 {
	most := debug.SetMemoryLimit(-1)
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, _ := os.ReadFile(name)
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64); err == nil && n > 0 {
			most = min(most, n)
		}
	}
	b, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil && n > 0 {
				most = min(most, n<<10)
			}
		}
	}
	if most == math.MaxInt64 {
		return 0
	}
	return most
}
