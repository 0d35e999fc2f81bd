package httpboot_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"vetting/netboot/httpboot"
)

// storm has n machines ask for the script at once, each again when it is told to, and
// load for a while once it may. It returns who was admitted, in order, and when the last
// was done. The clock is the test's own.
func storm(t *testing.T, q *httpboot.Queue, n int, load time.Duration) (order []int, took time.Duration) {
	t.Helper()

	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	asks := make([]time.Time, n) // when each asks next
	done := make([]time.Time, n)
	loading := 0

	for i := range asks {
		asks[i] = start.Add(time.Duration(i) * time.Millisecond)
	}

	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(1 + i/200), byte(1 + i%200)}) }

	for now := start; now.Before(start.Add(time.Hour)); now = now.Add(time.Millisecond) {
		for i := range n {
			switch {
			case asks[i].Equal(now):
				after := q.Enter(addr(i), now)
				if after > 0 {
					asks[i] = now.Add(after)

					continue
				}

				order = append(order, i)
				done[i] = now.Add(load)

				if loading++; loading > q.Places() {
					t.Fatalf("%d machines load at once, there are %d places", loading, q.Places())
				}
			case done[i].Equal(now):
				q.Leave(addr(i))
				loading--

				if took = now.Sub(start); len(order) == n && loading == 0 {
					return order, took
				}
			}
		}
	}

	t.Fatalf("after an hour %d of %d were served", len(order), n)

	return nil, 0
}

// 256 machines are switched on at once, on a card of 1 Gbit/s: each loads 44 MB, twelve
// at a time in 4.8 s. All are served, none twice, none overtaken by more than the few
// that asked between its turn and its next question.
func TestAWholeRackIsServedInTheOrderInWhichItCame(t *testing.T) {
	const machines = 256

	q := httpboot.NewQueue(1000)

	var before, after runtime.MemStats

	runtime.ReadMemStats(&before)
	order, took := storm(t, q, machines, 4800*time.Millisecond)
	runtime.ReadMemStats(&after)

	ideal := time.Duration(machines/q.Places()+1) * 4800 * time.Millisecond
	t.Logf("%d machines in %s, %s would be the least; %d KiB allocated", machines, took, ideal, (after.TotalAlloc-before.TotalAlloc)>>10)

	sorted := slices.Sorted(slices.Values(order))
	for i, machine := range sorted {
		if machine != i {
			t.Fatalf("served were %v", order)
		}
	}

	if 2*took > 3*ideal {
		t.Errorf("it took %s, more than one and a half times %s", took, ideal)
	}

	worst := 0
	for turn, machine := range order {
		worst = max(worst, turn-machine, machine-turn)
	}

	t.Logf("furthest from its turn: %d places", worst)

	if worst > 2*q.Places() {
		t.Errorf("a machine was %d places from its turn", worst)
	}
}

func TestPlacesGoBackWhenAMachineIsLost(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	q := httpboot.NewQueue(100)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(10 + i)}) }

	for i := range q.Places() {
		if q.Enter(addr(i), now) != 0 {
			t.Fatalf("machine %d of %d waits", i, q.Places())
		}
	}

	last := q.Places()
	if q.Enter(addr(last), now) == 0 || q.Enter(addr(last+1), now) == 0 {
		t.Fatal("one too many is admitted")
	}

	if q.Enter(addr(0), now) != 0 {
		t.Error("one that begins anew has lost its place")
	}

	// The first in the line has gone for good: it holds up the next no longer than it
	// takes to know.
	q.Leave(addr(0))

	if q.Enter(addr(last+1), now.Add(4*time.Second)) == 0 {
		t.Error("the second in the line overtakes the first")
	}

	if q.Enter(addr(last+1), now.Add(30*time.Second)) != 0 {
		t.Error("the first has gone, and the second still waits")
	}

	// Machines that never finish give their places back.
	if q.Enter(addr(last+2), now.Add(time.Minute)) == 0 {
		t.Error("there was no place")
	}

	if q.Enter(addr(last+2), now.Add(4*time.Minute)) != 0 {
		t.Error("the places of lost machines are lost")
	}
}

func TestPlacesFollowTheCard(t *testing.T) {
	for megabits, want := range map[int]int{0: 12, 10: 4, 100: 4, 1000: 12, 10000: 120, 25000: 256, 100000: 256} {
		if got := httpboot.NewQueue(megabits).Places(); got != want {
			t.Errorf("%d Mbit/s: %d places, want %d", megabits, got, want)
		}
	}
}

// Over the wire: 503 with the time to wait, in whole seconds, and the script afterwards.
func TestAMachineWaitsInItsBootProgram(t *testing.T) {
	w := serve(t)

	for i := range 12 {
		w.server.Occupy(netip.AddrFrom4([4]byte{10, 77, 0, byte(100 + i)}), time.Now())
	}

	r := w.ask(vetted, "GET", "/ipxe/"+string(vettedMAC))
	if seen := w.seen(); r.StatusCode != 503 || r.Header.Get("Retry-After") != "2" || w.armed != 0 || seen == "" {
		t.Fatalf("answered %d %v, armed %d times, seen %q", r.StatusCode, r.Header, w.armed, seen)
	}

	if r := w.ask(idle, "GET", "/ipxe/52:54:00:00:00:02"); r.StatusCode != 200 {
		t.Errorf("a machine that loads nothing is answered %d", r.StatusCode)
	}

	w.server.Vacate(netip.AddrFrom4([4]byte{10, 77, 0, 100}))

	if r := w.ask(vetted, "GET", "/ipxe/"+string(vettedMAC)); r.StatusCode != 200 || w.armed != 1 {
		t.Errorf("at its turn it is answered %d, armed %d times", r.StatusCode, w.armed)
	}

	// With its seed it has all.
	w.ask(vetted, "GET", "/seed/abcdef.cpio")

	if fmt.Sprint(w.server.Loading()) != "11" {
		t.Errorf("%d places are taken", w.server.Loading())
	}
}

// An iPXE before 2016 takes being told to wait for a failure, and its machine begins anew:
// the second time it is let in, past the line. One that was not told so is not.
func TestABootProgramThatCannotWaitIsLetInWhenItComesBack(t *testing.T) {
	q := httpboot.NewQueue(100)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}) }

	for i := range q.Places() {
		q.Enter(addr(1+i), now)
	}

	first, old, fresh := addr(100), addr(101), addr(102)
	if q.Enter(first, now) == 0 || q.Enter(old, now) == 0 {
		t.Fatal("there is no line")
	}

	q.Restarted(old)
	q.Restarted(fresh)

	later := now.Add(90 * time.Second)
	for i := range q.Places() {
		q.Enter(addr(1+i), later) // still at it
	}

	if q.Enter(fresh, later) == 0 {
		t.Error("one that came for the first time was let in")
	}

	if after := q.Enter(old, later); after != 0 {
		t.Errorf("the one that cannot wait is to wait %s more", after)
	}
}

// 40 are switched on at once, 28 wait, and the operator cancels: those that waited begin anew
// and never ask for the image again. They keep nobody out of the places that are free.
func TestMachinesThatNoLongerWantTheImageShutNobodyOut(t *testing.T) {
	const machines = 40

	q := httpboot.NewQueue(1000)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}) }

	for i := range machines {
		if after := q.Enter(addr(1+i), now); (after > 0) != (i >= q.Places()) {
			t.Fatalf("machine %d is to wait %s", i, after)
		}
	}

	for i := range machines {
		q.Leave(addr(1 + i))
		q.Restarted(addr(1 + i))
	}

	for i := range q.Places() {
		if after := q.Enter(addr(100+i), now.Add(time.Minute)); after != 0 {
			t.Fatalf("new machine %d is to wait %s, and nobody loads", i, after)
		}
	}

	if q.Enter(addr(200), now.Add(time.Minute)) == 0 {
		t.Error("one more than there are places for is let in")
	}
}

// However often a machine begins anew, it is expected for as long as firmware takes once.
func TestAMachineThatBeginsAnewAgainAndAgainIsForgotten(t *testing.T) {
	q := httpboot.NewQueue(100)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}) }

	for i := range q.Places() {
		q.Enter(addr(1+i), now)
	}

	if q.Enter(addr(100), now) == 0 {
		t.Fatal("there is no line")
	}

	for range 20 {
		q.Restarted(addr(100))
	}

	later := now.Add(4 * time.Minute)
	for i := range q.Places() {
		q.Enter(addr(1+i), later)
	}

	if q.Enter(addr(100), later) == 0 {
		t.Error("its turn is kept for ever")
	}
}

// A run that is cancelled while its machine waits takes the machine out of the line.
func TestAMachineWhoseRunIsCancelledLeavesTheLine(t *testing.T) {
	w := serve(t)

	for i := range 12 {
		w.server.Occupy(netip.AddrFrom4([4]byte{10, 77, 0, byte(100 + i)}), time.Now())
	}

	if r := w.ask(vetted, "GET", "/ipxe/"+string(vettedMAC)); r.StatusCode != 503 || w.server.Waiting() != 1 {
		t.Fatalf("answered %d, %d wait", r.StatusCode, w.server.Waiting())
	}

	w.mu.Lock()
	w.cancelled = true
	w.mu.Unlock()

	if r := w.ask(vetted, "GET", "/ipxe/"+string(vettedMAC)); r.StatusCode != 200 || w.server.Waiting() != 0 {
		t.Errorf("answered %d, %d wait", r.StatusCode, w.server.Waiting())
	}
}

// GRUB opens all files, the seed last, and then reads them: its place is given back when
// the image was read.
func TestGRUBKeepsItsPlaceUntilItHasTheImage(t *testing.T) {
	w := serve(t)
	grub := "User-Agent: GRUB 2.12"

	w.ask(vetted, "GET", "/grub/grub.cfg", grub)
	w.ask(vetted, "GET", "/seed/self.cpio", grub)

	if n := w.server.Loading(); n != 1 {
		t.Fatalf("after the seed %d places are taken", n)
	}

	w.ask(vetted, "GET", "/boot/modules.cpio", grub)

	for end := time.Now().Add(5 * time.Second); w.server.Loading() != 0 && time.Now().Before(end); {
		runtime.Gosched()
	}

	if n := w.server.Loading(); n != 0 {
		t.Errorf("after the image %d places are taken", n)
	}
}
