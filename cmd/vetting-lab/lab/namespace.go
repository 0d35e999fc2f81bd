//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace with a thread of its own, which stays inside
// it: sockets opened and programs started by Do belong to the namespace. Safe
// for concurrent use.
type Namespace struct {
	name string
	work chan func()
	over chan struct{} // closed when the thread has left
}

// openNamespace makes the namespace name, which must be new, with its loopback up.
func openNamespace(name string) (*Namespace, error) {
	if err := shareNamespaces(namespaceDir); err != nil {
		return nil, err
	}

	n := &Namespace{name: name, work: make(chan func()), over: make(chan struct{})}
	ready := make(chan error)

	go n.inhabit(ready)

	if err := <-ready; err != nil {
		return nil, fmt.Errorf("making network namespace %s: %w", name, err)
	}

	return n, nil
}

// shareNamespaces makes dir a mount point of its own that passes mounts on, as `ip netns`
// does at its first use. Left to that, its mount would come to lie over the namespaces of
// a lab that runs, each then mounted twice, and none of them could be removed.
func shareNamespaces(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as ip-netns(8) has it: there is no secret in it
		return fmt.Errorf("making %s: %w", dir, err)
	}

	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}

	defer func() { err = errors.Join(err, folder.Close()) }()

	// The lock that ip-netns(8) takes, too: two at once would both find no mount.
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", dir, err)
	}

	share := func() error { return unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "") }

	err = share()
	if errors.Is(err, unix.EINVAL) { // no mount point yet
		if err = unix.Mount(dir, dir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = share()
		}
	}

	if err != nil {
		return fmt.Errorf("sharing %s as ip-netns(8) does: %w", dir, err)
	}

	return nil
}

// inhabit is the thread. It is never unlocked: Go ends a thread whose goroutine
// returned locked, so that none comes back to the pool in a foreign namespace.
func (n *Namespace) inhabit(ready chan<- error) {
	runtime.LockOSThread()
	defer close(n.over)

	handle, err := netns.NewNamed(n.name)
	if err != nil {
		ready <- err

		return
	}

	defer handle.Close() //nolint:errcheck // a descriptor that was only read

	ready <- raise("lo")

	for job := range n.work {
		job()
	}
}

// Name is the namespace's name under /run/netns, as `ip netns exec` takes it.
func (n *Namespace) Name() string { return n.name }

// Do runs f on the thread inside the namespace, one at a time.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	n.work <- func() { done <- f() }

	return <-done
}

// Dial connects to address, as seen from inside the namespace.
func (n *Namespace) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}

	err = n.Do(func() error {
		conn, err = dialer.DialContext(ctx, network, address)

		return err
	})

	return conn, err
}

// close removes the namespace once nothing runs in it any more.
func (n *Namespace) close() error {
	close(n.work)
	<-n.over

	if err := netns.DeleteNamed(n.name); err != nil {
		return fmt.Errorf("removing network namespace %s: %w", n.name, err)
	}

	return nil
}

// raise sets a link of the calling thread's namespace up.
func raise(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}

	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting link %s up: %w", name, err)
	}

	return nil
}
