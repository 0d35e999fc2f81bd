package tftp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vetting/core"
	"vetting/netboot/tftp"
)

const (
	known    = "127.0.0.2" // a machine that may have everything
	stranger = "127.0.0.3"
	self     = "127.0.0.1" // the appliance itself
)

// world is a server on the loopback device, and what it says.
type world struct {
	t     *testing.T
	port  int
	files map[string][]byte
	begin func(ctx context.Context) error // of all files; nil: nothing
	gate  func(at int64)                  // called before a file is read; nil: nothing
	steps chan core.BootStep

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

func (w *world) Witness(step core.BootStep) { w.steps <- step }

func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.log.Write(b)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.log.String()
}

// beginWith has every transfer begin with something.
func (w *world) beginWith(begin func(ctx context.Context) error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.begin = begin
}

// gateWith has every read of a file go through something.
func (w *world) gateWith(gate func(at int64)) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.gate = gate
}

func serve(t *testing.T, files map[string][]byte) *world {
	t.Helper()

	w := &world{t: t, files: files, steps: make(chan core.BootStep, 100)}

	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}

	w.port = conn.LocalAddr().(*net.UDPAddr).Port
	server := tftp.New(tftp.Config{
		Self: netip.MustParseAddr("127.0.0.1"), Witness: w, Log: slog.New(slog.NewTextHandler(w, nil)),
		Lookup: func(addr netip.Addr, name string) (*tftp.File, core.BootClient, bool) {
			file := tftp.Bytes(w.files[name])
			if file != nil {
				w.mu.Lock()
				file.Begin = w.begin
				file.Content = gated{file.Content, w.gate}
				w.mu.Unlock()
			}

			if addr.String() == self {
				return file, core.BootClient{}, true
			}

			return file, core.BootClient{MAC: "52:54:00:00:00:01", Addr: addr}, addr.String() == known
		},
	})

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- server.Serve(ctx, conn) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})

	return w
}

// A server that is told to end before it has begun ends too.
func TestServeEndsEvenBeforeItHasBegun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	for range 50 {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}

		server := tftp.New(tftp.Config{Self: netip.MustParseAddr("127.0.0.1"), Log: slog.New(slog.DiscardHandler)})
		if err := server.Serve(ctx, conn); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}
}

// A file that cannot be read at all takes no place for good.
func TestAPanicLeavesNoTransferBehind(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(100)})
	w.gate = func(int64) { panic("of a test") }

	for _, mode := range []string{"octet", "netascii"} {
		for range 10 { // more than one client may have at once
			before := strings.Count(w.logged(), "of a test")
			w.client(known).ask("f", mode)

			for end := time.Now().Add(5 * time.Second); strings.Count(w.logged(), "of a test") == before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("it began no more transfers in mode %s:\n%s", mode, w.logged())
				}
			}
		}
	}
}

// gated is a file that is read when the test wants it.
type gated struct {
	io.ReaderAt

	gate func(at int64)
}

func (g gated) ReadAt(b []byte, at int64) (int, error) {
	if g.gate != nil {
		g.gate(at)
	}

	return g.ReaderAt.ReadAt(b, at)
}

// client is a TFTP client that does what the test tells it.
type client struct {
	t    *testing.T
	conn *net.UDPConn
	main *net.UDPAddr
	peer *net.UDPAddr // the server's end of the transfer
}

func (w *world) client(addr string) *client {
	w.t.Helper()

	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(addr)})
	if err != nil {
		w.t.Fatal(err)
	}

	w.t.Cleanup(func() { _ = conn.Close() })

	return &client{t: w.t, conn: conn, main: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: w.port}}
}

// ask sends a request; fields are name, mode and options.
func (c *client) ask(fields ...string) {
	c.t.Helper()
	c.send(c.main, "\x00\x01"+strings.Join(fields, "\x00")+"\x00")
}

func (c *client) send(to *net.UDPAddr, packet string) {
	c.t.Helper()

	if _, err := c.conn.WriteToUDP([]byte(packet), to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) ack(block int) {
	c.t.Helper()
	c.send(c.peer, string([]byte{0, 4, byte(block >> 8), byte(block)}))
}

// hear returns the next packet, which must come.
func (c *client) hear() []byte {
	c.t.Helper()

	buf := make([]byte, 65536)

	if err := c.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}

	n, from, err := c.conn.ReadFromUDP(buf)
	if err != nil {
		c.t.Fatalf("the server says nothing: %v", err)
	}

	c.peer = from

	return buf[:n]
}

// silent fails when something has arrived.
func (c *client) silent() {
	c.t.Helper()

	if err := c.conn.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		c.t.Fatal(err)
	}

	buf := make([]byte, 1500)
	if n, _, err := c.conn.ReadFromUDP(buf); err == nil {
		c.t.Errorf("heard %q", buf[:n])
	}
}

// get fetches a file by the rules and returns it with the options as
// acknowledged and the number of DATA packets.
func (c *client) get(block, window int, fields ...string) (file []byte, oack string, packets int) {
	c.t.Helper()
	c.ask(fields...)

	next, inWindow := 1, 0

	for {
		p := c.hear()

		switch p[1] {
		case 6:
			oack = string(p[2:])
			c.ack(0)
		case 5:
			c.t.Fatalf("refused: %q", p[4:])
		case 3:
			packets++

			if int(binary.BigEndian.Uint16(p[2:])) != next&0xffff {
				continue // sent again
			}

			file = append(file, p[4:]...)
			last := len(p) < 4+block

			if inWindow++; inWindow == window || last {
				c.ack(next)
				inWindow = 0
			}

			if last {
				return file, oack, packets
			}

			next++
		}
	}
}

func bulk(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}

	return b
}

func TestTransfersFollowWhatWasAgreed(t *testing.T) {
	w := serve(t, map[string][]byte{
		"empty": {}, "one": []byte("x"), "even": bulk(1024), "odd": bulk(300_001), "rolls": bulk(8 * 70_000),
	})

	for _, c := range []struct {
		name          string
		block, window int
		fields        []string
		oack          string
	}{
		{"nothing but the request", 512, 1, []string{"odd", "octet"}, ""},
		{"a file that fills its last block", 512, 1, []string{"even", "octet"}, ""},
		{"an empty file", 512, 1, []string{"empty", "octet", "tsize", "0"}, "tsize\x000\x00"},
		{"EDK2's terms", 1468, 4, []string{"odd", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4"}, "tsize\x00300001\x00blksize\x001468\x00windowsize\x004\x00"},
		{"blocks larger than a frame", 1468, 1, []string{"odd", "octet", "blksize", "65464"}, "blksize\x001468\x00"},
		{"names in capitals are given back so", 1024, 1, []string{"odd", "OCTET", "BLKSIZE", "1024", "TSIZE", "0"}, "BLKSIZE\x001024\x00TSIZE\x00300001\x00"},
		{"a window beyond all measure", 512, 64, []string{"odd", "octet", "windowsize", "65535"}, "windowsize\x0064\x00"},
		{"values that make no sense are left out", 512, 1, []string{"odd", "octet", "blksize", "7", "windowsize", "0", "blksize", "x", "tsize", "-1", "timeout", "3"}, ""},
		{"more blocks than numbers", 8, 64, []string{"rolls", "octet", "blksize", "8", "windowsize", "64"}, "blksize\x008\x00windowsize\x0064\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, oack, _ := w.client(known).get(c.block, c.window, c.fields...)
			if want := w.files[c.fields[0]]; !bytes.Equal(got, want) || oack != c.oack {
				t.Errorf("got %d bytes with options %q, want %d with %q", len(got), oack, len(want), c.oack)
			}

			if step := <-w.steps; step.Kind != "tftp" || step.Bytes != int64(len(got)) || step.Addr.String() != known {
				t.Errorf("noted %+v", step)
			}
		})
	}
}

// What a file brings with it is done once for each transfer, when the client has proven that
// it is there; where it cannot be, the client is told. A request in the name of another, who
// never hears the answer's port, does nothing.
func TestATransferBeginsWithItsFirstAcknowledgement(t *testing.T) {
	var begun atomic.Int64

	w := serve(t, map[string][]byte{"one": bulk(3000), "bad": bulk(10)})
	w.beginWith(func(context.Context) error {
		begun.Add(1)

		return nil
	})

	if got, _, _ := w.client(known).get(512, 1, "one", "octet"); !bytes.Equal(got, w.files["one"]) || begun.Load() != 1 {
		t.Errorf("got %d bytes, begun %d times", len(got), begun.Load())
	}

	for _, fields := range [][]string{{"one", "octet"}, {"one", "octet", "blksize", "1024"}, {"one", "octet", "tsize", "0"}} {
		c := w.client(known)
		c.ask(fields...)
		c.hear()
		c.send(c.main, "\x00\x04\x00\x00") // to the port that everybody knows
		c.send(c.peer, "\x00\x05\x00\x08User aborted the transfer\x00")
	}

	if got, _, _ := w.client(known).get(1024, 1, "one", "octet", "blksize", "1024"); !bytes.Equal(got, w.files["one"]) || begun.Load() != 2 {
		t.Errorf("got %d bytes, begun %d times", len(got), begun.Load())
	}

	w.beginWith(func(context.Context) error { return errors.New("no") })

	c := w.client(known)
	c.ask("bad", "octet")

	if first := c.hear(); first[1] != 3 {
		t.Errorf("answered % x", first)
	}

	c.ack(1)

	if answer := c.hear(); len(answer) < 4 || answer[1] != 5 || answer[3] != 0 {
		t.Errorf("answered % x", answer)
	}
}

func TestTextModeEndsLinesAsTheProtocolHasIt(t *testing.T) {
	w := serve(t, map[string][]byte{"script": []byte("one\ntwo\rthree\n")})

	got, _, _ := w.client(known).get(512, 1, "script", "netascii")
	if string(got) != "one\r\ntwo\r\x00three\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestALookAtTheSizeIsNoFailure(t *testing.T) {
	w := serve(t, map[string][]byte{"snponly.efi": bulk(5000)})
	c := w.client(known)

	c.ask("snponly.efi", "octet", "tsize", "0", "blksize", "1468")
	c.hear()
	c.send(c.peer, "\x00\x05\x00\x08User aborted the transfer\x00")

	if step := <-w.steps; step.Kind != "tftp-probe" {
		t.Errorf("noted as %q: %s", step.Kind, step.Detail)
	}

	// It comes again, from the same port, for the file.
	if got, _, _ := c.get(1468, 1, "snponly.efi", "octet", "blksize", "1468"); len(got) != 5000 {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestWhatIsLostIsSentAgain(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(1200)})

	t.Run("the answer to the options", func(t *testing.T) {
		c := w.client(known)
		c.ask("f", "octet", "tsize", "0")
		first, again := string(c.hear()), string(c.hear())

		if first != again || first[1] != 6 {
			t.Errorf("sent %q, then %q", first, again)
		}
	})

	t.Run("a block", func(t *testing.T) {
		c := w.client(known)
		c.ask("f", "octet")
		first, again := string(c.hear()), string(c.hear())

		if first != again || first[:4] != "\x00\x03\x00\x01" {
			t.Errorf("sent %q, then %q", first[:4], again[:4])
		}

		c.ack(1)

		if next := c.hear(); string(next[:4]) != "\x00\x03\x00\x02" {
			t.Errorf("sent %q after an acknowledgement of 1", next[:4])
		}
	})

	t.Run("the middle of a window", func(t *testing.T) {
		c := w.client(known)
		c.ask("f", "octet", "windowsize", "3")
		c.hear()
		c.ack(0)

		for range 3 {
			c.hear()
		}

		c.ack(1)

		if next := c.hear(); string(next[:4]) != "\x00\x03\x00\x02" || len(next) != 516 {
			t.Errorf("sent %q after an acknowledgement of 1", next[:4])
		}
	})
}

// A repeated acknowledgement is answered once, or each of them doubles every
// packet that follows (seen with OVMF: 112 498 packets instead of 3 194).
func TestRepeatedAcknowledgementsDoNotMultiply(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(8 * 512)})
	c := w.client(known)

	c.ask("f", "octet", "windowsize", "2")
	c.hear()
	c.ack(0)
	c.hear()
	c.hear()

	for range 20 {
		c.ack(0)
	}

	// The window again, once; then, when the repeats are over, on demand.
	for _, want := range []string{"\x00\x01", "\x00\x02"} {
		if p := c.hear(); string(p[2:4]) != want {
			t.Errorf("block %x, want %x", p[2:4], want)
		}
	}

	c.ack(2)

	for _, want := range []string{"\x00\x03", "\x00\x04"} {
		if p := c.hear(); string(p[2:4]) != want {
			t.Errorf("block %x, want %x", p[2:4], want)
		}
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(100)})
	c := w.client(known)

	for _, r := range []struct {
		name, packet, want, logged string
	}{
		{"a file that is not there", "\x00\x01no-boot\x00octet\x00", "\x00\x05\x00\x01file not found\x00", ""},
		{"a write", "\x00\x02f\x00octet\x00", "\x00\x05\x00\x02read only\x00", ""},
		{"a request cut short", "\x00\x01f", "\x00\x05\x00\x04malformed read request\x00", "malformed read request"},
		{"an odd mode", "\x00\x01f\x00mail\x00", "\x00\x05\x00\x04unknown transfer mode\x00", "unknown transfer mode"},
	} {
		t.Run(r.name, func(t *testing.T) {
			c.send(c.main, r.packet)

			if got := string(c.hear()); got != r.want {
				t.Errorf("answer %q, want %q", got, r.want)
			}

			if r.logged != "" && !strings.Contains(w.logged(), fmt.Sprintf("code=netboot/tftp-malformed from=%s error=%q", c.conn.LocalAddr(), r.logged)) {
				t.Errorf("the log lacks it:\n%s", w.logged())
			}
		})
	}

	if step := <-w.steps; step.Kind != "tftp-missing" || step.Detail != "no-boot" {
		t.Errorf("noted %+v", step)
	}
}

func TestStrangersAndWhatIsNoRequestHearNothing(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(100)})
	far, odd := w.client(stranger), w.client(known)

	for _, packet := range []string{"\x00\x01f\x00octet\x00", "\x00\x01nothing\x00octet\x00", "\x00\x02f\x00octet\x00", "\x00\x01f", ""} {
		far.send(far.main, packet)
	}

	for _, packet := range []string{"", "\x00", "\x00\x05\x00\x00error\x00", "\x00\x04\x00\x01", "\x00\x03\x00\x01data", "\xff\xff\xff"} {
		odd.send(odd.main, packet)
	}

	// Packets are taken in order: when this one is served, those before are done.
	if got, _, _ := w.client(known).get(512, 1, "f", "octet"); len(got) != 100 {
		t.Errorf("the next good request got %d bytes", len(got))
	}

	far.silent()
	odd.silent()
}

func TestOneMachineCannotTakeAllTransfers(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(5000)})
	clients := make([]*client, 4)

	for i := range clients {
		clients[i] = w.client(known)
		clients[i].ask("f", "octet")
		clients[i].hear()
		clients[i].ask("f", "octet") // the same once more is no second transfer
	}

	fifth := w.client(known)
	fifth.ask("f", "octet")

	if got := string(fifth.hear()); got != "\x00\x05\x00\x03too many transfers\x00" {
		t.Errorf("the fifth was answered %q", got)
	}

	clients[0].send(clients[0].peer, "\x00\x05\x00\x00enough\x00")
	<-w.steps

	if got, _, _ := fifth.get(512, 1, "f", "octet"); len(got) != 5000 {
		t.Errorf("after one has ended, the fifth got %d bytes", len(got))
	}
}
