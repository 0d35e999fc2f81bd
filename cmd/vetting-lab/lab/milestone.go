//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"time"
)

// Milestones are moments of a boot, as time since power-on, seen on the wire of
// the machine: they need nobody's word for it.
type Milestones struct {
	Asked  time.Duration // it asks for an address, for the first time
	Script time.Duration // it asks for its boot script, GET /ipxe/…, or for GRUB's configuration
	Hello  time.Duration // its agent opens a connection to the agent port, 443
}

// Answer is typed on a machine's console when it has said the prompt.
type Answer struct{ Prompt, Text string }

// Boot switches the machine on, types the answers, and returns at the agent's
// first word to server. The machine stays on.
func (g *Guest) Boot(ctx context.Context, server netip.Addr, answers ...Answer) (Milestones, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	process, frames, err := g.start(ctx)
	if err != nil {
		return Milestones{}, err
	}

	var at Milestones

	mistyped := make(chan error, 1)

	go func() { mistyped <- process.answer(ctx, answers) }()

	for {
		select {
		case err := <-mistyped:
			if err != nil {
				return at, err
			}
		case frame := <-frames:
			at.note(frame, process.Started, server)
		case <-process.Done():
			return at, fmt.Errorf("machine %s ended:\n%s", g.Name, process.Output.Tail(30))
		case <-ctx.Done():
			return at, fmt.Errorf("awaiting the agent of %s: %w; its last words:\n%s", g.Name, ctx.Err(), process.Output.Tail(30))
		}

		if at.Hello > 0 {
			return at, nil
		}
	}
}

// start switches the machine on, and hands over what its wire shows until ctx ends. The
// machine stays on.
func (g *Guest) start(ctx context.Context) (*Process, <-chan Frame, error) {
	frames := make(chan Frame, 1024)

	err := g.segment.watch(ctx, g.tap, func(frame Frame) {
		select {
		case frames <- frame:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return nil, nil, err
	}

	process, err := g.PowerOn(context.WithoutCancel(ctx))

	return process, frames, err
}

// Homecoming is how long after its first question for an address a machine was where.
type Homecoming struct {
	Back time.Duration // its firmware has given up the network, and says so; of BIOS it is Home
	Home time.Duration // what is on its disk speaks
}

// goesOn is what UEFI (EDK2) says when it goes on to the next entry of its boot order.
var goesOn = regexp.MustCompile("BdsDxe: failed to load|" + regexp.QuoteMeta(LocalDiskBanner))

// GoHome switches the machine on and returns when it has started from its own disk. It stays on.
func (g *Guest) GoHome(ctx context.Context, server netip.Addr) (Homecoming, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	process, frames, err := g.start(ctx)
	if err != nil {
		return Homecoming{}, err
	}

	// The frames wait in their channel, with the time when they were seen.
	_, back, err := process.Output.Match(ctx, goesOn)
	if err != nil {
		return Homecoming{}, fmt.Errorf("awaiting %s back from the network: %w", g.Name, err)
	}

	home, err := process.Output.Await(ctx, LocalDiskBanner)
	if err != nil {
		return Homecoming{}, fmt.Errorf("awaiting %s at home: %w", g.Name, err)
	}

	var at Milestones

	for at.Asked == 0 {
		select {
		case frame := <-frames:
			at.note(frame, process.Started, server)
		default:
			return Homecoming{}, fmt.Errorf("machine %s went home without asking for an address", g.Name)
		}
	}

	asked := process.Started.Add(at.Asked)

	return Homecoming{Back: back.Sub(asked), Home: home.Sub(asked)}, nil
}

// answer types the answers, each after its prompt.
func (p *Process) answer(ctx context.Context, answers []Answer) error {
	for _, a := range answers {
		if _, err := p.Output.Await(ctx, a.Prompt); err != nil {
			return err
		}

		if err := p.Type(a.Text); err != nil {
			return err
		}
	}

	return nil
}

// note takes down what a frame shows.
func (m *Milestones) note(frame Frame, start time.Time, server netip.Addr) {
	if port, payload, ok := datagramOf(frame.Data); ok {
		switch {
		case m.Asked == 0 && port == 67:
			m.Asked = frame.At.Sub(start)
		case m.Script == 0 && port == 69 && bytes.Contains(payload, []byte("/grub.cfg\x00")):
			m.Script = frame.At.Sub(start)
		}

		return
	}

	port, flags, payload, ok := segmentOf(frame.Data, server)

	switch {
	case !ok:
	case m.Script == 0 && port == 80 && asksForScript(payload):
		m.Script = frame.At.Sub(start)
	case port == 443 && flags&0x02 != 0:
		m.Hello = frame.At.Sub(start)
	}
}

func asksForScript(payload []byte) bool {
	path, _, _ := bytes.Cut(bytes.TrimPrefix(payload, []byte("GET ")), []byte(" "))

	return bytes.HasPrefix(payload, []byte("GET /ipxe/")) || bytes.HasSuffix(path, []byte("/grub.cfg"))
}

// The protocols that segmentOf and datagramOf read (RFC 790).
const (
	tcp = 6
	udp = 17
)

// datagramOf reads the UDP datagram in an Ethernet frame (RFC 791, 768).
func datagramOf(frame []byte) (port uint16, payload []byte, ok bool) {
	_, datagram, ok := packetOf(frame, udp, 8)
	if !ok {
		return 0, nil, false
	}

	return binary.BigEndian.Uint16(datagram[2:]), datagram[8:], true
}

// segmentOf reads the TCP segment in an Ethernet frame to server (RFC 791, 9293).
func segmentOf(frame []byte, server netip.Addr) (port uint16, flags byte, payload []byte, ok bool) {
	to, segment, ok := packetOf(frame, tcp, 20)
	if !ok || to != server {
		return 0, 0, nil, false
	}

	offset := min(int(segment[12]>>4)*4, len(segment))

	return binary.BigEndian.Uint16(segment[2:]), segment[13], segment[offset:], true
}

// packetOf reads what an IPv4 packet in an Ethernet frame carries of a protocol, of which there
// is the least at least.
func packetOf(frame []byte, protocol byte, least int) (to netip.Addr, payload []byte, ok bool) {
	if len(frame) < 34 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 || frame[23] != protocol {
		return to, nil, false
	}

	header := 14 + int(frame[14]&0xf)*4
	if len(frame) < header+least {
		return to, nil, false
	}

	to, _ = netip.AddrFromSlice(frame[30:34])

	return to, frame[header:], true
}
