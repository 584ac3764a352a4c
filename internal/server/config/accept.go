package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perchws/perch"
)

// printable refuses characters that nobody means to write, or that Print cannot show.
func printable(s string) error {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("want printable text")
	}
	return nil
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("want something")
	}
	return nil
}

// Systemd as an address means the socket that systemd has opened for us.
const Systemd = "systemd"

func address(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || path == "@" || path[0] != '/' && path[0] != '@' {
			return errors.New("want unix:/path, or unix:@name")
		}
		return nil
	}
	if s == Systemd {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("want host:port, unix:/path or systemd")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("want a port from 0 to 65535")
	}
	return nil
}

// adminAddress takes an address or "", but no socket of systemd.
func adminAddress(s string) error {
	switch {
	case s == "":
		return nil
	case s == Systemd || address(s) != nil:
		return errors.New("want host:port or unix:/path")
	}
	return nil
}

// prefix takes CIDR, or an address, which is its own prefix.
func prefix() form[netip.Prefix] {
	return trimmed(form[netip.Prefix]{
		parse: func(s string) (netip.Prefix, error) {
			if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
				return netip.PrefixFrom(a, a.BitLen()), nil
			}
			p, err := netip.ParsePrefix(s)
			if err != nil {
				return p, errors.New("want a prefix, as in 10.0.0.0/8 or fd00::/8, or an address")
			}
			if p != p.Masked() {
				return p, fmt.Errorf("has bits behind its length: want %v", p.Masked())
			}
			return p, nil
		},
		show: func(p netip.Prefix) string { return strconv.Quote(p.String()) },
	})
}

// peers takes a prefix, or "unix", which means every peer on a unix socket.
func peers() form[netip.Prefix] {
	const unix = "unix"
	f := prefix()
	return form[netip.Prefix]{
		parse: func(s string) (netip.Prefix, error) {
			if strings.TrimSpace(s) == unix {
				return perch.UnixPeers(), nil
			}
			p, err := f.parse(s)
			if err != nil {
				err = fmt.Errorf("%w, or %s", err, unix)
			}
			return p, err
		},
		show: func(p netip.Prefix) string {
			if p == perch.UnixPeers() {
				return strconv.Quote(unix)
			}
			return f.show(p)
		},
	}
}

// permission takes the mode bits of a file, as chmod does.
func permission() form[fs.FileMode] {
	return trimmed(form[fs.FileMode]{
		parse: func(s string) (fs.FileMode, error) {
			n, err := strconv.ParseUint(s, 8, 32)
			if err != nil || n == 0 || n > 0o777 {
				return 0, errors.New("want permissions, as in 0660")
			}
			return fs.FileMode(n), nil
		},
		show: func(m fs.FileMode) string { return fmt.Sprintf("\"%04o\"", m) },
	})
}

// keyFile takes PATH or KID=PATH. A kid has no slash, so that a path may have a "=".
func keyFile() form[KeyFile] {
	return form[KeyFile]{
		parse: func(s string) (KeyFile, error) {
			k := KeyFile{Path: s}
			if id, path, ok := strings.Cut(s, "="); ok && !strings.Contains(id, "/") {
				k = KeyFile{ID: id, Path: path}
				if id == "" {
					return k, errors.New("want a kid before the =")
				}
			}
			if k.Path == "" {
				return k, errors.New("want a file, or kid=file")
			}
			return k, printable(s)
		},
		show: func(k KeyFile) string {
			if k.ID == "" {
				return strconv.Quote(k.Path)
			}
			return strconv.Quote(k.ID + "=" + k.Path)
		},
		secret: true, // somebody will write the key itself here
	}
}

// link takes a URL to fetch from. It may have a secret in it: a password, or a key in the query.
func link() form[string] {
	return form[string]{
		parse: func(s string) (string, error) {
			u, err := url.Parse(s)
			if s != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "") {
				return "", errors.New("want https://host/path")
			}
			return s, nil
		},
		show: func(s string) string {
			u, err := url.Parse(s)
			if err != nil {
				return `"hidden"`
			}
			if u.User != nil {
				u.User = url.User("hidden")
			}
			if u.RawQuery != "" {
				u.RawQuery = "hidden"
			}
			return strconv.Quote(u.String())
		},
		secret: true,
	}
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]*$") // RFC 9110 §5.6.2

func cookieName(s string) error {
	if !token.MatchString(s) {
		return errors.New("want the name of a cookie")
	}
	return nil
}
