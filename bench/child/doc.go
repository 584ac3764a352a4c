// Package child runs the servers and clients that a measurement needs, as processes of their own. They end
// with the process that has started them, whatever happens to it, and with them all that they have started.
package child
