package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// loopLink is how long the links may take to be there again, since moving a port
	// switches it off and on, and loopHear how long the switch may take then until it
	// forwards: listening and learning take 15 s each (IEEE Std 802.1D-2004, 17.14).
	loopLink = time.Minute
	loopHear = 45 * time.Second
)

// Loop is two ports of the machine that reach each other by their cables and no other way:
// one was moved into a network namespace of its own, the other one is where it was. Both
// have addresses of a network that there is nowhere else, and know each other's hardware
// address beforehand, so that nobody else hears of them.
type Loop struct {
	Moved, Stays netip.Addr

	moved, stays string
	room         *namespace
	home         *os.File // the namespace that the port came from
	undo         []func() error
}

// The network of a loop: link-local addresses (RFC 3927), of which nothing leaves it.
func loopMoved() netip.Prefix { return netip.MustParsePrefix("169.254.77.2/30") }
func loopStays() netip.Prefix { return netip.MustParsePrefix("169.254.77.1/30") }

// Loop moves a port into a namespace of its own, and waits until it and another one hear
// each other. The port that the machine booted from is never moved. Whoever gets a loop
// ends it. Two at once are not possible.
func (a *Addresses) Loop(ctx context.Context, moves, stays string) (*Loop, error) {
	if a.boot.Interface == "" || moves == a.boot.Interface {
		return nil, fmt.Errorf("moving %s: the conversation with the appliance goes over it", moves)
	}

	return newLoop(ctx, moves, stays, loopLink, loopHear)
}

func newLoop(ctx context.Context, moves, stays string, link, hear time.Duration) (*Loop, error) {
	l := &Loop{Moved: loopMoved().Addr(), Stays: loopStays().Addr(), moved: moves, stays: stays}

	err := l.open()
	if err == nil {
		err = l.await(ctx, link, hear)
	}

	if err != nil {
		return nil, errors.Join(err, l.End())
	}

	return l, nil
}

// later has something undone in the end, the last first.
func (l *Loop) later(f func() error) { l.undo = append(l.undo, f) }

func (l *Loop) open() (err error) {
	mover, err := net.InterfaceByName(l.moved)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", l.moved, err)
	}

	stayer, err := net.InterfaceByName(l.stays)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", l.stays, err)
	}

	if l.home, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("looking for the network namespace: %w", err)
	}

	l.later(l.home.Close)

	if l.room, err = openNamespace(); err != nil {
		return err
	}

	l.later(func() error { l.room.close(); return nil })

	if err = moveLink(mover.Index, l.room.file); err != nil {
		return fmt.Errorf("moving %s: %w", l.moved, err)
	}

	on := mover.Flags&net.FlagUp != 0

	l.later(func() error { return l.bringHome(on) })

	if err = l.room.do(func() error { return settle(l.moved, loopMoved(), loopStays().Addr(), stayer.HardwareAddr, nil) }); err != nil {
		return err
	}

	return settle(l.stays, loopStays(), loopMoved().Addr(), mover.HardwareAddr, l.later)
}

// settle switches a port on and gives it an address, and tells the kernel who has that of
// the other one.
func settle(port string, own netip.Prefix, other netip.Addr, mac net.HardwareAddr, later func(func() error)) error {
	face, err := net.InterfaceByName(port)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", port, err)
	}

	if face.Flags&net.FlagUp == 0 {
		if err := linkUp(face.Index); err != nil {
			return err
		}
	}

	if later != nil {
		later(func() error { return dropAddress(face.Index, own) })
	}

	if err := addAddress(face.Index, own); err != nil {
		return err
	}

	if later != nil {
		later(func() error { return dropNeighbour(face.Index, other) })
	}

	return addNeighbour(face.Index, other, mac)
}

// await waits for both links, and until both hear each other.
func (l *Loop) await(ctx context.Context, link, hear time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, link+hear)
	defer cancel()

	begun := time.Now()

	for {
		var inside, outside bool

		err := l.Inside(func() { inside = carrier(l.moved) })
		outside = carrier(l.stays)

		switch {
		case err != nil:
			return err
		case inside && outside:
			return l.hear(ctx, hear)
		case time.Since(begun) > link:
			return fmt.Errorf("%w: %s and %s have none %v after %s was switched off and on", ErrNoLink, l.moved, l.stays, link, l.moved)
		}

		if err := sleep(ctx, poll); err != nil {
			return err
		}
	}
}

// What may keep two ports apart.
var (
	// ErrNoLink: a link did not come back after its port was moved.
	ErrNoLink = errors.New("no link")
	// ErrDeaf: what one sends does not come to the other one.
	ErrDeaf = errors.New("they do not hear each other")
)

func (l *Loop) hear(ctx context.Context, patience time.Duration) error {
	ears, err := openEars([]string{l.stays})
	if err != nil {
		return err
	}

	err = l.room.do(func() error {
		other, err := openEar(l.moved)
		if err == nil {
			ears = append(ears, other)
		}

		return err
	})
	if err != nil {
		return errors.Join(err, ears[0].sock.Close())
	}

	heard, err := listen(ctx, ears, patience)
	if err == nil && !heard.Both(l.moved, l.stays) {
		err = fmt.Errorf("%w any more since %s was switched off and on", ErrDeaf, l.moved)
	}

	return err
}

// Inside runs f where the moved port is: sockets that it opens are of that namespace, and
// so is /sys/class/net. It returns an error where f was not run to its end.
func (l *Loop) Inside(f func()) error {
	return l.room.do(func() error { f(); return nil })
}

// End brings the port home and takes the addresses away, whatever else fails.
func (l *Loop) End() error {
	var faults []error

	for _, undo := range slices.Backward(l.undo) {
		faults = append(faults, undo())
	}

	l.undo = nil

	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("ending the loop of %s and %s: %w", l.moved, l.stays, err)
	}

	return nil
}

// Tidy takes away what a loop left on ports whose process ended in the midst of it. The
// port that was moved comes home by itself.
func Tidy(links []Link) error {
	var faults []error

	for _, link := range links {
		if face, err := net.InterfaceByName(link.Name); err == nil { // else it is gone, and with it all
			faults = append(faults, dropNeighbour(face.Index, loopMoved().Addr()), dropAddress(face.Index, loopStays()))
		}
	}

	return errors.Join(faults...)
}

// bringHome moves the port back and switches it on, if it was.
func (l *Loop) bringHome(on bool) error {
	err := l.room.do(func() error {
		face, err := net.InterfaceByName(l.moved)
		if err != nil {
			return err
		}

		return moveLink(face.Index, l.home)
	})
	if err != nil {
		return fmt.Errorf("bringing %s home: %w", l.moved, err)
	}

	face, err := net.InterfaceByName(l.moved)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", l.moved, err)
	}

	if !on {
		return nil
	}

	return linkUp(face.Index)
}

// carrier reads whether a port has a link, in the /sys of the calling thread.
func carrier(port string) bool {
	text, err := os.ReadFile("/" + netDevices + "/" + port + "/carrier")

	return err == nil && strings.TrimSpace(string(text)) == "1"
}

// moveLink moves an interface to another namespace.
func moveLink(index int, to *os.File) error {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index)) //nolint:gosec // an interface index is positive

	return request(unix.RTM_NEWLINK, 0, body, attribute{unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(to.Fd()))}) //nolint:gosec // a descriptor is small
}

// neighbour is struct ndmsg.
func neighbour(index int) []byte {
	body := []byte{unix.AF_INET, 0, 0, 0}
	body = binary.NativeEndian.AppendUint32(body, uint32(index)) //nolint:gosec // an interface index is positive
	body = binary.NativeEndian.AppendUint16(body, unix.NUD_PERMANENT)

	return append(body, 0, 0)
}

// addNeighbour says for good whose an address is.
func addNeighbour(index int, addr netip.Addr, mac net.HardwareAddr) error {
	err := request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, neighbour(index), attribute{unix.NDA_DST, addr.AsSlice()}, attribute{unix.NDA_LLADDR, mac})
	if err != nil {
		return fmt.Errorf("setting whose %s is: %w", addr, err)
	}

	return nil
}

// dropNeighbour forgets it again; what is forgotten already is no error.
func dropNeighbour(index int, addr netip.Addr) error {
	err := request(unix.RTM_DELNEIGH, 0, neighbour(index), attribute{unix.NDA_DST, addr.AsSlice()})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("forgetting whose %s is: %w", addr, err)
	}

	return nil
}
