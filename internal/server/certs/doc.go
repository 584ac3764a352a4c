// Package certs is where perchd's certificates come from: files, which are read
// anew when they change, or one that is made at the start, for development.
//
//	files, err := certs.Load([]certs.Pair{{Cert: "fullchain.pem", Key: "privkey.pem"}}, log)
//	config.TLS = &tls.Config{GetCertificate: files.GetCertificate}
package certs
