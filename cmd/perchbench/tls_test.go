package main

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/certs"
)

// Without --insecure a certificate is verified: against the system's roots, or
// those of --ca.
func TestVerify(t *testing.T) {
	addr := endpoints(t, serverTLS{selfSigned: true})
	other, err := certs.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"", " --ca " + ca} {
		var out, errOut bytes.Buffer
		args := strings.Fields("--url wss://" + addr + "/ws --conns 1 --warmup 0s --time 100ms" + more)
		if status := runLoad("echo", args, &out, &errOut); status != statusFaults || !strings.Contains(errOut.String(), "x509: ") {
			t.Errorf("%q: status %d: %s", more, status, &errOut)
		}
	}
}

func TestTLSFlags(t *testing.T) {
	for args, says := range map[string]string{
		"echo --tls-version 1.1": "1.2 or 1.3",
		"echo --ca none":         "no such file",
		"echo --ca load.go":      "no certificate",
		"serve --tls-cert a":     "--tls-key",
		"serve --tls-key a":      "--tls-cert",
		"serve --tls-cert a --tls-key b --tls-self-signed": "--tls-self-signed",
	} {
		var out, errOut bytes.Buffer
		all := strings.Fields(args)
		if all[0] == "serve" {
			if _, err := parse(all, &out); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", args, err)
			}
		} else if status := runLoad(all[0], all[1:], &out, &errOut); status != statusUsage || !strings.Contains(errOut.String(), says) {
			t.Errorf("%s: status %d, %s", args, status, &errOut)
		}
	}
}
