package network

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace with a thread of its own, which stays inside of it and
// sees its ports in /sys. It has no name and nothing holds it but this process: when that
// ends, in whatever way, the kernel gives the ports in it that are hardware back to the
// first namespace (default_device_exit_net in net/core/dev.c), switched off. Safe for
// concurrent use.
type namespace struct {
	work chan func()
	quit chan struct{}
	over chan struct{} // closed when the thread has left
	once sync.Once
	file *os.File // the namespace itself
}

// errLeft says that a namespace is no more.
var errLeft = errors.New("the network namespace is no more")

// openNamespace makes a namespace that is empty but for a loopback that is off.
func openNamespace() (*namespace, error) {
	n := &namespace{work: make(chan func()), quit: make(chan struct{}), over: make(chan struct{})}
	ready := make(chan error)

	go n.inhabit(ready)

	if err := <-ready; err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}

	return n, nil
}

// inhabit is the thread. It is never unlocked: Go ends a thread whose goroutine returned
// locked, so that none comes back to the others out of a foreign namespace.
func (n *namespace) inhabit(ready chan<- error) {
	runtime.LockOSThread()
	defer close(n.over)

	if err := n.enter(); err != nil {
		ready <- err

		return
	}

	defer n.file.Close() //nolint:errcheck // a descriptor that was only held

	ready <- nil

	for {
		select {
		case job := <-n.work:
			job()
		case <-n.quit:
			return
		}
	}
}

// enter leaves the namespaces that the process has. What /sys/class/net shows is that of
// the namespace it was mounted in (sysfs(5)), so that the thread mounts its own, for itself
// alone.
func (n *namespace) enter() (err error) {
	if err = unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return err
	}

	if err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keeping mounts to itself: %w", err)
	}

	if err = unix.Mount("sysfs", "/sys", "sysfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /sys: %w", err)
	}

	n.file, err = os.Open("/proc/thread-self/ns/net")

	return err
}

// do runs f inside, one at a time. A panic of it is an error, since the ports have yet to
// be brought home.
func (n *namespace) do(f func() error) error {
	done := make(chan error, 1)

	job := func() {
		defer func() {
			if cause := recover(); cause != nil {
				done <- fmt.Errorf("in a network namespace: %v", cause)
			}
		}()

		done <- f()
	}

	select {
	case n.work <- job:
		return <-done
	case <-n.over:
		return errLeft
	}
}

// close leaves the namespace, which is no more then.
func (n *namespace) close() {
	n.once.Do(func() { close(n.quit) })
	<-n.over
}
