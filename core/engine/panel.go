package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// A controller is slow and has few sessions: what it told is good for a while, and
// one that is being asked is not asked again meanwhile.
const (
	panelLife = 15 * time.Second
	maxPanels = 4 // controllers that are read at once

	// refusalLife is for how long one that refused the password is not asked again: most lock
	// their user out after a few tries in some minutes.
	refusalLife = 5 * time.Minute
)

// refusal is that a controller did not take the password.
type refusal struct {
	why   error
	until time.Time
}

// panels are those that controllers told a moment ago. Safe for concurrent use.
type panels struct {
	mu    sync.Mutex
	told  map[core.MAC]core.Panel
	asked map[core.MAC]bool
	wrong map[core.MAC]refusal
}

// begin returns what was told a moment ago, or reports that the controller may be asked.
func (p *panels) begin(mac core.MAC, now time.Time) (*core.Panel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	for other, panel := range p.told {
		if age := now.Sub(panel.At); age < 0 || age >= panelLife {
			delete(p.told, other)
		}
	}

	if panel, ok := p.told[mac]; ok {
		return &panel, nil
	}

	if p.asked[mac] || len(p.asked) >= maxPanels {
		return nil, core.NewProblem(core.ErrConflict, problem.PowerBusy, "Controllers are being read already; try again in half a minute.")
	}

	p.asked[mac] = true

	return nil, nil //nolint:nilnil // it is to be asked
}

// end takes what came of it; nil: nothing.
func (p *panels) end(mac core.MAC, panel *core.Panel) {
	p.mu.Lock()
	defer p.mu.Unlock()

	delete(p.asked, mac)

	if panel != nil {
		p.told[mac] = *panel
	}
}

// forget makes the next look ask again.
func (p *panels) forget(mac core.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()

	delete(p.told, mac)
}

// refused returns why a controller is not to be asked again yet.
func (p *panels) refused(mac core.MAC, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()

	no, ok := p.wrong[mac]
	if left := no.until.Sub(now); !ok || left <= 0 || left > refusalLife {
		delete(p.wrong, mac)

		return nil
	}

	return no.why
}

// refuse keeps that a controller did not take the password.
func (p *panels) refuse(mac core.MAC, why error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.wrong[mac] = refusal{why: why, until: now.Add(refusalLife)}
}

// forgive lets a controller be asked at once: what it is asked with has changed.
func (p *panels) forgive(mac core.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()

	delete(p.wrong, mac)
}

// LookAtController asks a host's management controller for its sensors and events, by
// Redfish or else by IPMI. While a run brings its host up, or is at firmware or power
// supplies, the controller is needed elsewhere: ErrConflict.
func (e *Engine) LookAtController(ctx context.Context, who string, mac core.MAC) (core.Panel, error) {
	host, err := e.controlled(ctx, mac)
	if err != nil {
		return core.Panel{}, err
	}

	told, err := e.panels.begin(host.MAC, e.Clock.Now())

	switch {
	case err != nil:
		return core.Panel{}, err
	case told != nil:
		return *told, nil
	}

	var panel *core.Panel
	defer func() { e.panels.end(host.MAC, panel) }()

	answer, err := e.askController(ctx, who, &host, core.PowerLook)
	if err != nil {
		return core.Panel{}, err
	}

	if answer.Panel == nil {
		return core.Panel{}, untold(&host, &answer)
	}

	tidy(answer.Panel)

	answer.Panel.At, answer.Panel.Tried = e.Clock.Now().UTC(), answer.Attempts
	panel = answer.Panel

	return *panel, nil
}

// TryController logs in at a host's management controller and asks whether the machine is on.
// What holds for LookAtController holds for it.
func (e *Engine) TryController(ctx context.Context, who string, mac core.MAC) (core.PowerAnswer, error) {
	host, err := e.controlled(ctx, mac)
	if err != nil {
		return core.PowerAnswer{}, err
	}

	told, err := e.panels.begin(host.MAC, e.Clock.Now())

	switch {
	case err != nil:
		return core.PowerAnswer{}, err
	case told != nil:
		return core.PowerAnswer{State: told.State, Attempts: told.Tried}, nil
	}

	defer e.panels.end(host.MAC, nil)

	return e.askController(ctx, who, &host, core.PowerStatus)
}

// LocateHost switches the light by which a machine is found on or off.
func (e *Engine) LocateHost(ctx context.Context, who string, mac core.MAC, on bool) error {
	host, err := e.controlled(ctx, mac)
	if err != nil {
		return err
	}

	op := core.PowerLocateOff
	if on {
		op = core.PowerLocate
	}

	answer, err := e.askController(ctx, who, &host, op)
	e.panels.forget(host.MAC)

	if err == nil && !answer.Worked() {
		err = untold(&host, &answer)
	}

	return err
}

// controlled is a host whose controller may be asked now.
func (e *Engine) controlled(ctx context.Context, mac core.MAC) (host core.Host, err error) {
	if _, p := e.index.find(mac); p != nil && p.run != nil && needsController(p.run.state) {
		return host, core.NewProblem(core.ErrConflict, problem.PowerBusy, fmt.Sprintf(
			"Run %s is in %s and needs the controller itself; ask again later.", p.run.id, p.run.state)).With("run", string(p.run.id))
	}

	return e.withController(ctx, mac)
}

// withController is a host that has one.
func (e *Engine) withController(ctx context.Context, mac core.MAC) (host core.Host, err error) {
	primary, p := e.index.find(mac)
	if p == nil {
		return host, noHost(mac)
	}

	err = e.Ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableHost, string(primary), &host) })
	if errors.Is(err, core.ErrNotFound) {
		return host, noHost(mac)
	}

	if err == nil && len(host.Power.Controllers()) == 0 {
		return host, core.NewProblem(core.ErrInvalid, problem.HostBadPower, fmt.Sprintf(
			"%s has no management controller; give its address, user and password.", host.Name))
	}

	return host, err
}

// needsController reports whether a run must have its controller for itself.
func needsController(s core.State) bool {
	return s.AwaitsBoot() || s == core.State(core.Firmware) || s == core.State(core.PSU)
}

// askController asks by each protocol until one answers, and takes down that it did.
func (e *Engine) askController(ctx context.Context, who string, host *core.Host, op core.PowerOp) (all core.PowerAnswer, err error) {
	if err := e.panels.refused(host.MAC, e.Clock.Now()); err != nil {
		return all, err
	}

	for _, way := range host.Power.Controllers() {
		answer, err := e.do(ctx, core.PowerOrder{Host: *host, Way: way, Op: op})
		if err != nil {
			return all, err
		}

		all.Attempts, all.Panel, all.State = append(all.Attempts, answer.Attempts...), answer.Panel, answer.State

		if answer.Worked() || ctx.Err() != nil || final(&answer) {
			break
		}
	}

	if n := len(all.Attempts); n > 0 && all.Attempts[n-1].Code == problem.PowerWrongPassword {
		e.panels.refuse(host.MAC, untold(host, &all), e.Clock.Now())
	}

	did := map[core.PowerOp]string{
		core.PowerStatus: "asked the controller of %s whether its machine is on",
		core.PowerLook:   "asked the controller of %s for sensors and events", core.PowerLocate: "switched the light of %s on", core.PowerLocateOff: "switched the light of %s off",
	}[op]
	if !all.Worked() {
		did = "tried: " + did
	}

	return all, e.write(ctx, func(c *change) error {
		return c.audit(deed{who: who, action: "host.controller", host: host.MAC, text: fmt.Sprintf(did, host.Name)})
	})
}

// final reports whether the next protocol is not to be tried: who shows the wrong certificate
// gets no second chance at the password, and one that was refused is refused again, until the
// controller locks the user out.
func final(a *core.PowerAnswer) bool {
	if len(a.Attempts) == 0 {
		return false
	}

	code := a.Attempts[len(a.Attempts)-1].Code

	return code == problem.PowerUntrusted || code == problem.PowerWrongPassword
}

// untold says what each protocol ended in.
func untold(host *core.Host, answer *core.PowerAnswer) error {
	code, words, next := problem.PowerNoAnswer, []string{}, ""

	for _, a := range answer.Attempts {
		entry, _ := problem.Lookup(a.Code)
		said := fmt.Sprintf("%s: %s", a.Way, or(entry.Title, a.Code))

		if a.Detail != "" {
			said += " (" + clip(a.Detail, maxWord) + ")"
		}

		code, next, words = a.Code, entry.Next, append(words, said)
	}

	return core.NewProblem(core.ErrConflict, code, fmt.Sprintf("The controller of %s, %s. %s", host.Name, strings.Join(words, "; "), next))
}

// tidy keeps of what a controller says what is text.
func tidy(p *core.Panel) {
	p.Firmware, p.GaugesCut, p.EventsCut = clip(p.Firmware, maxWord), clip(p.GaugesCut, maxWord), clip(p.EventsCut, maxWord)
	p.Gauges, p.Events = p.Gauges[:min(len(p.Gauges), core.MaxGauges)], p.Events[:min(len(p.Events), core.MaxPanelEvents)]

	for i := range p.Gauges {
		g := &p.Gauges[i]
		g.Name, g.Unit, g.Text = clip(g.Name, maxWord), clip(g.Unit, maxWord), clip(g.Text, maxWord)
	}

	for i := range p.Events {
		p.Events[i].Sensor, p.Events[i].Text = clip(p.Events[i].Sensor, maxWord), clip(p.Events[i].Text, maxWord)
	}
}
