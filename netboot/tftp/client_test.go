package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"vetting/netboot/tftp"
)

// at is where the server of the tests listens.
func (w *world) at() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(w.port))
}

func TestFetchReadsWhatIsServed(t *testing.T) {
	const wait = 2 * time.Second

	sizes := map[string]int{"empty": 0, "short": 5, "a block": tftp.MostBlock, "a window": 16 * tftp.MostBlock, "more": 16*tftp.MostBlock + 1}
	files := map[string][]byte{}

	for name, size := range sizes {
		files[name] = bulk(size)
	}

	w := serve(t, files)

	for name, want := range files {
		var got bytes.Buffer

		if err := tftp.Fetch(t.Context(), w.at(), name, &got, wait); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %d bytes of %d (%v)", name, got.Len(), len(want), err)
		}
	}

	if err := tftp.Fetch(t.Context(), w.at(), "missing", &bytes.Buffer{}, wait); !errors.Is(err, tftp.ErrMissing) {
		t.Errorf("what is not there: %v", err)
	}

	select {
	case step := <-w.steps:
		t.Errorf("the appliance itself was taken for a machine: %+v", step)
	default:
	}

	failed := errors.New("full")
	if err := tftp.Fetch(t.Context(), w.at(), "short", full{failed}, wait); !errors.Is(err, failed) {
		t.Errorf("where it cannot be kept: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := tftp.Fetch(ctx, w.at(), "short", &bytes.Buffer{}, wait); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
}

type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// A server that knows no options, and a network that loses the first of everything.
func TestFetchReadsFromAnyServerThroughLoss(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // its goroutine ends with it

	want := bulk(2*512 + 100)

	go func() {
		heard, packet := map[string]bool{}, make([]byte, 600)

		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}

			ask := string(packet[:n])
			if !heard[ask] {
				heard[ask] = true

				continue // lost
			}

			next := 0
			if packet[1] == 4 {
				next = int(packet[3])
			}

			for range 2 { // one comes twice
				data := append([]byte{0, 3, 0, byte(next + 1)}, want[512*next:min(512*(next+1), len(want))]...)
				_, _ = conn.WriteToUDPAddrPort(data, from)
			}
		}
	}()

	var got bytes.Buffer
	if err := tftp.Fetch(t.Context(), conn.LocalAddr().(*net.UDPAddr).AddrPort(), "file", &got, 100*time.Millisecond); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes of %d (%v)", got.Len(), len(want), err)
	}
}
