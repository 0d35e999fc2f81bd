package tftp_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/netboot/tftp"
)

func TestOnlyAClientThatAnswersAtOnceIsWaitedForAwake(t *testing.T) {
	const us = time.Microsecond

	for name, c := range map[string]struct {
		rtts []time.Duration
		want time.Duration
	}{
		"nothing is known yet":         {nil, 0},
		"as long as it may well take":  {[]time.Duration{20 * us}, 60 * us},
		"never longer than the most":   {[]time.Duration{100 * us}, tftp.MostAwake},
		"a client that takes its time": {[]time.Duration{300 * us}, 0},
		"one that has become slow":     {slices.Repeat([]time.Duration{20 * us, 2000 * us}, 4), 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tftp.Soon(c.rtts...); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAnEarStaysAwakeForAWhile(t *testing.T) {
	const us = time.Microsecond

	for name, c := range map[string]struct {
		awake, since, woken time.Duration
		want                bool
	}{
		"never":                    {0, 0, 0, false},
		"at first":                 {time.Minute, 0, 0, true},
		"until its time is over":   {100 * us, 200 * us, 200 * us, false},
		"until it is others' turn": {time.Minute, 0, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tftp.Stays(c.awake, c.since, c.woken); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}

// Two servers of one card, of IPv4 and IPv6, share its processors.
func TestAServerIsNotAloneBesideAnother(t *testing.T) {
	var busy atomic.Int64

	four, six := tftp.New(tftp.Config{Busy: &busy}), tftp.New(tftp.Config{Busy: &busy})
	a, b := netip.MustParseAddrPort("10.77.0.10:1024"), netip.MustParseAddrPort("[fe80::1]:1024")

	tftp.Enter(four, a)

	if !tftp.Alone(four) {
		t.Error("one transfer is not alone")
	}

	tftp.Enter(six, b)

	if tftp.Alone(four) || tftp.Alone(six) {
		t.Error("one of two transfers is alone")
	}

	tftp.Leave(four, a)

	if !tftp.Alone(six) {
		t.Error("the one that is left is not alone")
	}
}

// A client that answers at once, and then not at all, costs no processor.
func TestSilenceIsSleptThrough(t *testing.T) {
	const blocks = 200

	for name, window := range map[string]int{"lock-step": 1, "a window": 4} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, map[string][]byte{"f": bulk(2 * blocks * 512)})
			c := w.client(known)
			c.ask("f", "octet", "windowsize", strconv.Itoa(window))
			c.hear()
			c.ack(0)

			for block := 1; block <= blocks; block++ {
				if c.hear(); block%window == 0 {
					c.ack(block)
				}
			}

			for range window {
				c.hear()
			}

			begun, before := time.Now(), used(t)

			for range 4 * window { // after 50, 100, 200 and 400 ms
				c.hear()
			}

			if took, spent := time.Since(begun), used(t)-before; spent > took/2 {
				t.Errorf("%s of processor time in %s", spent, took)
			}
		})
	}
}

// An acknowledgement that goes further makes up for the repeated one that came before it,
// while a window was made up.
func TestOnlyTheLastAcknowledgementThatIsThereCounts(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(8 * 512)})
	reads, open := make(chan int64), make(chan struct{})
	c := w.client(known)

	w.gateWith(func(at int64) {
		select {
		case reads <- at:
		case <-open:
		case <-t.Context().Done():
		}
	})

	c.ask("f", "octet", "windowsize", "2")
	c.hear()
	c.ack(0)

	// The window, and again, since nobody answers.
	for _, block := range []int64{1, 2, 1} {
		if at := <-reads; at != (block-1)*512 {
			t.Fatalf("reads from %d, want block %d", at, block)
		}
	}

	c.ack(0)
	c.ack(2)
	close(open)

	var heard []byte
	for !bytes.HasSuffix(heard, []byte{3, 4}) {
		heard = append(heard, c.hear()[3])
	}

	if !bytes.Equal(heard, []byte{1, 2, 1, 2, 3, 4}) {
		t.Errorf("heard blocks %d", heard)
	}
}

// used is the processor time of this process.
func used(t *testing.T) time.Duration {
	t.Helper()

	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}

	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
