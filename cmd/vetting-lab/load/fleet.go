//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/agent"
	"vetting/agent/wire"
)

// Fleet is a crowd of simulated hosts with our agent's client: each leases its
// address, fetches script and seed, says hello, claims its run, and from then on
// sends a batch of samples every second and a heartbeat at every interval.
type Fleet struct {
	Interface string
	Server    netip.Addr // the appliance, on the interface's network
	Bits      int        // length of that network
	Hosts     int        // MAC(0) and on; each with a run that waits for its boot
	Samples   int        // per batch
	Beat      time.Duration
	Warm      time.Duration // of load before anything is measured
	Duration  time.Duration // of what is measured
	PID       int           // of the appliance: its own use of processor and memory
	Bare      string        // SPKI pin of a Bare server at Server:443, in place of an appliance; empty: an appliance
}

// FleetResult is what came of it. Latencies are of whole calls, in milliseconds.
type FleetResult struct {
	Hosts    int     `json:"hosts"`
	Batches  int     `json:"batches"` // acknowledged, of those measured
	Samples  int     `json:"samples"`
	Refused  int64   `json:"refused"` // calls that failed
	Late     int64   `json:"late"`    // batches that were due while the one before was under way
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	CPU      float64 `json:"cpu"` // of one core, 0 to 1
	Resident int64   `json:"resident_bytes"`
	Total    uint64  `json:"total_samples"` // acknowledged since the claims, measured or not
}

// fleet is a Fleet under way.
type fleet struct {
	Fleet

	refused, late atomic.Int64
	measuring     atomic.Bool
	samples       atomic.Int64
	hosts         []*member
}

// member is one simulated host.
type member struct {
	client *agent.Client
	token  string
	seq    uint64
	phase  time.Duration // of its second, so that hosts do not speak in chorus
	took   []time.Duration
}

// Run boots the crowd, loads the appliance and measures.
func (f Fleet) Run(ctx context.Context) (FleetResult, error) {
	crowd := &fleet{Fleet: f}

	meet := func() error { return crowd.boot(ctx) }
	if f.Bare != "" {
		meet = crowd.meetBare
	}

	if err := meet(); err != nil {
		return FleetResult{}, err
	}

	total := f.Warm + f.Duration
	group, ctx := errgroup.WithContext(ctx)
	end := time.Now().Add(total)

	for _, host := range crowd.hosts {
		group.Go(func() error { return crowd.talk(ctx, host, end) })
	}

	var before, after usage

	group.Go(func() (err error) {
		if before, err = crowd.measureAfter(ctx, f.Warm); err != nil {
			return err
		}

		crowd.measuring.Store(true)

		after, err = crowd.measureAfter(ctx, f.Duration-time.Second)
		crowd.measuring.Store(false)

		return err
	})

	if err := group.Wait(); err != nil {
		return FleetResult{}, err
	}

	return crowd.result(before, after), nil
}

// boot takes every host as far as its claim.
func (f *fleet) boot(ctx context.Context) error {
	f.hosts = make([]*member, f.Hosts)

	addrs := make([]netip.Addr, f.Hosts)
	for i := range addrs {
		addr, err := Lease(ctx, f.Interface, hardware(i))
		if err != nil {
			return fmt.Errorf("leasing an address for %s: %w", MAC(i), err)
		}

		addrs[i] = addr
	}

	if err := addAddresses(f.Interface, addrs, f.Bits); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)

	for i := range f.hosts {
		group.Go(func() (err error) {
			f.hosts[i], err = f.claim(ctx, i, addrs[i])

			return err
		})
	}

	return group.Wait()
}

// claim says hello and claims the run that waits for host i.
func (f *fleet) claim(ctx context.Context, i int, addr netip.Addr) (*member, error) {
	seed, err := fetchSeed(ctx, f.Server, addr, MAC(i))
	if err != nil {
		return nil, fmt.Errorf("fetching the seed of %s: %w", MAC(i), err)
	}

	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)), Timeout: 10 * time.Second}

	client, err := agent.NewClient(seed, dialer.DialContext)
	if err != nil {
		return nil, err
	}

	boot := fmt.Sprintf("b0071d00-0000-4000-8000-%012d", i)

	if _, err := client.Hello(ctx, seed.BootToken, wire.Hello{
		ProtocolVersion: wire.Version, AgentVersion: "load", MAC: seed.MAC, IP: addr.String(), BootID: boot,
		Kernel: "simulated", Firmware: "uefi", ImageID: seed.ImageID,
	}); err != nil {
		return nil, err
	}

	claimed, err := client.Claim(ctx, seed.BootToken, wire.Claim{BootID: boot, Identity: wire.Identity{
		SMBIOSUUID: fmt.Sprintf("4c4c4544-0051-4810-8031-%012d", i), BoardSerial: fmt.Sprintf("FLEET%06d", i), MACs: []string{seed.MAC},
	}})
	if err != nil {
		return nil, err
	}

	return f.newMember(i, client, claimed.SessionToken), nil
}

func (f *fleet) newMember(i int, client *agent.Client, token string) *member {
	return &member{client: client, token: token, phase: time.Second * time.Duration(i) / time.Duration(f.Hosts)}
}

// talk sends batches and beats until end.
func (f *fleet) talk(ctx context.Context, m *member, end time.Time) error {
	timer := time.NewTimer(m.phase)
	defer timer.Stop()

	due := time.Now().Add(m.phase)
	beat := due.Add(m.phase * time.Duration(f.Beat.Seconds()))

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}

		if time.Now().After(end) {
			return nil
		}

		f.send(ctx, m, due)

		if !due.Before(beat) {
			f.beat(ctx, m)

			beat = beat.Add(f.Beat)
		}

		due = due.Add(time.Second)
		for time.Now().After(due) {
			f.late.Add(1)

			due = due.Add(time.Second)
		}

		timer.Reset(time.Until(due))
	}
}

// send hands a batch over; a refused one is sent no more.
func (f *fleet) send(ctx context.Context, m *member, now time.Time) {
	m.seq++
	batch := wire.SensorBatch{Seq: m.seq}

	for i := range f.Samples {
		value := 40 + float64((m.seq*7+uint64(i)*13)%100)/10 //nolint:gosec // a count fits
		batch.Samples = append(batch.Samples, wire.Sample{
			Time: wire.At(now), Key: fmt.Sprintf("cpu/core%d/temperature_celsius", i), Value: &value, Unit: "celsius", Stage: "InventoryCheck",
		})
	}

	begin := time.Now()
	_, err := m.client.Sensor(ctx, m.token, batch)
	if err != nil {
		f.refused.Add(1)

		return
	}

	f.samples.Add(int64(f.Samples))

	if f.measuring.Load() {
		m.took = append(m.took, time.Since(begin))
	}
}

func (f *fleet) beat(ctx context.Context, m *member) {
	if _, err := m.client.Heartbeat(ctx, m.token, wire.Heartbeat{Stage: "InventoryCheck", Progress: 0.5}); err != nil {
		f.refused.Add(1)
	}
}

// result sums up.
func (f *fleet) result(before, after usage) FleetResult {
	var took []time.Duration
	for _, m := range f.hosts {
		took = append(took, m.took...)
	}

	slices.Sort(took)

	at := func(share float64) float64 {
		if len(took) == 0 {
			return 0
		}

		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}

	seconds := after.at.Sub(before.at).Seconds()

	return FleetResult{
		Hosts: f.Hosts, Batches: len(took), Samples: len(took) * f.Samples, Refused: f.refused.Load(), Late: f.late.Load(),
		P50: at(0.5), P99: at(0.99), Max: at(1), CPU: (after.cpu - before.cpu).Seconds() / seconds, Resident: after.resident,
		Total: uint64(f.samples.Load()), //nolint:gosec // it only grows
	}
}

// errNoSeed tells a host without a waiting run.
var errNoSeed = errors.New("the boot script names no seed; does a run wait for this host?")

// seedPath finds the seed in a boot script.
func seedPath(script string) (string, error) {
	_, rest, found := strings.Cut(script, "/seed/")
	if !found {
		return "", errNoSeed
	}

	name, _, _ := strings.Cut(strings.Fields(rest)[0], " ")

	return "/seed/" + name, nil
}
