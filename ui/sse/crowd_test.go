package sse_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/sse"
)

// crowd is many readers of one hub, each on its own connection. All but the one
// that stalls note when each event came.
type crowd struct {
	*bench

	came chan moment
}

// moment is when a reader got the n-th event.
type moment struct {
	n  int
	at time.Time
}

// gather opens n streams that tell what happens from now on and, before them, one
// that begins with more than its sockets hold and never reads, if it stalls.
func gather(t *testing.T, n int, stalls bool) *crowd {
	t.Helper()

	caller := 0
	b := serve(t, func(c *sse.Config) { c.Stall, c.Heartbeat = 5*time.Minute, time.Minute }, func(c *fiber.Ctx) sse.Want {
		return sse.Want{Caller: c.Query("caller")} // else the limit of one caller counts
	})
	c := &crowd{bench: b, came: make(chan moment, 1<<20)}

	open := func(query string) net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(b.url, "http://"), "/events"))
		if err != nil {
			t.Fatal(err)
		}

		t.Cleanup(func() { _ = conn.Close() })

		caller++
		fmt.Fprintf(conn, "GET /events?caller=%d%s HTTP/1.1\r\nHost: x\r\n\r\n", caller, query)

		return conn
	}

	if stalls {
		for range 8 { // MiB
			b.fill(t)
		}

		if tcp, ok := open("&after=0").(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096)
		}
	}

	for range n {
		go c.listen(open(""))
	}

	if stalls {
		n++
	}

	wait(t, "all streams to open", func() bool { return b.hub.Open() == n })

	return c
}

// fill makes events of a MiB in all.
func (b *bench) fill(t *testing.T) {
	t.Helper()

	fat := json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)

	seq, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		for range 256 {
			if err := txn.Emit(core.Event{Kind: core.EventStage, Data: fat}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	b.bell.Ring(seq)
}

func (c *crowd) listen(conn net.Conn) {
	for scan := bufio.NewScanner(conn); scan.Scan(); {
		if _, n, found := strings.Cut(scan.Text(), `"number":`); found {
			if n, err := strconv.Atoi(strings.TrimRight(n, "}")); err == nil {
				c.came <- moment{n, time.Now()}
			}
		}
	}
}

// tell lets events happen, one at every pace, to n readers, and returns how long each
// took to each reader, sorted.
func (c *crowd) tell(t *testing.T, n, events int, pace time.Duration) (took []time.Duration) {
	t.Helper()

	began := make([]time.Time, events)

	for i := range events {
		began[i] = time.Now()

		seq, err := c.ledger.Update(t.Context(), func(txn core.Txn) error {
			return txn.Emit(core.Event{Kind: core.EventNotice, Data: json.RawMessage(fmt.Sprintf(`{"number":%d}`, i))})
		})
		if err != nil {
			t.Fatal(err)
		}

		c.bell.Ring(seq)
		time.Sleep(pace)
	}

	for range n * events {
		select {
		case m := <-c.came:
			took = append(took, m.at.Sub(began[m.n]))
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d readers' events came; nothing more within 30 s", len(took), n*events)
		}
	}

	slices.Sort(took)

	return took
}

// One reader who does not read delays none of the others, as many as there may be:
// its stream stands still in the middle of a write while they are told everything.
func TestAStalledReaderDelaysNoneOfACrowd(t *testing.T) {
	t.Parallel()

	const n = 1000

	c := gather(t, n, true)
	took := c.tell(t, n, 5, 10*time.Millisecond)

	if c.hub.Open() != n+1 {
		t.Errorf("%d streams are open: the stalled one did not stall, and this proves nothing", c.hub.Open())
	}

	t.Logf("half of the events came within %v, all within %v", took[len(took)/2], took[len(took)-1])
}
