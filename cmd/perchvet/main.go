// Perchvet finds values of type perch.Conn that are kept after their callback: see package connescape.
//
//	go run github.com/perchws/perch/cmd/perchvet@latest ./...
//
// It is a vet tool, too: go vet -vettool=$(which perchvet) ./...
package main

import (
	"golang.org/x/tools/go/analysis/singlechecker"

	"github.com/perchws/perch/internal/connescape"
)

func main() { singlechecker.Main(connescape.Analyzer) }
