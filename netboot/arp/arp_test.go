package arp_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/netboot/arp"
)

const listen = 6 * time.Second

var (
	mine  = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}
	other = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x66}
	ours  = netip.MustParseAddr("10.77.0.1")
)

// recorded returns what was on the wire, by name.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()

	names, err := filepath.Glob("testdata/frames/*.bin")
	if err != nil || len(names) < 13 {
		t.Fatalf("found %d recorded messages (%v)", len(names), err)
	}

	all := map[string][]byte{}

	for _, name := range names {
		if all[strings.TrimSuffix(filepath.Base(name), ".bin")], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}

	return all
}

func TestRecordedMessagesAreRead(t *testing.T) {
	for name, want := range map[string]string{
		"busybox-udhcpc-op1-1": "", // our own probes
		"nmap-op1-1":           "",
		"ovmf-pxe-op1-1":       "",
		"tftp-clients-op1-1":   "",
		"ovmf-pxe-op1-2":       "10.77.0.11 52:54:00:00:00:01",
		"ovmf-pxe-op2-1":       "10.77.0.11 52:54:00:00:00:01",
		"ovmf-pxe-op2-2":       "10.77.0.1 52:54:00:77:00:01",
		"qemu-rom-ipxe-op1-1":  "10.77.0.11 52:54:00:00:00:01", // of itself
		"qemu-rom-ipxe-op1-2":  "10.77.0.1 52:54:00:77:00:01",
		"qemu-rom-ipxe-op2-1":  "10.77.0.1 52:54:00:77:00:01",
		"qemu-rom-ipxe-op2-2":  "10.77.0.11 52:54:00:00:00:01",
		"tftp-clients-op1-2":   "10.77.0.11 52:54:00:00:00:01",
		"tftp-clients-op2-1":   "10.77.0.1 52:54:00:77:00:01",
	} {
		addr, mac, ok := arp.Parse(recorded(t)[name])

		got := ""
		if ok {
			got = addr.String() + " " + string(mac)
		}

		if got != want {
			t.Errorf("%s speaks of %q, want %q", name, got, want)
		}
	}
}

func TestAProbeIsAsItWasRecorded(t *testing.T) {
	if got, want := arp.Probe(mine, netip.MustParseAddr("10.77.0.11")), recorded(t)["busybox-udhcpc-op1-1"]; !slices.Equal(got, want) {
		t.Errorf("wrote % x, want % x", got, want)
	}
}

// message writes an ARP message of other.
func message(op byte, sender, target string) []byte {
	b := arp.Probe(other, netip.MustParseAddr(target))
	b[7] = op
	copy(b[14:], netip.MustParseAddr(sender).AsSlice())

	return b
}

func TestWhoClaimsAnAddress(t *testing.T) {
	for name, c := range map[string]struct {
		message []byte
		claims  bool
	}{
		"who answers under it":           {message(2, "10.77.0.1", "0.0.0.0"), true},
		"who asks from it":               {message(1, "10.77.0.1", "10.77.0.9"), true},
		"who announces it":               {message(1, "10.77.0.1", "10.77.0.1"), true},
		"who probes for it":              {message(1, "0.0.0.0", "10.77.0.1"), true},
		"who asks after it":              {message(1, "10.77.0.9", "10.77.0.1"), false},
		"who probes for another":         {message(1, "0.0.0.0", "10.77.0.2"), false},
		"who answers under another":      {message(2, "10.77.0.2", "10.77.0.1"), false},
		"an answer of nobody to it":      {message(2, "0.0.0.0", "10.77.0.1"), false},
		"a message cut short":            {message(2, "10.77.0.1", "0.0.0.0")[:27], false},
		"a message about other hardware": {append([]byte{0, 6}, message(2, "10.77.0.1", "0.0.0.0")[2:]...), false},
	} {
		mac, ok := arp.Claims(c.message, ours)
		if ok != c.claims || ok && mac != core.MAC(other.String()) {
			t.Errorf("%s: claims %t, %s", name, ok, mac)
		}
	}
}

// wire is an ARP socket at whose other end the test speaks, in the time of a bubble.
type wire struct {
	net.PacketConn

	sent   []string
	in     chan []byte
	closed chan struct{}
	until  time.Time
}

func newWire() *wire { return &wire{in: make(chan []byte, 10), closed: make(chan struct{})} }

func (w *wire) WriteTo(b []byte, _ net.Addr) (int, error) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	w.sent = append(w.sent, time.Since(start).String()+" "+hex.EncodeToString(b))

	return len(b), nil
}

func (w *wire) ReadFrom(b []byte) (int, net.Addr, error) {
	late := make(<-chan time.Time)

	if !w.until.IsZero() {
		timer := time.NewTimer(time.Until(w.until))
		defer timer.Stop()

		late = timer.C
	}

	select {
	case m := <-w.in:
		return copy(b, m), nil, nil
	case <-late:
		return 0, nil, os.ErrDeadlineExceeded
	case <-w.closed:
		return 0, nil, net.ErrClosed
	}
}

func (w *wire) SetReadDeadline(t time.Time) error { w.until = t; return nil }
func (w *wire) Close() error                      { close(w.closed); return nil }

func TestAnAddressIsProbedThreeTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		w.in <- message(1, "10.77.0.9", "10.77.0.1") // asks after it, like we do
		mine := arp.New(w, mine)

		user, err := mine.User(t.Context(), ours, listen)
		if user != "" || err != nil {
			t.Errorf("used by %q (%v)", user, err)
		}

		probe := " 0001080006040001525400770001" + "00000000" + "000000000000" + "0a4d0001"
		if want := []string{"0s" + probe, "2s" + probe, "4s" + probe}; !slices.Equal(w.sent, want) {
			t.Errorf("sent %q, want %q", w.sent, want)
		}
	})
}

func TestTheUserOfAnAddressIsFound(t *testing.T) {
	own := message(2, "10.77.0.1", "0.0.0.0")
	copy(own[8:], mine)

	for name, c := range map[string]struct {
		after time.Duration
		says  []byte
		want  core.MAC
	}{
		"who answers at once":            {0, message(2, "10.77.0.1", "0.0.0.0"), core.MAC(other.String())},
		"who answers at the last moment": {listen - time.Millisecond, message(2, "10.77.0.1", "0.0.0.0"), core.MAC(other.String())},
		"who wants it too":               {time.Second, message(1, "0.0.0.0", "10.77.0.1"), core.MAC(other.String())},
		"our own voice":                  {time.Second, own, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				time.AfterFunc(c.after, func() { w.in <- c.says })

				if user, err := arp.New(w, mine).User(t.Context(), ours, listen); user != c.want || err != nil {
					t.Errorf("used by %q (%v), want %q", user, err, c.want)
				}
			})
		})
	}
}

func TestAskingEndsWhenItIsToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		if _, err := arp.New(newWire(), mine).User(ctx, ours, listen); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestWhatIsHeardAndWhatIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		conn := arp.New(w, mine)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)

		var heard []string

		go func() {
			ended <- conn.Run(ctx, func(addr netip.Addr, mac core.MAC, _ time.Time) { heard = append(heard, addr.String()+" "+string(mac)) })
		}()

		w.in <- message(2, "10.77.0.9", "10.77.0.1")
		w.in <- message(1, "0.0.0.0", "10.77.0.1")
		w.in <- nil

		synctest.Wait()

		if err := conn.Announce(ours); err != nil {
			t.Error(err)
		}

		conn.Probe(ours)
		conn.Probe(netip.MustParseAddr("fd00::1")) // means nothing in ARP
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}

		if want := []string{"10.77.0.9 " + other.String()}; !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}

		if len(w.sent) != 2 || !strings.HasSuffix(w.sent[0], "0a4d0001"+"000000000000"+"0a4d0001") {
			t.Errorf("sent %q", w.sent)
		}
	})
}

// FuzzParse: what speaks of an address as its own claims it, and no other.
func FuzzParse(f *testing.F) {
	for _, m := range recorded(f) {
		f.Add(m)
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		addr, mac, ok := arp.Parse(b)
		if !ok {
			return
		}

		if claimed, claims := arp.Claims(b, addr); !claims || claimed != mac || len(mac) != 17 || !addr.Is4() {
			t.Errorf("%s of %s (%t, %s)", addr, mac, claims, claimed)
		}

		if next := addr.Next(); next.IsValid() {
			if _, claims := arp.Claims(b, next); claims {
				t.Errorf("%s claims %s", mac, next)
			}
		}
	})
}
