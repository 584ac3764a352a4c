// Package docs is the documents that perchd serves beside its pages: those of the version that runs.
package docs

import _ "embed"

// Protocol is docs/protocol.md, in Markdown. It must not be changed.
//
//go:embed protocol.md
var Protocol []byte
