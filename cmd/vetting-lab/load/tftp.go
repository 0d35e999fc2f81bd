//go:build linux

package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// TFTP is a crowd of clients that fetch one file again and again and drop it.
type TFTP struct {
	Server  string   // address
	From    []string // addresses that the clients speak from, in turn; none: the kernel's choice
	File    string
	Block   int     // block size asked for; 0: none
	Window  int     // window asked for; 0 or 1: none
	Loss    float64 // share of the DATA packets that are lost, by chance that is the same in each run
	Clients int
	Times   int // fetches of each client
}

// tftpPatience is how long a client waits for the next packet before it repeats its own.
const tftpPatience = time.Second

// Run measures from the first request to the end of the last transfer.
func (f TFTP) Run(ctx context.Context) (FetchResult, error) {
	group, ctx := errgroup.WithContext(ctx)
	sizes := make([]int64, f.Clients)
	begin := time.Now()

	for i := range f.Clients {
		group.Go(func() error {
			chance := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // a load, no secret

			for range f.Times {
				n, err := f.fetch(ctx, i, chance)
				if err != nil {
					return err
				}

				sizes[i] += n
			}

			return nil
		})
	}

	if err := group.Wait(); err != nil {
		return FetchResult{}, err
	}

	return fetched(begin, sizes), nil
}

// What the kernel hands over at once, and how much of a packet: enough for the answer to
// the options. The rest of it is dropped, so that the client costs next to nothing.
const (
	tftpBatch = 8
	tftpHead  = 128
)

// transfer is one on its way (RFC 1350, RFC 2347, RFC 7440).
type transfer struct {
	conn          *net.UDPConn
	peer          *net.UDPAddr // the server; nil: conn is connected to its end of the transfer
	last          []byte       // what is repeated after a silence
	block, window int          // as agreed
	next          uint16
	got           int // of the window
	gap           bool
	size          int64
}

func (f TFTP) fetch(ctx context.Context, client int, chance *rand.Rand) (int64, error) {
	var local *net.UDPAddr
	if len(f.From) > 0 {
		local = &net.UDPAddr{IP: net.ParseIP(f.From[client%len(f.From)])}
	}

	conn, err := net.ListenUDP("udp4", local)
	if err != nil {
		return 0, fmt.Errorf("opening a TFTP client's socket: %w", err)
	}
	defer conn.Close() //nolint:errcheck // everything was read

	t := &transfer{conn: conn, peer: &net.UDPAddr{IP: net.ParseIP(f.Server), Port: 69}, last: f.request(), block: 512, window: 1, next: 1}
	if err := t.send(); err != nil {
		return 0, err
	}

	reader, packets := ipv4.NewPacketConn(conn), make([]ipv4.Message, tftpBatch)
	for i := range packets {
		packets[i].Buffers = [][]byte{make([]byte, tftpHead)}
	}

	for ctx.Err() == nil {
		if err := conn.SetReadDeadline(time.Now().Add(tftpPatience)); err != nil {
			return 0, err
		}

		n, err := reader.ReadBatch(packets, unix.MSG_TRUNC)

		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := t.send(); err != nil {
				return 0, err
			}

			continue
		case err != nil:
			return 0, fmt.Errorf("hearing the TFTP server: %w", err)
		}

		for _, p := range packets[:n] {
			if p.N < 4 || p.Buffers[0][1] == 3 && f.Loss > 0 && chance.Float64() < f.Loss {
				continue
			}

			if done, err := t.hear(p); done || err != nil {
				return t.size, err
			}
		}
	}

	return 0, ctx.Err()
}

// connect has the socket hear the server's end of the transfer alone, once it is known.
func (t *transfer) connect(peer net.Addr) error {
	from, ok := peer.(*net.UDPAddr)
	if !ok || t.peer == nil {
		return nil
	}

	raw, err := t.conn.SyscallConn()
	if err != nil {
		return err
	}

	end := &unix.SockaddrInet4{Port: from.Port, Addr: from.AddrPort().Addr().Unmap().As4()}

	var fault error
	if err := raw.Control(func(fd uintptr) { fault = unix.Connect(int(fd), end) }); err != nil { //nolint:gosec // a descriptor fits an int
		return err
	}

	t.peer = nil

	return fault
}

func (f TFTP) request() []byte {
	p := append([]byte{0, 1}, f.File+"\x00octet\x00"...)
	if f.Block > 0 {
		p = append(p, "blksize\x00"+strconv.Itoa(f.Block)+"\x00"...)
	}

	if f.Window > 1 {
		p = append(p, "windowsize\x00"+strconv.Itoa(f.Window)+"\x00"...)
	}

	return p
}

func (t *transfer) send() (err error) {
	if t.peer != nil {
		_, err = t.conn.WriteToUDP(t.last, t.peer)
	} else {
		_, err = t.conn.Write(t.last)
	}

	if err != nil {
		return fmt.Errorf("sending to the TFTP server: %w", err)
	}

	return nil
}

func (t *transfer) ack(block uint16) error {
	t.last = append(t.last[:0], 0, 4, byte(block>>8), byte(block)) //nolint:gosec // taken apart
	t.got = 0

	return t.send()
}

// hear takes a packet of the server, of which there is the head, and reports whether the
// transfer is done.
func (t *transfer) hear(m ipv4.Message) (done bool, err error) {
	if err := t.connect(m.Addr); err != nil {
		return false, err
	}

	p := m.Buffers[0][:min(m.N, tftpHead)]

	switch p[1] {
	case 6:
		if t.next == 1 && t.size == 0 {
			t.agree(p[2:])
		}

		return false, t.ack(0)
	case 5:
		return false, fmt.Errorf("the TFTP server refused: %q", p[4:])
	case 3:
		return t.data(binary.BigEndian.Uint16(p[2:]), m.N-4)
	default:
		return false, nil
	}
}

func (t *transfer) agree(options []byte) {
	fields := bytes.Split(options, []byte{0})

	for ; len(fields) >= 2; fields = fields[2:] {
		n, err := strconv.Atoi(string(fields[1]))
		if err != nil {
			continue
		}

		switch string(fields[0]) {
		case "blksize":
			t.block = n
		case "windowsize":
			t.window = n
		}
	}
}

func (t *transfer) data(block uint16, n int) (done bool, err error) {
	if block != t.next {
		// One is missing: say once what there is. One that was here before is dropped.
		if ahead := block - t.next; ahead < 1<<15 && !t.gap {
			t.gap = true

			return false, t.ack(t.next - 1)
		}

		return false, nil
	}

	t.gap = false
	t.next++
	t.got++
	t.size += int64(n)

	if n < t.block {
		return true, t.ack(block)
	}

	if t.got >= t.window {
		return false, t.ack(block)
	}

	return false, nil
}
