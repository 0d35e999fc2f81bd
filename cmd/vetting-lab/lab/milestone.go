//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Milestones are moments of a boot, as time since power-on, seen on the wire of
// the machine: they need nobody's word for it.
type Milestones struct {
	Script time.Duration // it asks for its boot script: GET /ipxe/…
	Hello  time.Duration // its agent opens a connection to the agent port, 443
}

// Answer is typed on a machine's console when it has said the prompt.
type Answer struct{ Prompt, Text string }

// Boot switches the machine on, types the answers, and returns at the agent's
// first word to server. The machine stays on.
func (g *Guest) Boot(ctx context.Context, server netip.Addr, answers ...Answer) (Milestones, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	frames := make(chan Frame, 1024)

	err := g.segment.watch(ctx, g.tap, func(frame Frame) {
		select {
		case frames <- frame:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return Milestones{}, err
	}

	process, err := g.PowerOn(context.WithoutCancel(ctx))
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
	port, flags, payload, ok := segmentOf(frame.Data, server)

	switch {
	case !ok:
	case m.Script == 0 && port == 80 && bytes.HasPrefix(payload, []byte("GET /ipxe/")):
		m.Script = frame.At.Sub(start)
	case port == 443 && flags&0x02 != 0:
		m.Hello = frame.At.Sub(start)
	}
}

// segmentOf reads the TCP segment in an Ethernet frame to server (RFC 791, 9293).
func segmentOf(frame []byte, server netip.Addr) (port uint16, flags byte, payload []byte, ok bool) {
	if len(frame) < 34 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 || frame[23] != 6 {
		return 0, 0, nil, false
	}

	header := 14 + int(frame[14]&0xf)*4
	if to, _ := netip.AddrFromSlice(frame[30:34]); to != server || len(frame) < header+20 {
		return 0, 0, nil, false
	}

	segment := frame[header:]
	offset := min(int(segment[12]>>4)*4, len(segment))

	return binary.BigEndian.Uint16(segment[2:]), segment[13], segment[offset:], true
}
