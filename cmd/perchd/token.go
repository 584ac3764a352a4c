package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/config"
)

// tokenCommand is `perchd token`: it prints a token signed with a key from a file, or with the development key, which
// is made if it is not there. It returns the exit status. Keys are given only as files: other users can read a
// command line.
func tokenCommand(args []string, out, errOut io.Writer) int {
	token, err := makeToken(args, out, clock.Real())
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(errOut, "perchd token: %v\nperchd token --help lists the settings.\n", err)
		return 2
	}
	if _, err := fmt.Fprintln(out, token); err != nil {
		fmt.Fprintln(errOut, "perchd token:", err)
		return 1
	}
	return 0
}

// makeToken returns flag.ErrHelp when help was asked for (and printed to help).
func makeToken(args []string, help io.Writer, on clock.Clock) (string, error) {
	now := on.Wall()
	c := auth.Claims{Subject: "dev", IssuedAt: now}
	ttl := time.Hour
	var key, kid, devKey string
	fs := flag.NewFlagSet("perchd token", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.Subject, "sub", c.Subject, "who the token is for: a `user`")
	fs.Func("ttl", "how `long` it is good (default 1h)", func(text string) (err error) {
		ttl, err = config.Duration(text)
		return err
	})
	fs.Func("room", "a `room` that its bearer may join; repeat for more (default: not limited)", appendTo(&c.Rooms))
	fs.Func("aud", "an `audience` it is for; repeat for more", appendTo(&c.Audience))
	fs.StringVar(&c.Issuer, "iss", "", "its `issuer`")
	fs.StringVar(&key, "key", "", "`file` with the key: a private key in PEM or DER form, or a secret for HS256 (default: the development key)")
	fs.StringVar(&kid, "kid", "", "the `name` of that key, as the server knows it")
	fs.StringVar(&devKey, "dev-key", "", "`file` of the development key, made if it is missing (default: that of perchd, which is\n$PERCH_AUTH_DEV_KEY, else perch/dev.key in $XDG_STATE_HOME)")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(help, "perchd token prints a token for development.")
			fmt.Fprintln(help)
			fs.SetOutput(help)
			fs.PrintDefaults()
		}
		return "", meant(fs, err)
	}
	switch {
	case fs.NArg() > 0:
		return "", fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case ttl < time.Second:
		return "", errors.New("--ttl: want a second or more")
	case kid != "" && key == "":
		return "", errors.New("--kid names the key of --key, which is missing")
	case key != "" && devKey != "":
		return "", errors.New("--key and --dev-key: want one of them")
	}
	k, err := signingKey(key, kid, devKey)
	if err != nil {
		return "", err
	}
	c.Expires = now.Add(ttl)
	token, err := k.Sign(c)
	if err != nil {
		return "", err
	}
	return token, wouldPass(token, k, on)
}

func signingKey(key, kid, devKey string) (auth.Key, error) {
	if key != "" {
		return auth.LoadKey(kid, key)
	}
	devKey = cmp.Or(devKey, os.Getenv("PERCH_AUTH_DEV_KEY"))
	if devKey == "" {
		var err error
		if devKey, err = auth.DevKeyPath(); err != nil {
			return auth.Key{}, err
		}
	}
	return auth.DevKey(devKey)
}

// wouldPass returns an error if no server would take the token, however it is configured: for example, a name that
// cannot be printed.
func wouldPass(token string, k auth.Key, on clock.Clock) error {
	v, err := auth.New(auth.Config{Keys: []auth.Key{k}, Clock: on})
	if err != nil {
		return err
	}
	defer v.Close()
	_, err = v.Verify(token)
	return err
}

// meant adds to an error about an unknown flag the flag that was probably meant.
func meant(fs *flag.FlagSet, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err
	}
	names := []string{"help"}
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if nearest := config.Nearest(strings.TrimPrefix(name, "-"), names); nearest != "" {
		return fmt.Errorf("--%s: unknown flag; did you mean --%s?", strings.TrimPrefix(name, "-"), nearest)
	}
	return fmt.Errorf("--%s: unknown flag", strings.TrimPrefix(name, "-"))
}

func appendTo(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}
