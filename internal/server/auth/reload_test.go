package auth

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestSetKeys: the new keys replace the old ones, beside those of the set; no keys at all are an error.
func TestSetKeys(t *testing.T) {
	all := signers()
	v := verifier(t, func(c *Config) { c.Keys = []Key{all["RS256"].key} })
	if err := v.SetKeys([]Key{all["ES256"].key}); err != nil {
		t.Fatal(err)
	}
	_, err := v.Verify(all["RS256"].mint(nil, nil))
	wantError(t, err, ErrUnknownKey)
	_, err = v.Verify(all["ES256"].mint(nil, nil))
	wantError(t, err, nil)
	for name, keys := range map[string][]Key{"none": nil, "a zero one": {all["EdDSA"].key, {}}} {
		if err := v.SetKeys(keys); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_, err = v.Verify(all["ES256"].mint(nil, nil))
	wantError(t, err, nil)

	v = verifier(t, func(c *Config) { c.Keys, c.KeySetFile = nil, write(t, keySet(jwkOf(all["EdDSA"])), 0o600) })
	if err := v.SetKeys([]Key{all["ES256"].key}); err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"EdDSA", "ES256"} {
		_, err = v.Verify(all[alg].mint(nil, nil))
		wantError(t, err, nil)
	}
	if err := v.SetKeys(nil); err != nil {
		t.Errorf("no key beside a set: %v", err)
	}
}

// TestReloadNow: Reload loads a set again that was just loaded, and later loads come as usual.
func TestReloadNow(t *testing.T) {
	old, next := signers()["ES256"], signers()["EdDSA"]
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{set: keySet(jwkOf(old))}
		v := verifier(t, func(c *Config) {
			c.Keys, c.KeySetURL, c.HTTP = nil, "https://issuer.example/keys", &http.Client{Transport: tr}
			c.Refresh, c.RefreshGap = time.Hour, 10*time.Second
		})
		synctest.Wait()
		tr.change(keySet(jwkOf(next)))
		v.Reload()
		synctest.Wait()
		if _, err := v.Verify(next.mint(nil, nil)); err != nil {
			t.Errorf("after Reload: %v", err)
		}
		if n := len(tr.requests()); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		time.Sleep(time.Hour)
		if n := len(tr.requests()); n != 3 {
			t.Errorf("%d requests after another hour, want 3", n)
		}
	})
}
