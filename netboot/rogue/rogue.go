package rogue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"vetting/core"
	"vetting/netboot/dhcp/message"
)

const (
	etherIPv4 = 0x0800
	etherLen  = 14
	frameMost = 2048
	mostFound = 64
	local     = 2 // of the first byte of a MAC: locally administered
)

// Searcher asks the wire for DHCP servers as a machine of its own, always the
// same: a new one each time would use up a stranger's pool. Safe for concurrent use.
type Searcher struct{ mac net.HardwareAddr }

// NewSearcher makes up the MAC address of the machine that it pretends to be.
func NewSearcher() (*Searcher, error) {
	mac := make(net.HardwareAddr, 6)
	if _, err := rand.Read(mac); err != nil {
		return nil, fmt.Errorf("making up a mac address: %w", err)
	}

	mac[0] = mac[0]&^1 | local // one machine's
	mac[1] = max(mac[1], 1)    // those that begin with 0 are of appliances that have served

	return &Searcher{mac: mac}, nil
}

// Search asks on card: three DISCOVERs, as a plain client, a PXE ROM and a UEFI
// HTTP client, spread evenly over how long it listens. It returns all servers
// that answered, each once. A server that checks an address for 3 s before it
// offers it (dnsmasq) needs listen to be 6 s: it offers what it has checked for
// the first question.
func (s *Searcher) Search(ctx context.Context, card *net.Interface, listen time.Duration) ([]Offer, error) {
	conn, err := open(card, fromServer)
	if err != nil {
		return nil, err
	}

	return s.search(ctx, conn, s.mac, card.HardwareAddr, listen, message.ClassLook)
}

// Claim is Search for one that means to serve, and says so: of several appliances that
// search at the same time, the one whose made-up MAC is the lowest finds none of the
// others, and they find it.
func (s *Searcher) Claim(ctx context.Context, card *net.Interface, listen time.Duration) ([]Offer, error) {
	return s.claim(ctx, s.mac, card, listen)
}

// Reclaim is Claim for one that has served already: it goes before all that have not, which
// come again with another made-up MAC until one is low enough.
func (s *Searcher) Reclaim(ctx context.Context, card *net.Interface, listen time.Duration) ([]Offer, error) {
	return s.claim(ctx, s.first(), card, listen)
}

func (s *Searcher) claim(ctx context.Context, made net.HardwareAddr, card *net.Interface, listen time.Duration) ([]Offer, error) {
	conn, err := open(card, fromServer, fromClient)
	if err != nil {
		return nil, err
	}

	return s.search(ctx, conn, made, card.HardwareAddr, listen, message.ClassAppliance)
}

// first is a made-up MAC, always the same, that is lower than any of NewSearcher.
func (s *Searcher) first() net.HardwareAddr {
	return slices.Concat(net.HardwareAddr{local, 0}, s.mac[2:])
}

// search asks on conn with a made-up MAC, and closes it. card is the card's own MAC, and
// class that of the question to other appliances.
func (s *Searcher) search(ctx context.Context, conn net.PacketConn, made, card net.HardwareAddr, listen time.Duration, class string) ([]Offer, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })

	defer func() {
		stop()

		_ = conn.Close()
	}()

	dresses := []dress{
		{},
		{class: "PXEClient:Arch:00007:UNDI:003016", arch: iana.EFI_X86_64},
		{class: "HTTPClient:Arch:00016:UNDI:003016", arch: iana.EFI_X86_64_HTTP},
	}

	var found []Offer

	start := time.Now()

	for i, d := range dresses {
		if err := errors.Join(ask(conn, made, dress{class: class, card: card}), ask(conn, made, d)); err != nil {
			return nil, err
		}

		until := start.Add(listen * time.Duration(i+1) / time.Duration(len(dresses)))

		err := collect(ctx, conn, until, func(o Offer) {
			if o.MAC != core.MAC(card.String()) && !precedes(made, o) {
				found = add(found, o)
			}
		})
		if err != nil {
			return nil, err
		}
	}

	return found, nil
}

// precedes reports whether o is another appliance that is about to serve, and has to wait
// for us, who ask with a made-up MAC.
func precedes(made net.HardwareAddr, o Offer) bool {
	return o.Kind == dhcpv4.MessageTypeDiscover && core.MAC(made.String()) <= o.To
}

func ask(conn net.PacketConn, made net.HardwareAddr, d dress) error {
	question, err := discover(made, d)
	if err != nil {
		return fmt.Errorf("building a question for dhcp servers: %w", err)
	}

	everybody := net.HardwareAddr{255, 255, 255, 255, 255, 255}

	frame := slices.Concat(everybody, made, []byte{etherIPv4 >> 8, etherIPv4 & 255}, question)
	if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: everybody}); err != nil {
		return fmt.Errorf("asking for dhcp servers: %w", err)
	}

	return nil
}

// collect calls seen for all that servers say until then.
func collect(ctx context.Context, conn net.PacketConn, until time.Time, seen func(Offer)) error {
	if err := conn.SetReadDeadline(until); err != nil {
		return fmt.Errorf("listening for dhcp servers: %w", err)
	}

	buf := make([]byte, frameMost)

	for {
		offer, ok, err := next(conn, buf)

		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("listening for dhcp servers: %w", err)
		case ok:
			seen(offer)
		}
	}
}

// add puts an offer to those found, one for each server: the one that names a
// boot file, if any does. A flood of made-up servers is as good as mostFound of them.
func add(found []Offer, o Offer) []Offer {
	i := slices.IndexFunc(found, func(f Offer) bool { return f.Server == o.Server && f.MAC == o.MAC })

	switch {
	case i < 0 && len(found) >= mostFound:
	case i < 0:
		return append(found, o)
	case found[i].File == "" && o.File != "":
		o.Appliance = o.Appliance || found[i].Appliance
		found[i] = o
	default:
		found[i].Appliance = found[i].Appliance || o.Appliance
	}

	return found
}

// Watch calls seen for everything that another DHCP server says to clients on
// card, until ctx ends. seen is called from one goroutine.
func Watch(ctx context.Context, card *net.Interface, seen func(Offer)) error {
	conn, err := open(card, fromServer)
	if err != nil {
		return err
	}

	return watch(ctx, conn, core.MAC(card.HardwareAddr.String()), seen)
}

func watch(ctx context.Context, conn net.PacketConn, self core.MAC, seen func(Offer)) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	buf := make([]byte, frameMost)

	for {
		offer, ok, err := next(conn, buf)
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return fmt.Errorf("watching for dhcp servers: %w", err)
		}

		if ok && offer.MAC != self {
			seen(offer)
		}
	}
}

// next reads one frame. ok is false when it was nothing that a server says.
func next(conn net.PacketConn, buf []byte) (offer Offer, ok bool, err error) {
	n, _, err := conn.ReadFrom(buf)
	if err != nil || n < etherLen {
		return Offer{}, false, err
	}

	offer, ok = parse(buf[etherLen:n], net.HardwareAddr(buf[6:12]))

	return offer, ok, nil
}

// open opens a packet socket that hears UDP with these pairs of ports only.
func open(card *net.Interface, ports ...uint32) (net.PacketConn, error) {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 23, Size: 1}, // IPv4 protocol
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoUDP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadMemShift{Off: 14},
		bpf.LoadIndirect{Off: 14, Size: 4}, // both UDP ports
	}

	for _, pair := range ports {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: pair, SkipTrue: 1}, bpf.RetConstant{Val: frameMost})
	}

	filter, err := bpf.Assemble(append(program, bpf.RetConstant{Val: 0}))
	if err != nil {
		return nil, fmt.Errorf("assembling a filter: %w", err)
	}

	conn, err := packet.Listen(card, packet.Raw, etherIPv4, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("opening packet socket on %s: %w", card.Name, err)
	}

	return conn, nil
}

// Describe names servers for a person.
func Describe(found []Offer) string {
	names := make([]string, 0, len(found))

	for _, o := range found {
		names = append(names, o.String())
	}

	return strings.Join(names, ", ")
}

// String names the server and what it offers.
func (o Offer) String() string {
	if o.Kind == dhcpv4.MessageTypeDiscover {
		return "another appliance that is being started (MAC " + string(o.MAC) + ")"
	}

	name := o.Server.String()
	if o.Appliance {
		name = "another appliance at " + name
	}

	if o.MAC != "" {
		name += " (MAC " + string(o.MAC) + ")"
	}

	if o.Addr.IsValid() && !o.Addr.IsUnspecified() {
		name += " offering the address " + o.Addr.String()
	}

	if o.File != "" {
		name += " and the boot file " + o.File
		if boot := o.Boot; boot.IsValid() && !boot.IsUnspecified() && boot != o.Server {
			name += " from " + boot.String()
		}
	}

	return name
}
