package abuse

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

const largestRSA = 8192 / 8 // bytes of a modulus, as large as perchd takes

// signatures is the first half of B10: tokens with a wrong signature, which takes longest to see with the largest key.
func signatures() Scenario {
	const conns = 100
	return Scenario{
		Name: "B10", What: "100 connections at a time of two addresses show tokens with bad signatures of RSA-8192",
		Keyed: true,
		Time:  20 * time.Second, Short: 4 * time.Second,
		Holds: 32 * mib, Keeps: 8 * mib,
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				for ctx.Err() == nil {
					s, err := a.open(a.from(i, 2), "/ws/chat", forged())
					if err != nil {
						return err
					}
					stop := closeWith(ctx, s)
					err = s.drain()
					stop()
					a.failed(err)
				}
				return nil
			})
		},
	}
}

// forged is a token that would be good if its signature were.
func forged() string {
	part := base64.RawURLEncoding.EncodeToString
	signature := make([]byte, largestRSA)
	rand.Read(signature[1:]) // less than the modulus: or it is refused at once
	claims := fmt.Sprintf(`{"sub":"stranger","exp":%d}`, time.Now().Add(time.Hour).Unix())
	return part([]byte(`{"alg":"RS256","kid":"rsa","typ":"JWT"}`)) + "." + part([]byte(claims)) + "." + part(signature)
}

// keys makes the keys of a server that wants tokens, in dir: one of RSA, of which nobody has the private part, and a
// secret. It returns the server's flags, and those of perchd token.
func keys(dir string) (server, tokens []string, err error) {
	modulus := make([]byte, largestRSA)
	rand.Read(modulus)
	modulus[0] |= 0x80
	modulus[largestRSA-1] |= 1
	public, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537})
	if err != nil {
		return nil, nil, err
	}
	slow, secret := filepath.Join(dir, "rsa.pem"), filepath.Join(dir, "secret")
	if err := os.WriteFile(slow, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(secret, []byte(rand.Text()+rand.Text()), 0o600); err != nil {
		return nil, nil, err
	}
	return []string{"--auth-key", "rsa=" + slow, "--auth-key", "ours=" + secret}, []string{"--key", secret, "--kid", "ours"}, nil
}
