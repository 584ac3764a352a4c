package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The meaning of signals:
//
//	SIGTERM, SIGINT   the end, see shutdown
//	SIGHUP            reload
//	SIGUSR2           nothing yet; a line in the log
//	SIGPIPE           nothing: the reader of our output is gone, and the write returns an error
//	SIGQUIT, SIGABRT  Go's: the stacks of all goroutines on stderr, and the end at once
//
// SIGKILL, signals that the kernel sends for a fault, and 32 to 34, which C libraries use, end perchd at once. Go
// ignores the rest.

// onePress is the time within which a repeated signal counts as the same one: Ctrl-C reaches a whole process group,
// and a shell, make or supervisor in it may pass the signal on.
const onePress = time.Second

// surviveReaders keeps Go from dying of SIGPIPE when the reader of stdout or stderr is gone. Unlike signal.Ignore it
// is not inherited by processes that we start.
func surviveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// notifyOthers asks for the signals that do not end perchd.
func notifyOthers() <-chan os.Signal {
	others := make(chan os.Signal, 8)
	signal.Notify(others, syscall.SIGHUP, syscall.SIGUSR2)
	return others
}

// notifyStop asks for the signals that end perchd. Before that they end it at once, which is right: there is no
// client yet.
func notifyStop() <-chan os.Signal {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	return stop
}

// later passes on the signals that come after onePress.
func later(stop <-chan os.Signal) <-chan os.Signal {
	hurry := make(chan os.Signal, 1)
	patient := time.Now().Add(onePress)
	go func() {
		for s := range stop {
			if time.Now().Before(patient) {
				continue
			}
			select {
			case hurry <- s:
			default:
			}
		}
	}()
	return hurry
}

// heed acts on a signal that does not end perchd.
func (d *daemon) heed(s os.Signal) {
	if s == syscall.SIGHUP {
		d.reload()
		return
	}
	d.log.Warn("a signal that means nothing yet", "signal", s.String())
}

// reload reads anew what can change while connections stay: certificates, keys, and the key set. If one of them
// cannot be read the old one stays. Other settings need a restart.
func (d *daemon) reload() {
	d.log.Info("reloading certificates and keys")
	if err := d.judge(); err != nil { // files may have been changed, and who may read and write them
		d.log.Error("nothing was reloaded, what was there before stays", "error", err)
		return
	}
	if d.certs != nil {
		d.certs.Reload()
	}
	keys, err := loadKeys(d.cfg)
	switch {
	case d.cfg.Open(): // the development key stays
	case err != nil:
		d.log.Error("the keys were not reloaded, those before stay", "error", err)
	default:
		if err := d.verifier.SetKeys(keys); err != nil {
			d.log.Error("the keys were not reloaded, those before stay", "error", err)
		}
	}
	if err := d.loadMetricsKey(); err != nil {
		d.log.Error("the key of /metrics was not reloaded, the one before stays", "error", err)
	}
	d.verifier.Reload()
	d.log.Info("reloaded; other settings need another start")
}
