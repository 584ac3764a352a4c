package config

import "io/fs"

// Facts are used by rules besides the keys: facts about files, and about the machine. The zero Facts break no rule.
type Facts struct {
	ListenReached, AdminReached bool // other machines reach what listens there
	Files                       []File
	Verifiers                   []Verifier
	Invalid                     []string // certificates of tls-cert that are not valid now, and when they are
	Descriptors                 int      // that a thread may have open; 0: not known
	CPUs                        int      // 0: not known
	Memory                      int64    // bytes that the process may use; 0: not known
}

// File is a file that a key names.
type File struct {
	Key, Path string
	Mode      fs.FileMode
	Secret    bool // a reader of it can do what only perchd, or the issuer of tokens, should
}

// Verifier is a key that verifies tokens.
type Verifier struct {
	Key       string // of the configuration: auth-key or auth-jwks-file
	Path      string
	ID        string // kid; may be empty
	Algorithm string
}
