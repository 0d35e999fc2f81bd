package nic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Carrier is the state of a card's cable.
type Carrier struct {
	Up bool // there is somebody at the other end, electrically
	// Changes counts how often that has changed. Two equal Carriers mean that the
	// cable was not pulled in between, however briefly: the flag alone, looked at
	// now and then, misses a cable that moves to another socket in half a second.
	Changes uint32
}

// ErrGone says that the card is not what it was when it was opened.
var ErrGone = errors.New("the network card went away")

// CarrierOf asks the kernel for the state of a card's cable. ErrGone when the
// card with this index is no more.
func CarrierOf(index int) (Carrier, error) {
	question := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index) //nolint:gosec // the kernel's own number
	question.AddData(head)

	answers, err := question.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)

	switch {
	case errors.Is(err, unix.ENODEV):
		return Carrier{}, ErrGone
	case err != nil:
		return Carrier{}, fmt.Errorf("asking for the cable of card %d: %w", index, err)
	case len(answers) != 1:
		return Carrier{}, fmt.Errorf("asking for the cable of card %d: %d answers", index, len(answers))
	}

	return parseCarrier(answers[0])
}

// parseCarrier reads an RTM_NEWLINK message (rtnetlink(7)): a header, and
// attributes of a length, a type and a value, each padded to four bytes.
func parseCarrier(message []byte) (Carrier, error) {
	const head = 4

	if len(message) < unix.SizeofIfInfomsg {
		return Carrier{}, fmt.Errorf("reading the cable's state: %d bytes", len(message))
	}

	flags := binary.NativeEndian.Uint32(message[8:])
	carrier := Carrier{Up: flags&unix.IFF_LOWER_UP != 0 && flags&unix.IFF_UP != 0}

	for rest := message[unix.SizeofIfInfomsg:]; len(rest) >= head; {
		length, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if length < head || length > len(rest) {
			return Carrier{}, fmt.Errorf("reading the cable's state: an attribute of %d bytes in %d", length, len(rest))
		}

		if kind == unix.IFLA_CARRIER_CHANGES && length >= head+4 {
			carrier.Changes = binary.NativeEndian.Uint32(rest[head:])
		}

		rest = rest[min((length+3)&^3, len(rest)):]
	}

	return carrier, nil
}

// Watch calls look at once, whenever something about the machine's cards,
// addresses or routes has changed, and every ten seconds, until it returns an
// error, which Watch returns, or ctx ends.
func Watch(ctx context.Context, look func() error) error {
	const breath = time.Second

	for {
		err := watch(ctx, look)
		if ctx.Err() != nil || !errors.Is(err, errDeaf) {
			return err
		}

		// What was missed shows in what look finds.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(breath):
		}
	}
}

// errDeaf says that the kernel has stopped telling: it had more to tell than
// the socket could hold.
var errDeaf = errors.New("the kernel's news of network cards broke off")

// watch is Watch until the news break off.
func watch(ctx context.Context, look func() error) error {
	const often = 10 * time.Second

	done := make(chan struct{})
	links, addrs, routes := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)

	// Those who write into the channels end when done is closed, but not while
	// they wait for us to read.
	defer drain(links)
	defer drain(addrs)
	defer drain(routes)
	defer close(done)

	err := errors.Join(orClose(links, netlink.LinkSubscribe(links, done)), orClose(addrs, netlink.AddrSubscribe(addrs, done)),
		orClose(routes, netlink.RouteSubscribe(routes, done)))
	if err != nil {
		return fmt.Errorf("watching network cards: %w", err)
	}

	tick := time.NewTicker(often)
	defer tick.Stop()

	for {
		if err := look(); err != nil {
			return err
		}

		alive := true

		select {
		case <-ctx.Done():
			return nil
		case _, alive = <-links:
		case _, alive = <-addrs:
		case _, alive = <-routes:
		case <-tick.C:
		}

		if !alive {
			return errDeaf
		}
	}
}

// drain reads what comes until the writer closes the channel.
func drain[T any](channel <-chan T) {
	for range channel { //nolint:revive // nothing of it is of interest any more
	}
}

// orClose closes a channel that will have no writer.
func orClose[T any](channel chan T, err error) error {
	if err != nil {
		close(channel)
	}

	return err
}
