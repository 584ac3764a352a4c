// Package interop holds tests alone: the engine and perchd against other people's programs and
// libraries, as their server and as their client. A program that is missing skips its tests and
// says how to install it; with CI=true they fail.
package interop
