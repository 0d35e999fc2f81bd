package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/problem"
)

// Bounds of what strangers on the wire can make us remember.
const (
	maxSightings = 512 // machines seen that are not registered; the longest unseen goes
	maxTrace     = 200 // steps kept of a host's boots
	maxPending   = 64  // steps of one machine between two writes
	maxAlarms    = 16  // likewise, alarms about the network as a whole
	maxTraces    = 64  // hosts whose traces are written at a time: of a crowd that boots at once all would keep leases from the disk
)

// witness gathers what was seen until it is taken down. Only Run uses it.
type witness struct {
	steps    map[core.MAC][]core.BootStep // by primary MAC of registered hosts
	strange  map[core.MAC]*core.Sighting  // seen since the last write
	lastSeen map[core.MAC]time.Time       // every sighting in the ledger
	alarms   []core.BootStep              // of no machine: about the network as a whole
	ported   map[core.MAC]time.Time       // when it was told that a host asks from another port
}

func newWitness() *witness {
	return &witness{
		steps: map[core.MAC][]core.BootStep{}, strange: map[core.MAC]*core.Sighting{}, lastSeen: map[core.MAC]time.Time{}, ported: map[core.MAC]time.Time{},
	}
}

// Witness takes down what was seen of a boot. It never blocks: under a flood the
// newest steps are lost.
func (e *Engine) Witness(step core.BootStep) {
	e.queueStep(step)

	if host := e.index.known(step.MAC); host != "" {
		e.learn(host, &step)
	}
}

func (e *Engine) queueStep(step core.BootStep) {
	select {
	case e.steps <- step:
	default:
	}
}

// drainSteps takes in what is queued.
func (e *Engine) drainSteps() {
	for range cap(e.steps) {
		select {
		case step := <-e.steps:
			e.witness.add(step, e.index.known(step.MAC))
		default:
			return
		}
	}
}

// add takes a step in; host is the primary MAC of a registered host, or "".
func (w *witness) add(step core.BootStep, host core.MAC) {
	step.Kind, step.Detail = clip(step.Kind, maxWord), clip(step.Detail, maxWord)
	step.Client.Vendor, step.Client.UUID = clip(step.Client.Vendor, maxWord), clip(step.Client.UUID, maxWord)

	if host != "" {
		w.steps[host] = append(w.steps[host], step)
		w.steps[host] = w.steps[host][max(0, len(w.steps[host])-maxPending):]

		return
	}

	if step.MAC == "" {
		if step.Code != "" && len(w.alarms) < maxAlarms {
			w.alarms = append(w.alarms, step)
		}

		return
	}

	s := w.strange[step.MAC]
	if s == nil {
		if _, err := core.ParseMAC(string(step.MAC)); err != nil || len(w.strange) >= maxSightings {
			return
		}

		s = &core.Sighting{MAC: step.MAC, FirstSeen: step.Time}
		w.strange[step.MAC] = s
	}

	s.LastSeen = step.Time
	s.Count++

	if step.Client.Vendor != "" {
		s.Vendor = step.Client.Vendor
	}

	if step.Client.UUID != "" {
		s.UUID = step.Client.UUID
	}

	if arch := archName(step.Client); arch != "" {
		s.Arch = arch
	}
}

// archName names DHCP option 93 (IANA "Processor Architecture Types").
func archName(c core.BootClient) string {
	if c.Kind == "" {
		return ""
	}

	names := map[int]string{
		0: "bios", 6: "uefi-ia32", 7: "uefi-x64", 9: "uefi-x64", 10: "uefi-arm32", 11: "uefi-arm64",
		15: "http-ia32", 16: "http-x64", 18: "http-arm32", 19: "http-arm64",
	}

	if name, ok := names[c.Arch]; ok {
		return name
	}

	if c.Arch < 0 {
		return ""
	}

	return fmt.Sprintf("arch-%d", c.Arch)
}

// load reads which machines were seen before.
func (w *witness) load(ctx context.Context, ledger core.Ledger) error {
	return ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableSighting, core.Query{}, func(key string, decode func(any) error) error {
			var s core.Sighting
			if err := decode(&s); err != nil {
				return err
			}

			w.lastSeen[core.MAC(key)] = s.LastSeen

			return nil
		})
	})
}

// takeDown writes what was gathered. On failure it is kept for the next time.
func (e *Engine) takeDown(ctx context.Context) {
	w := e.witness
	if len(w.steps) == 0 && len(w.strange) == 0 && len(w.alarms) == 0 {
		return
	}

	now := w.turn()

	var ported, forget []core.MAC

	err := e.write(ctx, func(c *change) (err error) {
		for _, mac := range now {
			if err := c.trace(mac, w.steps[mac]); err != nil {
				return err
			}
		}

		for _, a := range w.alarms {
			if err := c.notice("", "", a.Code, a.Detail); err != nil {
				return err
			}
		}

		if ported, err = c.sightings(w); err != nil {
			return err
		}

		if forget, err = c.longestUnseen(w); err != nil {
			return err
		}

		for _, mac := range forget {
			if err := c.Delete(core.TableSighting, string(mac)); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		e.Log.Error("boot steps cannot be written", slog.String("error", err.Error()))

		return
	}

	w.written(now, forget)

	for _, mac := range ported {
		w.ported[mac] = e.Clock.Now()
	}
}

// sightings writes down who was seen, and returns which hosts that told of.
func (c *change) sightings(w *witness) (ported []core.MAC, err error) {
	for _, mac := range slices.Sorted(maps.Keys(w.strange)) {
		if err := c.sight(*w.strange[mac]); err != nil {
			return nil, err
		}
	}

	return c.otherPorts(w)
}

// otherPorts tells of strangers that have the identity of a host: its firmware boots from a
// port that nobody has registered. Whoever sends such a packet chooses what it says, so a host
// is told of once an hour.
func (c *change) otherPorts(w *witness) (told []core.MAC, err error) {
	const pause = time.Hour

	asks := map[string]*core.Sighting{}

	for _, mac := range slices.Sorted(maps.Keys(w.strange)) {
		if s := w.strange[mac]; s.UUID != "" {
			asks[strings.ToLower(s.UUID)] = s
		}
	}

	if len(asks) == 0 {
		return nil, nil
	}

	err = c.Scan(core.TableHost, core.Query{}, func(_ string, decode func(any) error) error {
		var host core.Host
		if err := decode(&host); err != nil {
			return err
		}

		s := asks[strings.ToLower(host.Identity.SMBIOSUUID)]
		if s == nil || c.now.Sub(w.ported[host.MAC]) < pause {
			return nil
		}

		told = append(told, host.MAC)

		return c.notice(host.MAC, host.CurrentRun, problem.HostOtherPort, fmt.Sprintf(
			"%s asks from a port that is not registered, %s, and is not answered there; it is known by %s", host.Name, s.MAC, host.MAC))
	})

	return told, err
}

// written forgets what is in the ledger now.
func (w *witness) written(hosts, forgotten []core.MAC) {
	for mac, s := range w.strange {
		w.lastSeen[mac] = s.LastSeen
	}

	for _, mac := range forgotten {
		delete(w.lastSeen, mac)
	}

	for _, mac := range hosts {
		delete(w.steps, mac)
	}

	clear(w.strange)

	w.alarms = w.alarms[:0]
}

// turn picks the hosts whose steps are written now: those whose first one waits longest.
func (w *witness) turn() []core.MAC {
	all := slices.SortedFunc(maps.Keys(w.steps), func(a, b core.MAC) int {
		if c := w.steps[a][0].Time.Compare(w.steps[b][0].Time); c != 0 {
			return c
		}

		return strings.Compare(string(a), string(b))
	})

	return all[:min(len(all), maxTraces)]
}

// longestUnseen picks what must go for the new sightings to fit. Machines that are
// ignored stay: forgotten, they would be back in the inbox.
func (c *change) longestUnseen(w *witness) ([]core.MAC, error) {
	fresh := 0

	var old []core.MAC

	for mac := range w.strange {
		if _, ok := w.lastSeen[mac]; !ok {
			fresh++
		}
	}

	over := len(w.lastSeen) + fresh - maxSightings
	if over <= 0 {
		return nil, nil
	}

	ignored, err := ignoredMachines(c)
	if err != nil {
		return nil, err
	}

	for mac := range w.lastSeen {
		if w.strange[mac] == nil && !ignored[mac] {
			old = append(old, mac)
		}
	}

	slices.SortFunc(old, func(a, b core.MAC) int {
		if c := w.lastSeen[a].Compare(w.lastSeen[b]); c != 0 {
			return c
		}

		return strings.Compare(string(a), string(b))
	})

	return old[:min(over, len(old))], nil
}

// elsewhere reports whether a step shows that the host runs something else than our
// agent: it was restarted since, and may be in use.
func elsewhere(s core.BootStep) bool {
	return s.Kind != "power" && s.Kind != "conflict" && s.Client.Kind != "" && s.Client.Kind != core.ClientAgent
}

// trace appends to the boot trace of a host, if it is still registered.
func (c *change) trace(mac core.MAC, steps []core.BootStep) error {
	var host core.Host

	switch err := c.Get(core.TableHost, string(mac), &host); {
	case errors.Is(err, core.ErrNotFound):
		return nil
	case err != nil:
		return err
	}

	if slices.ContainsFunc(steps, elsewhere) {
		if err := c.spare(&host); err != nil {
			return err
		}
	}

	var trace core.BootTrace

	err := c.Get(core.TableBoot, string(mac), &trace)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	trace.Steps = append(trace.Steps, steps...)
	trace.Steps = trace.Steps[max(0, len(trace.Steps)-maxTrace):]

	if err := c.countDisks(&host); err != nil {
		return err
	}

	trace.Ladder, trace.Homeward = c.engine.ladders.of(mac), c.engine.ladders.homeward(mac)

	if err := c.Put(core.TableBoot, string(mac), trace); err != nil {
		return err
	}

	return c.emit(core.EventBoot, mac, host.CurrentRun, core.BootTrace{Steps: steps})
}

// countDisks notes of a host whose next way to its own disk may be to start it whether it has
// several.
func (c *change) countDisks(host *core.Host) error {
	if c.engine.ladders.homeward(host.MAC).Way != core.HomeExit {
		return nil
	}

	inventory, err := c.inventoryOf(host.LastRun)
	if err == nil {
		c.engine.ladders.severalDisks(host.MAC, len(inventory.Disks) > 1)
	}

	return err
}

// diagnose says what is in the way of a host's last boot.
func (c *change) diagnose(mac core.MAC) (d bootdoctor.Diagnosis, ok bool, err error) {
	var trace core.BootTrace

	err = c.Get(core.TableBoot, string(mac), &trace)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return d, false, err
	}

	d, ok = bootdoctor.Diagnose(trace.Steps, c.now)

	return d, ok, nil
}

// sight adds to the record of a machine that is not registered.
func (c *change) sight(s core.Sighting) error {
	if _, err := c.host(s.MAC); !errors.Is(err, core.ErrNotFound) {
		return err // registered meanwhile: nothing to adopt
	}

	var old core.Sighting

	err := c.Get(core.TableSighting, string(s.MAC), &old)
	first := errors.Is(err, core.ErrNotFound)

	if err != nil && !first {
		return err
	}

	if !first {
		s.FirstSeen, s.Count = old.FirstSeen, s.Count+old.Count
		s.IgnoredAt, s.IgnoredBy = old.IgnoredAt, old.IgnoredBy
		s.Vendor, s.Arch, s.UUID = or(s.Vendor, old.Vendor), or(s.Arch, old.Arch), or(s.UUID, old.UUID)
	}

	if err := c.Put(core.TableSighting, string(s.MAC), s); err != nil || !first {
		return err
	}

	detail, err := json.Marshal(s)
	if err != nil {
		return err
	}

	return c.emit(core.EventBoot, s.MAC, "", core.BootTrace{Steps: []core.BootStep{{
		Time: s.LastSeen, MAC: s.MAC, Kind: "sighting", Detail: string(detail),
	}}})
}

func or(a, b string) string {
	if a != "" {
		return a
	}

	return b
}
