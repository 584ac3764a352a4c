// Package certs provides perchd's certificates: from files, which are read anew when they change, or one for
// development that is made at the start.
//
//	files, err := certs.Load([]certs.Pair{{Cert: "fullchain.pem", Key: "privkey.pem"}}, log)
//	config.TLS = &tls.Config{GetCertificate: files.GetCertificate}
package certs
