package connescape_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/perchws/perch/internal/connescape"
)

// What is reported, and what is not, stands in testdata.
func TestConnEscape(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), connescape.Analyzer, "a")
}
