package nic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mdlayher/packet"
)

// SpanningTree listens for the switch's bridge protocol data units, which come every two
// seconds, and returns how long one of its ports passes nothing after a cable is plugged in;
// 0 when none was heard. It takes CAP_NET_RAW.
func SpanningTree(ctx context.Context, card *net.Interface, listen time.Duration) (time.Duration, error) {
	const frames8022 = 4 // ETH_P_802_2

	conn, err := packet.Listen(card, packet.Raw, frames8022, nil)
	if err != nil {
		return 0, fmt.Errorf("listening for spanning tree on %s: %w", card.Name, err)
	}
	defer conn.Close() //nolint:errcheck // it was only read

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	// The bridges' group address is none that a card listens to by itself.
	if err := errors.Join(conn.SetPromiscuous(true), conn.SetReadDeadline(time.Now().Add(listen))); err != nil {
		return 0, fmt.Errorf("listening for spanning tree on %s: %w", card.Name, err)
	}

	for buf := make([]byte, 256); ; {
		n, _, err := conn.ReadFrom(buf)

		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("listening for spanning tree on %s: %w", card.Name, err)
		}

		if delay, ok := BPDU(buf[:n]); ok {
			return delay, nil
		}
	}
}

// BPDU reads a frame of spanning tree (IEEE 802.1D §9.3.1, 802.1w) and returns how long a
// port is deaf after its link came up: it listens and learns for a forward delay each.
func BPDU(frame []byte) (deaf time.Duration, ok bool) {
	const (
		llc    = 14 // after addresses and length
		body   = llc + 3
		delay  = body + 33
		second = 256 // units of the field
	)

	if len(frame) < delay+2 || string(frame[:6]) != "\x01\x80\xc2\x00\x00\x00" || string(frame[llc:body]) != "\x42\x42\x03" {
		return 0, false
	}

	// Protocol 0; a configuration (0) or rapid spanning tree's (2).
	if kind := frame[body+3]; binary.BigEndian.Uint16(frame[body:]) != 0 || kind != 0 && kind != 2 {
		return 0, false
	}

	return time.Second * time.Duration(2*int(binary.BigEndian.Uint16(frame[delay:]))) / second, true
}
