package config

import (
	"fmt"
	"io"
	"strings"
)

// Print writes every key with its value and the source of the value, as a file that Load reads. The parts of a URL
// that may be secret are hidden.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	for i, g := range groups {
		if i > 0 {
			b.WriteByte('\n')
		}
		title, _, _ := strings.Cut(g.title, ".")
		fmt.Fprintf(&b, "# %s\n", title)
		for _, k := range g.keys {
			fmt.Fprintf(&b, "%-54s # %s\n", k.name+" = "+k.at(c).show(), c.Source(k.name))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Help writes the help for all keys.
func Help(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`perchd serves WebSocket.

  perchd [flags]          serve
  perchd config [flags]   check all settings, with the files that they name, and print the value
                          of every key and where it comes from; what perchd would warn of, and what
                          it would refuse (status 2), in the same words as its start
  perchd token [flags]    print a token for development
  perchd help [verb], perchd version

Every key can be given as --max-connections 5, as PERCH_MAX_CONNECTIONS=5, or as max-connections = 5
in a TOML file; the first of these wins. A flag that takes a list is repeated; a variable
separates by commas; a file has ["a", "b"]. Sizes are bytes, or 64KiB, 64K, 1.5M: K, M and G are powers
of 1024; times are 500ms, 10s, 24h. A key without a value is true; --key=false or --key false is the
opposite. A limit of 0 is none.

SIGTERM and SIGINT close every client with 1001 and end perchd; one of them more than a second later
does not wait. SIGHUP reads certificates, keys and the JWK set anew. SIGUSR2 means nothing yet. SIGQUIT
shows what every goroutine does, and ends perchd at once.

`)
	line := func(name, operand, help string) {
		fmt.Fprintf(&b, "  %-38s %s\n", strings.TrimSpace("--"+name+" "+operand), help)
	}
	line("config", "file", "the file; PERCH_CONFIG names it too")
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s:\n", g.title)
		for _, k := range g.keys {
			line(k.name, k.operand, k.describe())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// describe is the help of a key, with its default.
func (k key) describe() string {
	text := k.help
	if k.at(new(Config)).list {
		text += "; a list"
	}
	if k.standard != "" {
		text += " (default " + k.standard + ")"
	}
	return text
}
