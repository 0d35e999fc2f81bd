package rogue_test

import (
	"bytes"
	"context"
	"encoding/binary"
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

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp/message"
	"vetting/netboot/rogue"
)

const (
	self     = core.MAC("52:54:00:77:00:02") // our card
	listen   = 6 * time.Second
	etherLen = 14
)

// recorded returns frames of dnsmasq, by name.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()

	names, err := filepath.Glob("testdata/frames/*.bin")
	if err != nil || len(names) < 2 {
		t.Fatalf("found %d recorded frames (%v)", len(names), err)
	}

	all := map[string][]byte{}

	for _, name := range names {
		if all[strings.TrimSuffix(filepath.Base(name), ".bin")], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}

	return all
}

// frame writes what a server sends: to everybody, from server at mac.
func frame(t testing.TB, mac, server string, change ...dhcpv4.Modifier) []byte {
	t.Helper()

	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}

	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 9}),
		dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 50)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(server))), func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply },
	}, change...)...)
	if err != nil {
		t.Fatal(err)
	}

	payload := m.ToBytes()
	b := slices.Concat([]byte{255, 255, 255, 255, 255, 255}, hw, []byte{8, 0}, make([]byte, 28), payload)
	ip := b[etherLen:]
	ip[0], ip[9] = 0x45, 17
	copy(ip[12:], net.ParseIP(server).To4())
	binary.BigEndian.PutUint16(ip[20:], 67)
	binary.BigEndian.PutUint16(ip[22:], 68)

	return b
}

// wire is a packet socket at whose other end the test answers. It keeps to the
// time of the test's bubble.
type wire struct {
	t      *testing.T
	answer func(question []byte) // may call say
	heard  []heard
	in     chan []byte
	closed chan struct{}
	until  time.Time
}

// heard is a frame that was sent, and when.
type heard struct {
	frame []byte
	after time.Duration
}

func newWire(t *testing.T) *wire {
	t.Helper()

	return &wire{t: t, in: make(chan []byte, 100), closed: make(chan struct{})}
}

// say delivers a frame after a while.
func (w *wire) say(after time.Duration, frame []byte) {
	time.AfterFunc(after, func() { w.in <- frame })
}

func (w *wire) WriteTo(b []byte, _ net.Addr) (int, error) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	w.heard = append(w.heard, heard{slices.Clone(b), time.Since(start)})

	if w.answer != nil {
		w.answer(b)
	}

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
	case f := <-w.in:
		return copy(b, f), nil, nil
	case <-late:
		return 0, nil, os.ErrDeadlineExceeded
	case <-w.closed:
		return 0, nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}

	return nil
}

func (w *wire) LocalAddr() net.Addr               { return nil }
func (w *wire) SetDeadline(time.Time) error       { return errors.ErrUnsupported }
func (w *wire) SetWriteDeadline(time.Time) error  { return errors.ErrUnsupported }
func (w *wire) SetReadDeadline(t time.Time) error { w.until = t; return nil }

// search searches on w in a bubble of time.
func search(t *testing.T, answer func(w *wire, question *dhcpv4.DHCPv4)) (found []rogue.Offer, w *wire, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWire(t)
		w.answer = func(question []byte) {
			m, err := dhcpv4.FromBytes(question[etherLen+28:])
			if err != nil {
				t.Fatalf("a question that cannot be read: %v", err)
			}

			if answer != nil {
				answer(w, m)
			}
		}

		s, err := rogue.NewSearcher()
		if err != nil {
			t.Fatal(err)
		}

		start := time.Now()

		if found, err = s.SearchOn(t.Context(), w, self, listen); err != nil {
			t.Fatal(err)
		}

		took = time.Since(start)

		synctest.Wait()
	})

	return found, w, took
}

func TestASearchAsksThreeTimesInThreeDressesAndListensToTheEnd(t *testing.T) {
	found, w, took := search(t, nil)

	if len(found) != 0 || took != listen || len(w.heard) != 6 {
		t.Fatalf("found %d in %s with %d questions", len(found), took, len(w.heard))
	}

	for i, want := range []struct {
		after time.Duration
		class string
	}{
		{0, message.ClassLook},
		{0, ""},
		{2 * time.Second, message.ClassLook},
		{2 * time.Second, "PXEClient:Arch:00007:UNDI:003016"},
		{4 * time.Second, message.ClassLook},
		{4 * time.Second, "HTTPClient:Arch:00016:UNDI:003016"},
	} {
		h := w.heard[i]
		ip := h.frame[etherLen:]

		m, err := dhcpv4.FromBytes(ip[28:])
		if err != nil {
			t.Fatal(err)
		}

		if h.after != want.after || m.MessageType() != dhcpv4.MessageTypeDiscover || m.ClassIdentifier() != want.class || !m.IsBroadcast() {
			t.Errorf("question %d after %s: %s", i, h.after, m.Summary())
		}

		source := net.HardwareAddr(h.frame[6:12])
		if source[0]&3 != 2 || source.String() != m.ClientHWAddr.String() || !slices.Equal(h.frame[6:12], w.heard[0].frame[6:12]) {
			t.Errorf("question %d comes from %s for %s", i, source, m.ClientHWAddr)
		}

		if !slices.Equal(h.frame[:6], []byte{255, 255, 255, 255, 255, 255}) || sum(ip[:20]) != 0xffff || int(binary.BigEndian.Uint16(ip[2:])) != len(ip) ||
			!slices.Equal(ip[20:24], []byte{0, 68, 0, 67}) || int(binary.BigEndian.Uint16(ip[24:])) != len(ip)-20 {
			t.Errorf("question %d has a bad header: % x", i, h.frame[:42])
		}
	}

	if one, other := w.heard[0].frame[etherLen+28+4:], w.heard[1].frame[etherLen+28+4:]; slices.Equal(one[:4], other[:4]) {
		t.Error("two questions have one transaction id")
	}
}

func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}

	return uint16(s>>16 + s&0xffff)
}

func TestASearchFindsEveryServer(t *testing.T) {
	slow, pxe, both, mute := "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", string(self)
	boot := func(m *dhcpv4.DHCPv4) { m.BootFileName, m.ServerIPAddr = "pxelinux.0", net.IPv4(10, 9, 0, 8) }

	found, _, _ := search(t, func(w *wire, q *dhcpv4.DHCPv4) {
		w.say(0, frame(t, mute, "10.9.0.4"))

		switch class := q.ClassIdentifier(); {
		case class == message.ClassLook:
		case class == "":
			// As dnsmasq does, which first sees whether anybody has the address.
			w.say(3*time.Second, frame(t, slow, "10.9.0.1"))
			w.say(0, frame(t, both, "10.9.0.3"))
		case strings.HasPrefix(class, "PXEClient"):
			w.say(0, frame(t, pxe, "10.9.0.2", boot))
			w.say(0, frame(t, both, "10.9.0.3", boot))
		default:
			w.say(1900*time.Millisecond, frame(t, "02:00:00:00:00:05", "10.9.0.5"))
			w.say(2100*time.Millisecond, frame(t, "02:00:00:00:00:06", "10.9.0.6"))
		}
	})

	var got []string
	for _, o := range found {
		got = append(got, o.String())
	}

	slices.Sort(got)

	want := []string{
		"10.9.0.1 (MAC 02:00:00:00:00:01) offering the address 10.9.0.50",
		"10.9.0.2 (MAC 02:00:00:00:00:02) offering the address 10.9.0.50 and the boot file pxelinux.0 from 10.9.0.8",
		"10.9.0.3 (MAC 02:00:00:00:00:03) offering the address 10.9.0.50 and the boot file pxelinux.0 from 10.9.0.8",
		"10.9.0.5 (MAC 02:00:00:00:00:05) offering the address 10.9.0.50",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	if all := rogue.Describe(found); strings.Count(all, "MAC") != 4 || strings.Count(all, ", ") != 3 {
		t.Errorf("described as %s", all)
	}
}

// claim is search for one that means to serve, and asks with a made-up MAC.
func claim(t *testing.T, made byte, answer func(w *wire)) (found []rogue.Offer) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := rogue.NewSearcher()
		if err != nil {
			t.Fatal(err)
		}

		w := newWire(t)
		w.answer = func([]byte) { answer(w) }

		if found, err = s.ClaimOn(t.Context(), w, net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 2}, net.HardwareAddr{2, 0, 0, 0, 0, made}, listen); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()
	})

	return found
}

// Two that are switched on together find each other, and one of them waits.
func TestOfTwoAppliancesThatBeginTogetherOneFindsTheOther(t *testing.T) {
	question, err := rogue.Question(net.HardwareAddr{2, 0, 0, 0, 0, 5}, net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 9})
	if err != nil {
		t.Fatal(err)
	}

	asks := slices.Concat([]byte{255, 255, 255, 255, 255, 255}, []byte{2, 0, 0, 0, 0, 5}, []byte{8, 0}, question)

	for made, want := range map[byte]string{4: "", 5: "", 6: "another appliance that is being started (MAC 52:54:00:77:00:09)"} {
		found := claim(t, made, func(w *wire) { w.say(0, asks) })
		if got := rogue.Describe(found); got != want {
			t.Errorf("asking with ...:%d it found %q, want %q", made, got, want)
		}
	}

	serves := frame(t, "52:54:00:77:00:09", "10.77.0.9", func(m *dhcpv4.DHCPv4) {
		m.YourIPAddr = net.IPv4zero
		m.UpdateOption(dhcpv4.OptClassIdentifier(message.ClassAppliance))
	})

	found := claim(t, 1, func(w *wire) { w.say(0, serves) })
	if got := rogue.Describe(found); got != "another appliance at 10.77.0.9 (MAC 52:54:00:77:00:09)" || !found[0].Appliance {
		t.Errorf("of one that serves it says %q", got)
	}

	if found[0].Firm {
		t.Error("one that serves is taken for a proxy")
	}

	serves = frame(t, "52:54:00:77:00:09", "10.77.0.9", func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptClassIdentifier(message.ClassProxy))
	})

	if found := claim(t, 1, func(w *wire) { w.say(0, serves) }); len(found) != 1 || !found[0].Appliance || !found[0].Firm {
		t.Errorf("of a proxy it says %+v", found)
	}
}

// One that served and had to ask again, since its link was lost for a moment, goes before all
// that have not served yet, however often those begin anew.
func TestAnApplianceThatComesBackGoesBeforeThoseThatBegin(t *testing.T) {
	back := net.HardwareAddr{2, 0, 9, 9, 9, 9}
	card := net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 9}

	for range 200_000 {
		s, err := rogue.NewSearcher()
		if err != nil {
			t.Fatal(err)
		}

		if made := s.Made(); bytes.Compare(made, back) <= 0 || made[0]&3 != 2 {
			t.Fatalf("one that begins asks with %s", made)
		}
	}

	question, err := rogue.Question(net.HardwareAddr{2, 1, 0, 0, 0, 0}, card)
	if err != nil {
		t.Fatal(err)
	}

	asks := slices.Concat([]byte{255, 255, 255, 255, 255, 255}, []byte{2, 1, 0, 0, 0, 0}, []byte{8, 0}, question)

	synctest.Test(t, func(t *testing.T) {
		s, err := rogue.NewSearcher()
		if err != nil {
			t.Fatal(err)
		}

		w := newWire(t)
		w.answer = func([]byte) { w.say(0, asks) }

		found, err := s.ReclaimOn(t.Context(), w, net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 2}, listen)
		if err != nil || len(found) > 0 {
			t.Errorf("found %s: %v", rogue.Describe(found), err)
		}

		if len(w.heard) == 0 {
			t.Fatal("nothing was asked")
		}

		for _, h := range w.heard {
			if from := h.frame[6:12]; from[0] != 2 || from[1] != 0 {
				t.Errorf("asked as %s", net.HardwareAddr(from))
			}
		}

		synctest.Wait()
	})
}

// A flood of made-up servers is gathered up to a bound, and what counts for nothing takes no
// place of it.
func TestAFloodOfServersIsGatheredUpToABound(t *testing.T) {
	var flood [][]byte

	for i := range 90 { // what begins later, and our own
		made, card := net.HardwareAddr{2, 9, 0, 0, 0, byte(i)}, net.HardwareAddr{0x52, 0x54, 0, 0x77, 1, byte(i)}

		question, err := rogue.Question(made, card)
		if err != nil {
			t.Fatal(err)
		}

		flood = append(flood, slices.Concat([]byte{255, 255, 255, 255, 255, 255}, made, []byte{8, 0}, question))
	}

	one := frame(t, "02:00:00:00:00:01", "10.9.0.1")
	flood = append(flood, one)

	deliver := func(w *wire) {
		for i, f := range flood {
			w.say(time.Duration(i+1)*time.Millisecond, f)
		}
	}

	if found := claim(t, 1, deliver); rogue.Describe(found) != "10.9.0.1 (MAC 02:00:00:00:00:01) offering the address 10.9.0.50" {
		t.Errorf("found %s", rogue.Describe(found))
	}

	for i := range 500 {
		flood = append(flood, frame(t, "02:00:00:00:00:02", netip.AddrFrom4([4]byte{10, 8, byte(i >> 8), byte(i)}).String()))
	}

	if found := claim(t, 1, deliver); len(found) != 64 {
		t.Errorf("found %d servers", len(found))
	}
}

func TestASearchEndsWhenItIsToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		s, err := rogue.NewSearcher()
		if err != nil {
			t.Fatal(err)
		}

		start := time.Now()
		if _, err := s.SearchOn(ctx, newWire(t), self, listen); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("ended with %v after %s", err, time.Since(start))
		}
	})
}

func TestWhatOtherServersSayIsOverheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)

		var seen []string

		go func() {
			ended <- rogue.WatchOn(ctx, w, self, func(o rogue.Offer) { seen = append(seen, o.Kind.String()+" "+o.Server.String()+" "+string(o.To)) })
		}()

		kind := func(k dhcpv4.MessageType) dhcpv4.Modifier { return dhcpv4.WithMessageType(k) }

		w.in <- frame(t, "02:00:00:00:00:01", "10.9.0.1")
		w.in <- frame(t, "02:00:00:00:00:01", "10.9.0.1", kind(dhcpv4.MessageTypeAck))
		w.in <- frame(t, "02:00:00:00:00:01", "10.9.0.1", kind(dhcpv4.MessageTypeNak))
		w.in <- frame(t, "02:00:00:00:00:01", "10.9.0.1", kind(dhcpv4.MessageTypeDiscover))
		w.in <- frame(t, string(self), "10.77.0.1", kind(dhcpv4.MessageTypeAck))
		w.in <- []byte{1, 2, 3}

		synctest.Wait()
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}

		want := []string{"OFFER 10.9.0.1 02:00:00:00:00:09", "ACK 10.9.0.1 02:00:00:00:00:09", "NAK 10.9.0.1 02:00:00:00:00:09"}
		if !slices.Equal(seen, want) {
			t.Errorf("overheard %q, want %q", seen, want)
		}
	})
}

func TestRecordedServersAreRead(t *testing.T) {
	for name, frame := range recorded(t) {
		got, ok := rogue.Parse(frame[etherLen:], frame[6:12])

		want := rogue.Offer{
			Server: netip.MustParseAddr("10.78.0.1"), MAC: "52:54:00:77:00:01", To: "52:54:00:00:00:01", Kind: dhcpv4.MessageTypeOffer,
			Addr: netip.MustParseAddr("10.78.0.85"), File: "pxelinux.0", Boot: netip.MustParseAddr("10.78.0.1"),
		}
		if strings.Contains(name, "ack") {
			want.Kind = dhcpv4.MessageTypeAck
		}

		if !ok || got != want {
			t.Errorf("%s is read as %+v (%t), want %+v", name, got, ok, want)
		}
	}
}

func TestAProxyIsToldFromAServer(t *testing.T) {
	none := dhcpv4.WithYourIP(net.IPv4zero)
	class := func(text string) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptClassIdentifier(text)) }

	for name, c := range map[string]struct {
		change []dhcpv4.Modifier
		want   bool
	}{
		"an offer of no address that speaks PXE":      {[]dhcpv4.Modifier{none, class("PXEClient")}, true},
		"one for HTTP boot":                           {[]dhcpv4.Modifier{none, class("HTTPClient")}, true},
		"an offer of no address that says nothing":    {[]dhcpv4.Modifier{none}, false},
		"an offer of an address that speaks PXE":      {[]dhcpv4.Modifier{class("PXEClient")}, false},
		"an ACK of no address that speaks PXE (4011)": {[]dhcpv4.Modifier{none, class("PXEClient"), dhcpv4.WithMessageType(dhcpv4.MessageTypeAck)}, false},
	} {
		offer, ok := rogue.Parse(frame(t, "02:00:00:00:00:01", "10.9.0.1", c.change...)[etherLen:], net.HardwareAddr{2, 0, 0, 0, 0, 1})
		if !ok || offer.Proxy != c.want {
			t.Errorf("%s: %+v (%t)", name, offer, ok)
		}
	}
}

func TestWhatIsNoServersPacketIsPassedOver(t *testing.T) {
	good := frame(t, "02:00:00:00:00:01", "10.9.0.1")[etherLen:]

	for name, change := range map[string]func(b []byte) []byte{
		"nothing":           func([]byte) []byte { return nil },
		"half a header":     func(b []byte) []byte { return b[:12] },
		"no UDP header":     func(b []byte) []byte { return b[:24] },
		"IPv6":              func(b []byte) []byte { b[0] = 0x65; return b },
		"TCP":               func(b []byte) []byte { b[9] = 6; return b },
		"a later fragment":  func(b []byte) []byte { b[7] = 1; return b },
		"more fragments":    func(b []byte) []byte { b[6] = 0x20; return b },
		"a header too long": func(b []byte) []byte { b[0] = 0x4f; return b[:50] },
		"a header too short": func(b []byte) []byte {
			b[0] = 0x44

			return b
		},
		"from a client":       func(b []byte) []byte { b[21] = 68; return b },
		"to a server":         func(b []byte) []byte { b[23] = 67; return b },
		"a request":           func(b []byte) []byte { b[28] = 1; return b },
		"no DHCP":             func(b []byte) []byte { b[28+236] = 0; return b },
		"no message type":     func(b []byte) []byte { b[28+240] = 255; return b },
		"cut short after UDP": func(b []byte) []byte { return b[:28] },
	} {
		if offer, ok := rogue.Parse(change(slices.Clone(good)), net.HardwareAddr{2, 0, 0, 0, 0, 1}); ok {
			t.Errorf("%s is read as %+v", name, offer)
		}
	}

	if _, ok := rogue.Parse(good, net.HardwareAddr{2, 0, 0, 0, 0, 1}); !ok {
		t.Error("the good one is passed over")
	}
}

// FuzzParse: whatever a frame says, a person can be shown it.
func FuzzParse(f *testing.F) {
	for _, frame := range recorded(f) {
		f.Add(frame[etherLen:])
	}

	f.Add(frame(f, "02:00:00:00:00:01", "10.9.0.1")[etherLen:])

	question, err := rogue.Question(net.HardwareAddr{2, 0, 0, 0, 0, 5}, net.HardwareAddr{2, 0, 0, 0, 0, 6})
	if err != nil {
		f.Fatal(err)
	}

	f.Add(question)
	f.Fuzz(func(t *testing.T, b []byte) {
		offer, ok := rogue.Parse(b, net.HardwareAddr{2, 0, 0, 0, 0, 1})
		if !ok {
			return
		}

		if offer.Server.Is4() == (offer.Kind == dhcpv4.MessageTypeDiscover) || offer.Kind != dhcpv4.MessageTypeDiscover && offer.MAC != "02:00:00:00:00:01" || len(offer.To) != 17 {
			t.Errorf("%+v", offer)
		}

		if strings.ContainsFunc(offer.String(), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("described as %q", offer)
		}
	})
}
