package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// maxRedirects is the number of redirects that are followed.
const maxRedirects = 3

// fetcher gets a JWK set over HTTP.
type fetcher struct {
	url    string
	name   string // of the URL, for a log: without user and query
	client *http.Client
}

func newFetcher(address string, client *http.Client) (*fetcher, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("auth: the URL of the key set does not parse")
	}
	if err := trustworthy(u); err != nil {
		return nil, err
	}
	f := &fetcher{url: address, name: u.Scheme + "://" + u.Host + u.EscapedPath(), client: new(http.Client)}
	if client != nil {
		*f.client = *client
	} else {
		f.client.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true, // there are minutes between two requests
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	f.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("auth: the key set redirects too often")
		}
		return trustworthy(r.URL)
	}
	return f, nil
}

// trustworthy demands that nobody on the way can change the keys.
func trustworthy(u *url.URL) error {
	switch {
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && LoopbackListen(net.JoinHostPort(u.Hostname(), "0")): // no name server is asked
		return nil
	}
	return errors.New("auth: the URL of a key set must be https, or http on this machine")
}

// fetch returns the body of an answer with status 200. Its time, headers and size are bounded. Its errors do not show
// the URL's query.
func (f *fetcher) fetch(ctx context.Context) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, errors.New("auth: the URL of the key set does not parse")
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := f.client.Do(r)
	if err != nil {
		var failed *url.Error // its text has the URL
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("auth: key set: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("auth: key set: status %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("auth: key set: %w", err)
	}
	if len(b) > maxKeySet {
		return nil, fmt.Errorf("auth: key set has more than %d bytes", maxKeySet)
	}
	return b, nil
}
