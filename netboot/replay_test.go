package netboot_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/profile"
	"vetting/core/report"
	"vetting/core/signal"
	"vetting/netboot"
	"vetting/netboot/uki/ukitest"
)

// A replay has the boot services answer what a recorded machine said, at the times at which
// it said so, in a bubble of time: DHCP, TFTP and HTTP as they are, with the engine that
// decides and keeps the trace. Of what the services send only the machine's
// acknowledgements are needed, which stand in the recording.

// capture is a frame of a recording.
type capture struct {
	at    time.Duration // since the first one
	frame []byte
}

// readCapture reads a pcap file (draft-ietf-opsawg-pcap; little endian, microseconds).
func readCapture(t *testing.T, path string) (all []capture) {
	t.Helper()

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	le := binary.LittleEndian
	if len(raw) < 24 || le.Uint32(raw) != 0xa1b2c3d4 {
		t.Fatalf("%s is no capture", path)
	}

	var first time.Time

	for b := raw[24:]; len(b) >= 16; {
		n := int(le.Uint32(b[8:]))
		at := time.Unix(int64(le.Uint32(b)), int64(le.Uint32(b[4:]))*1000)

		if first.IsZero() {
			first = at
		}

		all = append(all, capture{at.Sub(first), b[16 : 16+n]})
		b = b[16+n:]
	}

	return all
}

// sizesOf reads how large the files were that were served when the captures were made.
func sizesOf(t *testing.T) map[string][]byte {
	t.Helper()

	text, err := os.ReadFile(filepath.Join("testdata", "diagnosis", "files.txt"))
	if err != nil {
		t.Fatal(err)
	}

	files := map[string][]byte{}

	for line := range strings.Lines(string(text)) {
		var (
			name string
			size int
		)

		if _, err := fmt.Sscan(line, &name, &size); err != nil {
			t.Fatal(err)
		}

		files[name] = make([]byte, size)
	}

	return files
}

// replay is a machine that says again what it said.
type replay struct {
	t      *testing.T
	server *netboot.Server
	engine *engine.Engine
	ledger core.Ledger
	tick   chan time.Time
	mac    core.MAC
	addr   netip.Addr
	start  time.Time

	tftp *requests
	http *arrivals

	mu        sync.Mutex            // guards transfers
	transfers map[uint16]*datagrams // by the machine's port
	conns     map[uint16]*dialogue  // likewise
	greeted   bool
}

// inReplay plays a capture and calls look after each frame, and once more after quiet.
func inReplay(t *testing.T, all []capture, files map[string][]byte, quiet time.Duration, look func(trace core.BootTrace, now time.Time, last bool), tune ...func(*netboot.Config)) {
	t.Helper()

	// Its clock for all answers is to run outside.
	(&fasthttp.ResponseHeader{}).AppendBytes(nil)

	synctest.Test(t, func(t *testing.T) {
		r := newReplay(t, all, files, tune...)

		for _, c := range all {
			time.Sleep(time.Until(r.start.Add(c.at)))
			r.play(c.frame)
			synctest.Wait()
			look(r.trace(), time.Now(), false)
		}

		time.Sleep(quiet)
		synctest.Wait()
		look(r.trace(), time.Now(), true)
	})
}

func newReplay(t *testing.T, all []capture, files map[string][]byte, tune ...func(*netboot.Config)) *replay {
	t.Helper()

	r := &replay{
		t: t, ledger: coretest.NewLedger(), tick: make(chan time.Time), start: time.Now(),
		transfers: map[uint16]*datagrams{}, conns: map[uint16]*dialogue{},
	}
	r.whose(all)

	ctx, cancel := context.WithCancel(context.Background())
	group := &sync.WaitGroup{}

	t.Cleanup(func() {
		cancel()
		r.hangUp()
		group.Wait()
		time.Sleep(time.Minute) // fasthttp looks only now and then whether it has ended
	})

	var err error
	if r.engine, err = engine.New(engine.Config{
		Ledger: r.ledger, Clock: now{}, Rand: rand.Reader, Bell: signal.New(), Profiles: profile.Defaults(), Tick: r.tick,
		SeedFile: func(s core.Seed) ([]byte, error) { return json.Marshal(s) }, Power: nobody{}, Appliance: report.Appliance{ID: "test"},
		HoldSecret: []byte("a secret of thirty-two bytes, 123"), TokenSecret: []byte("a secret of thirty-two bytes, 456"), Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}

	group.Go(func() { _ = r.engine.Run(ctx) })
	synctest.Wait()

	if _, err := r.engine.RegisterHost(ctx, "op", core.Host{MAC: r.mac, Name: "bench", Power: core.Power{Method: core.PowerManual}}); err != nil {
		t.Fatal(err)
	}

	if _, err := r.engine.StartRun(ctx, r.mac, core.StartRun{Profile: "quick", Who: "op"}); err != nil {
		t.Fatal(err)
	}

	synctest.Wait()

	config := netboot.Config{
		Interface: "none", Prefix: netip.MustParsePrefix("10.77.0.1/24"), Files: files, Stub: ukitest.Stub(), ImageID: "feedc0de",
		Booter: r.engine, Leases: oneLease{core.Lease{MAC: r.mac, Addr: r.addr}}, Witness: r.engine,
	}
	for _, change := range tune {
		change(&config)
	}

	if r.server, err = netboot.New(config); err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(r.server.Load(ctx), r.server.Settle()); err != nil {
		t.Fatal(err)
	}

	r.tftp, r.http = &requests{in: make(chan []byte, 64), from: make(chan netip.AddrPort, 64), gone: make(chan struct{})}, &arrivals{in: make(chan net.Conn, 64), gone: make(chan struct{})}

	group.Go(func() { _ = r.server.ServeTFTP(ctx, r.tftp, r.dial) })
	group.Go(func() { _ = r.server.ServeHTTP(ctx, r.http) })

	return r
}

// whose finds the machine's MAC, and the address that it was given, if it was.
func (r *replay) whose(all []capture) {
	for _, c := range all {
		p := packetOf(c.frame)

		if p.to == 67 && len(p.payload) > 240 && r.mac == "" {
			r.mac = core.MAC(net.HardwareAddr(p.payload[28:34]).String())
		}

		if p.from == 67 && p.src == r.self() && len(p.payload) > 240 {
			r.addr = netip.AddrFrom4([4]byte(p.payload[16:20]))
		}
	}

	if r.mac == "" {
		r.t.Fatal("nobody asks for an address in this capture")
	}
}

func (r *replay) self() netip.Addr { return netip.MustParseAddr("10.77.0.1") }

// trace has the engine write what it has seen, and reads it.
func (r *replay) trace() (trace core.BootTrace) {
	r.tick <- time.Now()
	synctest.Wait()

	err := r.ledger.View(context.Background(), func(l core.Reader) error { return l.Get(core.TableBoot, string(r.mac), &trace) })
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		r.t.Fatal(err)
	}

	return trace
}

// segment is what is read of a frame.
type segment struct {
	tcp      bool
	src      netip.Addr
	from, to uint16
	ack      uint32
	flags    byte
	payload  []byte
}

func packetOf(frame []byte) (s segment) {
	if len(frame) < 42 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return s
	}

	ip := frame[14:]
	head := int(ip[0]&15) * 4
	body := ip[head:min(int(binary.BigEndian.Uint16(ip[2:])), len(ip))]
	s.src = netip.AddrFrom4([4]byte(ip[12:16]))
	s.from, s.to = binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])

	switch ip[9] {
	case 17:
		s.payload = body[8:]
	case 6:
		s.tcp, s.ack, s.flags = true, binary.BigEndian.Uint32(body[8:]), body[13]
		s.payload = body[int(body[12]>>4)*4:]
	}

	return s
}

// play says one frame of the machine's.
func (r *replay) play(frame []byte) {
	p := packetOf(frame)
	if p.to == 0 || core.MAC(net.HardwareAddr(frame[6:12]).String()) != r.mac {
		return // what was sent to it
	}

	from := netip.AddrPortFrom(r.addr, p.from)

	switch {
	case p.tcp && p.to == 80:
		r.talk(&p)
	case p.tcp && p.to == 443 && len(p.payload) > 0 && !r.greeted:
		// TLS tells no more than that the agent speaks. What the engine makes of it is this.
		r.greeted = true
		r.engine.Witness(core.BootStep{Time: time.Now(), MAC: r.mac, Kind: "hello", Detail: "the agent speaks"})
	case p.tcp:
	case p.to == 67:
		r.server.AnswerDHCP(p.payload, time.Now())
	case p.to == 69:
		r.tftp.from <- from
		r.tftp.in <- bytes.Clone(p.payload)
	default:
		r.mu.Lock()
		transfer := r.transfers[p.from]
		r.mu.Unlock()

		if transfer != nil {
			transfer.hear(bytes.Clone(p.payload))
		}
	}
}

// dial opens what a transfer to the machine goes over.
func (r *replay) dial(_ context.Context, to netip.AddrPort) (net.Conn, error) {
	d := &datagrams{in: make(chan []byte, 256), gone: make(chan struct{})}

	r.mu.Lock()
	r.transfers[to.Port()] = d
	r.mu.Unlock()

	return d, nil
}

var (
	hashed = regexp.MustCompile(`/boot/[0-9a-f]{12,64}/`)
	seeded = regexp.MustCompile(`/seed/[0-9a-z]+\.cpio`)
)

// talk says a segment of a connection to boot HTTP. What changes from one appliance to
// the next is put in: the hash of a file's content and the nonce of a run.
func (r *replay) talk(p *segment) {
	c := r.conns[p.from]

	switch {
	case p.flags&2 != 0 && c == nil: // SYN; a second one is the same again
		c = r.connect(p.from)
		r.conns[p.from] = c

		return
	case c == nil:
		return
	case p.flags&5 != 0: // FIN, RST
		c.close()
		delete(r.conns, p.from)

		return
	}

	c.acknowledge(p.ack)

	if len(p.payload) == 0 {
		return
	}

	text := hashed.ReplaceAll(p.payload, []byte("/boot/"))

	for _, other := range r.conns {
		if nonce := other.nonce(); nonce != "" {
			text = seeded.ReplaceAll(text, []byte(nonce))
		}
	}

	c.say(text)
}

func (r *replay) connect(port uint16) *dialogue {
	ours, theirs := net.Pipe()
	d := &dialogue{conn: ours, said: make(chan []byte, 64)}
	d.more.L = &d.mu

	go d.write()
	go d.read()

	r.http.in <- addressed{theirs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.addr, port))}

	return d
}

// hangUp ends what is open.
func (r *replay) hangUp() {
	for _, c := range r.conns {
		c.close()
	}
}

// dialogue is the machine's end of a connection: it takes as much of the answers as the
// machine acknowledged, and a little more, since answers differ in length by some bytes.
type dialogue struct {
	conn net.Conn
	said chan []byte
	over sync.Once

	mu    sync.Mutex // guards all below
	more  sync.Cond
	first uint32 // acknowledged at the beginning
	taken int
	may   int
	head  []byte // of what was taken
	shut  bool
}

const slack = 4 << 10

func (d *dialogue) say(text []byte) { d.said <- text }

func (d *dialogue) close() {
	d.over.Do(func() {
		d.mu.Lock()
		d.shut = true
		d.mu.Unlock()
		d.more.Broadcast()
		close(d.said)

		_ = d.conn.Close()
	})
}

func (d *dialogue) write() {
	for text := range d.said {
		if _, err := d.conn.Write(text); err != nil {
			return
		}
	}
}

func (d *dialogue) acknowledge(ack uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.first == 0 {
		d.first = ack
	}

	d.may = max(d.may, int(ack-d.first)+slack)
	d.more.Broadcast()
}

func (d *dialogue) read() {
	buf := make([]byte, 1<<20)

	for {
		d.mu.Lock()
		for d.taken >= d.may && !d.shut {
			d.more.Wait()
		}

		n := min(len(buf), d.may-d.taken)
		over := d.shut
		d.mu.Unlock()

		if over {
			return
		}

		n, err := d.conn.Read(buf[:n])

		d.mu.Lock()
		d.taken += n

		if len(d.head) < 16<<10 {
			d.head = append(d.head, buf[:n]...)
		}
		d.mu.Unlock()

		if err != nil {
			return
		}
	}
}

// nonce is the path of the seed that a script named which came over the connection.
func (d *dialogue) nonce() string {
	d.mu.Lock()
	defer d.mu.Unlock()

	all := seeded.FindAll(d.head, -1)
	if len(all) == 0 {
		return ""
	}

	return string(all[len(all)-1])
}

// addressed is an end of a pipe that says where it comes from.
type addressed struct {
	net.Conn

	from net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.from }

// arrivals is a listener.
type arrivals struct {
	in   chan net.Conn
	gone chan struct{}
	once sync.Once
}

func (a *arrivals) Accept() (net.Conn, error) {
	select {
	case conn := <-a.in:
		return conn, nil
	case <-a.gone:
		return nil, io.EOF
	}
}

func (a *arrivals) Close() error {
	a.once.Do(func() { close(a.gone) })

	return nil
}

func (a *arrivals) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 80} }

// requests is the socket at port 69.
type requests struct {
	net.PacketConn // nothing else of it is asked for

	in   chan []byte
	from chan netip.AddrPort
	gone chan struct{}
	once sync.Once
}

func (q *requests) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case packet := <-q.in:
		return copy(b, packet), <-q.from, nil
	case <-q.gone:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (q *requests) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

func (q *requests) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 69} }

func (q *requests) Close() error {
	q.once.Do(func() { close(q.gone) })

	return nil
}

// datagrams is the socket of a transfer.
type datagrams struct {
	net.Conn // nothing else of it is asked for

	in   chan []byte
	gone chan struct{}
	once sync.Once

	mu    sync.Mutex // guards until
	until time.Time
}

func (d *datagrams) hear(packet []byte) {
	select {
	case d.in <- packet:
	case <-d.gone:
	}
}

func (d *datagrams) Read(b []byte) (int, error) {
	d.mu.Lock()
	until := d.until
	d.mu.Unlock()

	late := time.NewTimer(time.Until(until))
	defer late.Stop()

	select {
	case packet := <-d.in:
		return copy(b, packet), nil
	case <-late.C:
		return 0, os.ErrDeadlineExceeded
	case <-d.gone:
		return 0, net.ErrClosed
	}
}

func (d *datagrams) Write(b []byte) (int, error) { return len(b), nil }

func (d *datagrams) SetReadDeadline(until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.until = until

	return nil
}

func (d *datagrams) Close() error {
	d.once.Do(func() { close(d.gone) })

	return nil
}

// now is the bubble's clock.
type now struct{}

func (now) Now() time.Time { return time.Now() }

// nobody switches nothing.
type nobody struct{}

func (nobody) Do(context.Context, core.PowerOrder) core.PowerAnswer { return core.PowerAnswer{} }

// oneLease remembers the address that a machine had.
type oneLease struct{ lease core.Lease }

func (o oneLease) Leases(context.Context) ([]core.Lease, error) {
	if !o.lease.Addr.IsValid() {
		return nil, nil
	}

	o.lease.Granted, o.lease.Expires = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)

	return []core.Lease{o.lease}, nil
}

func (oneLease) SaveLeases(context.Context, []core.Lease) error { return nil }
