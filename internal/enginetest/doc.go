// Package enginetest is what the tests of the engine share that use its public API alone:
// servers and clients of a test, collectors of what callbacks are told, and tests that run in a
// process of their own. The tests are in the packages below, one for each theme.
package enginetest
