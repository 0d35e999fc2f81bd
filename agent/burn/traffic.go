package burn

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Exchange is what came of frames that were sent and received.
type Exchange struct {
	Sent, SentBad         int
	Received, ReceivedBad int
	Bytes                 uint64 // both ways
	Took                  time.Duration
	Ahead                 time.Duration // of the appliance's clock before ours
}

// Traffic is what came of all exchanges.
type Traffic struct {
	Exchanges int
	Failed    int // that came to no end
	LastError string
	Damaged   int // of them: TLS found that what came was not what was sent
	Frames    int
	Bad       int
	Bytes     uint64
	Busy      time.Duration // within exchanges
	clock     drift
}

const (
	perExchange = 256 // frames, 4 MiB each way
	// pumpShare is how much of the machine's CPU time exchanges may take, in percent: the
	// agent runs before its workers, and where encryption is slow it would be all that
	// works.
	pumpShare  = 10
	frameBits  = 16 << 10 * 8
	afterFault = 2 * time.Second
	// badRecord is what crypto/tls calls a record whose authentication fails.
	badRecord = "bad record MAC"
)

// traffic exchanges frames until ctx ends, no faster than it may.
func (b *burn) traffic(ctx context.Context) {
	if b.Partner == nil || b.Mbps <= 0 {
		return
	}

	var t Traffic

	pace := time.Duration(float64(2*perExchange*frameBits) / (float64(b.Mbps) * 1e6) * float64(time.Second))

	for n := uint64(0); ctx.Err() == nil; n++ {
		begin, used := time.Now(), cpuTime()
		x, err := b.Partner(ctx, b.Seed+n, perExchange)

		if ctx.Err() != nil {
			break
		}

		wait := max(pace, b.fair(cpuTime()-used)) - time.Since(begin)

		if err != nil {
			t.fail(err)

			wait = afterFault
		} else {
			t.add(&x)
			t.Compare(time.Since(b.begin), x.Ahead)
		}

		b.set(func(o *Outcome) { o.Net = t })

		select {
		case <-ctx.Done():
		case <-time.After(max(0, wait)):
		}
	}
}

// fair is how much time must pass for each exchange that took so much CPU time.
func (b *burn) fair(used time.Duration) time.Duration {
	return used * 100 / pumpShare / time.Duration(max(1, len(b.Threads)))
}

// cpuTime is how much CPU time this process has had; what is not told is nothing.
func cpuTime() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}

	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func (t *Traffic) fail(err error) {
	t.Failed++
	t.LastError = err.Error()

	if strings.Contains(t.LastError, badRecord) {
		t.Damaged++
	}
}

func (t *Traffic) add(x *Exchange) {
	t.Exchanges++
	t.Frames += x.Sent + x.Received
	t.Bad += x.SentBad + x.ReceivedBad
	t.Bytes += x.Bytes
	t.Busy += x.Took
}

// Compare notes that the appliance's clock was so much ahead of ours at a moment of
// the burn.
func (t *Traffic) Compare(at, ahead time.Duration) { t.clock.note(at, ahead) }

// Drift is by how much our clock falls behind the appliance's, in seconds an hour;
// negative: it runs ahead. known says whether it was watched for long enough.
func (t *Traffic) Drift() (seconds float64, known bool) { return t.clock.rate() }

// drift compares two clocks.
type drift struct {
	first, last  time.Duration // when, since the burn began
	begun, ended time.Duration // what the other was ahead then
	n            int
}

func (d *drift) note(at, ahead time.Duration) {
	if d.n == 0 {
		d.first, d.begun = at, ahead
	}

	d.last, d.ended = at, ahead
	d.n++
}

func (d *drift) rate() (seconds float64, known bool) {
	const enough = 10 * time.Minute

	passed := d.last - d.first

	return (d.ended - d.begun).Seconds() / max(passed.Hours(), 1e-9), passed >= enough
}
