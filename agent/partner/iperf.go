package partner

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vetting/agent/partner/socket"
)

// The control connection of iperf3, as its sources have it (iperf_api.h, iperf_server_api.c
// and iperf_api.c of esnet/iperf 3.12): the client sends a cookie; then one end tells
// the other its state, a byte at a time, and parameters and results go as JSON behind
// four bytes of length.
const (
	iperfTestStart       = 1
	iperfTestRunning     = 2
	iperfTestEnd         = 4
	iperfParamExchange   = 9
	iperfCreateStreams   = 10
	iperfExchangeResults = 13
	iperfDisplayResults  = 14
	iperfServerError     = 0xfe // -2; two numbers follow: iperf3's own, and errno
	iperfAccessDenied    = 0xff // -1: it is to come again later

	iperfCookie        = 37 // 36 letters and digits and a zero
	iperfMaxJSON       = 64 << 10
	iperfMaxStreams    = 32
	iperfMaxBlock      = 1 << 20   // of the client
	iperfBlock         = 128 << 10 // ours at most; TCP has no blocks
	iperfMaxPlaces     = 128       // streams at once of all clients, each with a block; a machine under test has places of its own
	iperfTimeSlack     = 30 * time.Second
	iperfUnimplemented = 13 // IEUNIMP
)

// iperfParams are what a client wants, of all that it tells.
type iperfParams struct {
	TCP      bool    `json:"tcp"`
	UDP      bool    `json:"udp"`
	SCTP     bool    `json:"sctp"`
	Time     float64 `json:"time"`
	Omit     float64 `json:"omit"`
	Parallel int     `json:"parallel"`
	Reverse  bool    `json:"reverse"`
	Both     bool    `json:"bidirectional"`
	Length   int     `json:"len"`
	Auth     string  `json:"authtoken"`
}

// errIperfUnknown is a test that this end does not do.
var errIperfUnknown = errors.New("only TCP, in one direction at a time, is done here")

// parseIperfParams reads the parameters and holds them to their bounds.
func parseIperfParams(raw []byte) (p iperfParams, err error) {
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("reading the parameters of iperf3: %w", err)
	}

	if p.Parallel == 0 {
		p.Parallel = 1
	}

	if p.Length == 0 {
		p.Length = 128 << 10
	}

	switch {
	case p.UDP || p.SCTP || p.Both:
		return p, errIperfUnknown
	case p.Parallel < 0 || p.Parallel > iperfMaxStreams:
		return p, fmt.Errorf("reading the parameters of iperf3: %d streams, %d at most", p.Parallel, iperfMaxStreams)
	case p.Length < 1 || p.Length > iperfMaxBlock:
		return p, fmt.Errorf("reading the parameters of iperf3: blocks of %d bytes, %d at most", p.Length, iperfMaxBlock)
	case !(p.Time >= 0 && p.Omit >= 0 && p.Time+p.Omit <= 24*3600):
		return p, fmt.Errorf("reading the parameters of iperf3: %v seconds", p.Time)
	default:
		return p, nil
	}
}

// lasts is how long the test may take at most; 0 seconds mean that the client counts
// bytes.
func (p *iperfParams) lasts() time.Duration {
	const counted = time.Hour

	if p.Time == 0 {
		return counted
	}

	return time.Duration((p.Time+p.Omit)*float64(time.Second)) + iperfTimeSlack
}

// iperfStream is what this end tells of a stream.
type iperfStream struct {
	ID          int     `json:"id"`
	Bytes       uint64  `json:"bytes"`
	Retransmits int64   `json:"retransmits"` // -1: not known
	Jitter      float64 `json:"jitter"`
	Errors      int     `json:"errors"`
	Packets     int     `json:"packets"`
	StartTime   float64 `json:"start_time"`
	EndTime     float64 `json:"end_time"`
}

// iperfResults are what this end tells of a test.
type iperfResults struct {
	CPUTotal    float64       `json:"cpu_util_total"`
	CPUUser     float64       `json:"cpu_util_user"`
	CPUSystem   float64       `json:"cpu_util_system"`
	Retransmits int           `json:"sender_has_retransmits"`
	Streams     []iperfStream `json:"streams"`
}

// iperfTest is a test of an iperf3 client under way.
type iperfTest struct {
	conn   net.Conn // control
	params iperfParams
	joins  chan net.Conn // its streams
	over   chan struct{} // closed at the end
	places int           // guarded by Partner.mu

	streams []net.Conn
	bytes   []atomic.Uint64
	again   []uint64 // segments that were sent again
	begun   time.Time
}

// iperf serves the connection of an iperf3 client whose cookie began with word: the
// control connection of a new test, or a stream of one under way.
func (p *Partner) iperf(ctx context.Context, conn net.Conn, word []byte, inside func()) error {
	cookie := make([]byte, iperfCookie)
	copy(cookie, word)

	if _, err := io.ReadFull(conn, cookie[len(word):]); err != nil {
		return fmt.Errorf("reading the cookie of iperf3: %w", err)
	}

	if !ofCookie(cookie[:iperfCookie-1]) || cookie[iperfCookie-1] != 0 {
		return errors.New("not the cookie of iperf3")
	}

	inside()

	test, mine := p.iperfTest(string(cookie), conn)
	if !mine {
		return p.iperfJoin(ctx, test, conn)
	}

	defer p.iperfLeave(string(cookie), test)

	if !p.iperfPlace(test, 1) {
		return errors.Join(errIperfFull, test.tell(iperfAccessDenied))
	}

	return p.iperfServe(ctx, test)
}

// ofCookie reports whether these may be letters of a cookie of iperf3.
func ofCookie(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}

	return true
}

// iperfTest finds the test of a cookie, or begins one on this connection.
func (p *Partner) iperfTest(cookie string, conn net.Conn) (test *iperfTest, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if test = p.iperfs[cookie]; test != nil {
		return test, false
	}

	test = &iperfTest{conn: conn, joins: make(chan net.Conn), over: make(chan struct{})}
	p.iperfs[cookie] = test

	return test, true
}

// errIperfFull says that a client of iperf3 was turned away.
var errIperfFull = fmt.Errorf("%d streams of iperf3 are under way", iperfMaxPlaces)

// iperfPlace gives a test places for streams, unless others have them.
func (p *Partner) iperfPlace(test *iperfTest, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.iperfPlaces+n > iperfMaxPlaces {
		return false
	}

	p.iperfPlaces += n
	test.places += n

	return true
}

func (p *Partner) iperfLeave(cookie string, test *iperfTest) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.iperfPlaces -= test.places
	delete(p.iperfs, cookie)
	close(test.over)
}

// iperfJoin hands a stream to its test and keeps it open until that is over.
func (p *Partner) iperfJoin(ctx context.Context, test *iperfTest, conn net.Conn) error {
	if hostOf(conn.RemoteAddr()) != hostOf(test.conn.RemoteAddr()) {
		return errors.New("a stream of iperf3 from another host")
	}

	wait := time.NewTimer(firstWord)
	defer wait.Stop()

	select {
	case test.joins <- conn:
	case <-test.over:
		return nil
	case <-wait.C:
		return errors.New("a stream of iperf3 that its test does not want")
	case <-ctx.Done():
		return ctx.Err()
	}

	<-test.over // ends with the test, which ends with ctx

	return nil
}

// iperfServe goes through a test from the parameters to the results.
func (p *Partner) iperfServe(ctx context.Context, t *iperfTest) error {
	if err := t.tell(iperfParamExchange); err != nil {
		return err
	}

	raw, err := t.readJSON()
	if err != nil {
		return err
	}

	if t.params, err = parseIperfParams(raw); err != nil {
		_ = t.tell(iperfServerError)                                                // it hears why or hangs up
		_ = binary.Write(t.conn, binary.BigEndian, [2]int32{iperfUnimplemented, 0}) // as above

		return err
	}

	if !p.iperfPlace(t, t.params.Parallel-1) {
		return errors.Join(errIperfFull, t.tell(iperfAccessDenied))
	}

	if err := t.gather(ctx); err != nil {
		return err
	}

	_ = t.conn.SetDeadline(time.Now().Add(t.params.lasts())) // a connection that is closed says so below

	for _, state := range []byte{iperfTestStart, iperfTestRunning} {
		if err := t.tell(state); err != nil {
			return err
		}
	}

	if err := p.iperfMove(t); err != nil {
		return err
	}

	return t.exchange()
}

// gather has the client open its streams.
func (t *iperfTest) gather(ctx context.Context) error {
	if err := t.tell(iperfCreateStreams); err != nil {
		return err
	}

	wait := time.NewTimer(firstWord)
	defer wait.Stop()

	for len(t.streams) < t.params.Parallel {
		select {
		case conn := <-t.joins:
			t.streams = append(t.streams, conn)
		case <-wait.C:
			return fmt.Errorf("waiting for the streams of iperf3: %d of %d came", len(t.streams), t.params.Parallel)
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	t.bytes, t.again = make([]atomic.Uint64, len(t.streams)), make([]uint64, len(t.streams))

	return nil
}

// iperfMove moves data until the client says that it is over.
func (p *Partner) iperfMove(t *iperfTest) error {
	var group sync.WaitGroup

	t.begun = time.Now()
	ended := make(chan struct{})

	for i, conn := range t.streams {
		_ = conn.SetDeadline(time.Now().Add(t.params.lasts())) // a connection that is closed says so when used

		group.Go(func() { t.move(i, conn, ended) })
	}

	state, err := t.hear()

	close(ended)

	for i, conn := range t.streams {
		if t.params.Reverse {
			// A client that waits for the rest of a block hears nothing else: it needs an end.
			_, t.again[i] = socket.Resent(conn)
			_ = conn.Close()
		} else {
			_ = conn.SetDeadline(time.Now().Add(drainTime)) // what is under way may come
		}
	}

	group.Wait()

	for _, conn := range t.streams {
		_ = conn.Close() // as iperf3 does
	}

	switch {
	case err != nil:
		return err
	case state != iperfTestEnd:
		return fmt.Errorf("iperf3 went to state %d in the midst of a test", int8(state)) //nolint:gosec // that is what it is
	default:
		return nil
	}
}

// drainTime is how long what is under way is waited for.
const drainTime = 200 * time.Millisecond

// move sends or takes one stream.
func (t *iperfTest) move(i int, conn net.Conn, ended <-chan struct{}) {
	room := make([]byte, min(t.params.Length, iperfBlock))

	for {
		var (
			n   int
			err error
		)

		if t.params.Reverse {
			select {
			case <-ended:
				return
			default:
			}

			n, err = conn.Write(room)
		} else {
			n, err = conn.Read(room)
		}

		t.bytes[i].Add(uint64(n)) //nolint:gosec // never negative

		if err != nil {
			return // what came until then counts
		}
	}
}

// exchange swaps results.
func (t *iperfTest) exchange() error {
	took := time.Since(t.begun).Seconds()

	if err := t.tell(iperfExchangeResults); err != nil {
		return err
	}

	if _, err := t.readJSON(); err != nil { // what the client saw is for its own eyes
		return err
	}

	results := iperfResults{Retransmits: 0}
	if t.params.Reverse {
		results.Retransmits = 1
	}

	for i := range t.streams {
		s := iperfStream{ID: i + 1, Bytes: t.bytes[i].Load(), Retransmits: -1, EndTime: took}
		if i > 0 { // as iperf3 counts: 1, 3, 4, …
			s.ID = i + 2
		}

		if t.params.Reverse {
			s.Retransmits = int64(t.again[i]) //nolint:gosec // of one test
		}

		results.Streams = append(results.Streams, s)
	}

	if err := t.writeJSON(results); err != nil {
		return err
	}

	if err := t.tell(iperfDisplayResults); err != nil {
		return err
	}

	_, err := t.hear() // IPERF_DONE, 16, or it just hangs up
	if errors.Is(err, io.EOF) {
		return nil
	}

	return err
}

func (t *iperfTest) tell(state byte) error {
	if _, err := t.conn.Write([]byte{state}); err != nil {
		return fmt.Errorf("telling iperf3 the state: %w", err)
	}

	return nil
}

func (t *iperfTest) hear() (byte, error) {
	var state [1]byte

	if _, err := io.ReadFull(t.conn, state[:]); err != nil {
		return 0, fmt.Errorf("hearing iperf3's state: %w", err)
	}

	return state[0], nil
}

func (t *iperfTest) readJSON() ([]byte, error) { return readIperfJSON(t.conn) }

// readIperfJSON reads a message behind its length.
func readIperfJSON(r io.Reader) ([]byte, error) {
	var size uint32

	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, fmt.Errorf("reading a message of iperf3: %w", err)
	}

	if size == 0 || size > iperfMaxJSON {
		return nil, fmt.Errorf("reading a message of iperf3: %d bytes, %d at most", size, iperfMaxJSON)
	}

	raw := make([]byte, size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("reading a message of iperf3: %w", err)
	}

	return raw, nil
}

func (t *iperfTest) writeJSON(message any) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("writing a message of iperf3: %w", err)
	}

	framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...) //nolint:gosec // of at most 32 streams
	if _, err := t.conn.Write(framed); err != nil {
		return fmt.Errorf("writing a message of iperf3: %w", err)
	}

	return nil
}
