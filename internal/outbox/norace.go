//go:build !race

package outbox

// checked says that the rules of a Box are asserted.
const checked = false
