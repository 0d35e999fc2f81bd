//go:build e2e

package netboot_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mdlayher/packet"

	"vetting/netboot/hostiletest"
)

func newHostile(t *testing.T, seed uint64) *hostiletest.Source {
	t.Helper()

	packets, err := hostiletest.Packets("dhcp/testdata/packets/*-discover-*.bin")
	if err != nil || len(packets) < 5 {
		t.Fatalf("found %d recorded packets (%v)", len(packets), err)
	}

	return hostiletest.New(seed, packets, net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1})
}

// flood sends frames from the rival's card, so many a second, until ctx ends, and returns
// how many it sent.
func (w *wire) flood(ctx context.Context, h *hostiletest.Source, rate int) (sent *atomic.Int64) {
	w.t.Helper()

	var conn *packet.Conn

	in(w.t, w.rival, func() {
		card, err := net.InterfaceByName("r0")
		if err == nil {
			conn, err = packet.Listen(card, packet.Raw, 0x88b5, nil) // hears nothing
		}

		if err != nil {
			w.t.Fatal(err)
		}
	})

	return h.Flood(ctx, conn, rate)
}

// garbage opens connections to boot HTTP as a stranger with an address, and says what is no
// HTTP, until ctx ends. It returns how many, and what of ours was read.
func (w *wire) garbage(ctx context.Context, h *hostiletest.Source) (opened, leaked *atomic.Int64, done *sync.WaitGroup) {
	w.t.Helper()
	w.must("ip", "-n", w.rival, "addr", "replace", "10.77.0.150/24", "dev", "r0")

	opened, leaked, done = &atomic.Int64{}, &atomic.Int64{}, &sync.WaitGroup{}
	lines := []string{"GET /boot/vmlinuz HTTP/1.1\r\n\r\n", "GET /seed/self.cpio HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n\r\n"}
	noise := string(h.Bytes(4000))

	for range 4 {
		done.Go(func() {
			in(w.t, w.rival, func() {
				for i := 0; ctx.Err() == nil; i++ {
					conn, err := net.DialTimeout("tcp", selfAddr+":80", time.Second)
					if err != nil {
						continue
					}

					opened.Add(1)

					_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
					_, _ = conn.Write([]byte(append(lines, noise)[i%(len(lines)+1)]))

					buf := make([]byte, 4096)
					if n, _ := conn.Read(buf); strings.Contains(string(buf[:n]), " 200 ") {
						leaked.Add(1)
					}

					_ = conn.Close()
				}
			})
		})
	}

	return opened, leaked, done
}

// resident is the most memory that the appliance had at a time, in MiB.
func (a *appliance) resident(t *testing.T) int {
	t.Helper()

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}

	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		t.Fatal("no VmHWM")
	}

	kib, _ := strconv.Atoi(string(match[1]))

	return kib >> 10
}

// A machine boots from its first DISCOVER to its seed while a station sends ten thousand
// hostile packets a second. FLOOD_SECONDS makes a campaign of it.
func TestAMachineBootsUnderAFlood(t *testing.T) {
	const rate = 10_000

	least := 4 * time.Second
	if s, err := strconv.Atoi(os.Getenv("FLOOD_SECONDS")); err == nil {
		least = time.Duration(s) * time.Second
	}

	w := newWire(t)
	said := w.spyOn("nb0", applianceMAC)
	a := w.start(order{Hosts: map[string]string{knownMAC: "vet"}})
	a.await(t, "ready", soon)

	var steps atomic.Int64

	go func() {
		for range a.steps {
			steps.Add(1)
		}
	}()

	before := a.resident(t)
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	sent := w.flood(ctx, newHostile(t, 1), rate)
	opened, leaked, done := w.garbage(ctx, newHostile(t, 2))
	boots := 0

	for time.Since(start) < least || boots == 0 {
		if took, ok := w.boot(); ok {
			boots++
			t.Logf("boot %d: from DISCOVER to the seed in %s", boots, took.Round(time.Millisecond))
		} else if time.Since(start) > least+2*soon {
			t.Error("the machine does not boot")

			break
		}
	}

	spent := time.Since(start)
	cancel()
	done.Wait()

	after := a.resident(t)
	t.Logf("%d hostile packets in %s, %.0f a second, and %d connections of garbage; %d boots; memory %d MiB at most, %d before; %d notes",
		sent.Load(), spent.Round(time.Millisecond), float64(sent.Load())/spent.Seconds(), opened.Load(), boots, after, before, steps.Load())

	if after-before > 64 {
		t.Errorf("memory grew by %d MiB", after-before)
	}

	// Notes of strangers are as few as people can read.
	if most := 200*int64(spent.Seconds()+1) + int64(boots)*100; steps.Load() > most {
		t.Errorf("%d notes were taken, more than %d", steps.Load(), most)
	}

	if leaked.Load() > 0 {
		t.Errorf("%d files were given to a stranger", leaked.Load())
	}

	client := ""

	for what, n := range said.heard() {
		to := what[strings.LastIndexByte(what, ' ')+1:]

		switch {
		case to == knownMAC || to == "10.77.0.150": // the machine; and refusals by HTTP
		case strings.HasPrefix(to, "10.77.0.") && (client == "" || client == to): // TFTP and HTTP to the one machine
			client = to
		default:
			t.Errorf("a stranger was answered: %s, %d times", what, n)
		}
	}

	select {
	case err := <-a.done:
		t.Errorf("the appliance ended: %v", err)
	default:
	}
}

// boot is all that a machine asks of the boot services: an address, its boot program, its
// script, and what that names.
func (w *wire) boot() (took time.Duration, ok bool) {
	start := time.Now()
	if addr := w.lease("-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007"); addr == "" {
		return 0, false
	}

	if _, err := w.try(soon, "curl", "-sSf", "-m", "8", "-o", "/dev/null", "tftp://"+selfAddr+"/snponly.efi"); err != nil {
		return 0, false
	}

	script, err := w.try(soon, "curl", "-sSf", "-m", "8", "http://"+selfAddr+"/ipxe/"+knownMAC)
	if err != nil {
		return 0, false
	}

	paths := regexp.MustCompile(`\$\{base\}(/(?:boot|seed)/\S+)`).FindAllStringSubmatch(script, -1)
	if len(paths) < 3 {
		return 0, false
	}

	for _, path := range paths {
		if _, err := w.try(soon, "curl", "-sSf", "-m", "8", "-o", "/dev/null", "http://"+selfAddr+path[1]); err != nil {
			return 0, false
		}
	}

	return time.Since(start), true
}
