package network

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// callType is EtherType 0x88b5: local experimental EtherType 1 (IEEE Std 802-2014, 9.2.4),
	// which switches forward like any other and nobody understands.
	callType  = 0x88b5
	callHead  = 14 // addresses and type
	callWord  = "vetting loop"
	callNonce = 16
	callSize  = 60 // the least that Ethernet has, without its checksum

	callEvery  = 200 * time.Millisecond
	maxCallers = 64 // ports that call each other; each calls each
)

// Heard tells which ports hear which: Heard{{a, b}: true}, what a sends comes to b.
type Heard map[[2]string]bool

// Both reports whether two ports hear each other, as those of one broadcast domain do.
func (h Heard) Both(a, b string) bool { return h[[2]string{a, b}] && h[[2]string{b, a}] }

// Hear has each of some ports send a few small frames to each other one's address, and
// tells which came, within some time. It ends early where all did. The frames say nothing
// to anybody else, and need no address of IP.
func Hear(ctx context.Context, ports []string, patience time.Duration) (Heard, error) {
	ears, err := openEars(ports)
	if err != nil {
		return nil, err
	}

	return listen(ctx, ears, patience)
}

// ear is a port that calls others and is called.
type ear struct {
	name string
	mac  net.HardwareAddr
	sock *os.File
}

func openEars(ports []string) (ears []*ear, err error) {
	if len(ports) > maxCallers {
		return nil, fmt.Errorf("%d ports are too many to call each other", len(ports))
	}

	for _, name := range ports {
		e, err := openEar(name)
		if err != nil {
			for _, e := range ears {
				_ = e.sock.Close()
			}

			return nil, err
		}

		ears = append(ears, e)
	}

	return ears, nil
}

// openEar opens a port of the namespace that the calling thread is in.
func openEar(name string) (*ear, error) {
	face, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", name, err)
	}

	if len(face.HardwareAddr) != 6 {
		return nil, fmt.Errorf("listening on %s: it is no port of Ethernet", name)
	}

	kind := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, callType))

	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(kind))
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", name, err)
	}

	e := &ear{name: name, mac: face.HardwareAddr, sock: os.NewFile(uintptr(fd), "calls")}

	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind, Ifindex: face.Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", name, err), e.sock.Close())
	}

	return e, nil
}

// listen has ears call each other, and closes them.
func listen(ctx context.Context, ears []*ear, patience time.Duration) (Heard, error) {
	nonce := make([]byte, callNonce)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)

	var (
		mu    sync.Mutex
		heard = Heard{}
		all   = make(chan struct{})
		ends  sync.WaitGroup
	)

	hear := func(from, to int) {
		mu.Lock()
		defer mu.Unlock()

		way := [2]string{ears[from].name, ears[to].name}
		if heard[way] {
			return
		}

		heard[way] = true

		if len(heard) == len(ears)*(len(ears)-1) {
			close(all)
		}
	}

	for i, e := range ears {
		ends.Go(func() { e.listen(nonce, i, len(ears), func(from int) { hear(from, i) }) })
	}

	err := call(ctx, ears, nonce, patience, all)

	for _, e := range ears {
		_ = e.sock.Close() // ends its reader
	}

	ends.Wait()

	return heard, err
}

// listen hears the calls for this port, until it is closed.
func (e *ear) listen(nonce []byte, own, count int, hear func(from int)) {
	frame := make([]byte, 2048)

	for {
		n, err := e.sock.Read(frame)
		if errors.Is(err, unix.ENETDOWN) {
			continue // the link is coming up
		}

		if err != nil {
			return
		}

		if from, ok := parseCall(frame[:n], nonce, e.mac, own, count); ok {
			hear(from)
		}
	}
}

// call sends the frames until all were heard, or it is late.
func call(ctx context.Context, ears []*ear, nonce []byte, patience time.Duration, all <-chan struct{}) error {
	tick := time.NewTicker(callEvery)
	defer tick.Stop()

	late := time.NewTimer(patience)
	defer late.Stop()

	for {
		for i, from := range ears {
			for j, to := range ears {
				if i != j {
					_, _ = from.sock.Write(callFrame(from.mac, to.mac, nonce, i, j)) // what is not sent is not heard
				}
			}
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-all:
			return nil
		case <-late.C:
			return nil
		case <-tick.C:
		}
	}
}

func callFrame(from, to net.HardwareAddr, nonce []byte, i, j int) []byte {
	b := make([]byte, 0, callSize)
	b = append(append(b, to...), from...)
	b = binary.BigEndian.AppendUint16(b, callType)
	b = append(b, callWord...)
	b = append(b, nonce...)
	b = append(b, byte(i), byte(j))

	return append(b, make([]byte, callSize-len(b))...)
}

// parseCall returns who sent a frame, if it is one of ours, of this time, to this port.
func parseCall(b, nonce []byte, mac net.HardwareAddr, own, count int) (from int, ok bool) {
	const (
		word  = callHead
		about = word + len(callWord)
		who   = about + callNonce
	)

	if len(b) < who+2 || !bytes.Equal(b[:6], mac) || string(b[word:about]) != callWord || !bytes.Equal(b[about:who], nonce) {
		return 0, false
	}

	from = int(b[who])

	return from, int(b[who+1]) == own && from != own && from < count
}
