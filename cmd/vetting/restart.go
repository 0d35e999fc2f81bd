package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// errAgain ends the appliance to have it started anew.
var errAgain = errors.New("the appliance is to be started anew")

// restart is the wish that the appliance be started anew. The zero value is none. Safe for
// concurrent use.
type restart struct {
	mu     sync.Mutex // guards both
	wished bool
	wish   chan struct{}
}

func (r *restart) channel() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.wish == nil {
		r.wish = make(chan struct{})
	}

	return r.wish
}

// ask ends the appliance in an orderly way, after which it is started anew.
func (r *restart) ask() {
	wish := r.channel()

	r.mu.Lock()
	defer r.mu.Unlock()

	if !r.wished {
		r.wished = true
		close(wish)
	}
}

// asked reports whether somebody has asked.
func (r *restart) asked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.wished
}

// await waits for somebody to ask, and ends the appliance then.
func (r *restart) await(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.channel():
		return errAgain
	}
}

// again puts this very program, with its arguments and environment, in the place of this
// process: the number of the process stays, and so do its rights, as its service manager
// gave them. It returns only when that fails.
func again() error {
	if err := syscall.Exec(ownProgram(), os.Args, append(os.Environ(), managed...)); err != nil { //nolint:gosec // ourselves, as we were called
		return fmt.Errorf("starting the appliance anew: %w", err)
	}

	return nil
}

// ownProgram is the path of this very program. By /proc it is found even where another
// one lies by now in its place, but is called "exe" in the list of processes.
func ownProgram() string {
	const self = "/proc/self/exe"

	path, err := os.Executable()
	if err != nil {
		return self
	}

	at, errAt := os.Stat(path)
	is, errIs := os.Stat(self)

	if errAt != nil || errIs != nil || !os.SameFile(at, is) {
		return self
	}

	return path
}
