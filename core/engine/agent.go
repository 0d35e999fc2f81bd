package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/lifecycle"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/core/report"
)

// writeLease is how long a destructive test may go on without a heartbeat.
const writeLease = time.Minute

// errWrongToken is turned into what the caller may know of it by wrongToken.
var errWrongToken = errors.New("wrong token")

// Hello is the agent's first word. It does not consume the boot token, but a
// machine that comes back with another boot id while a stage works has reset
// itself, and the run fails here.
func (e *Engine) Hello(ctx context.Context, run core.RunID, token string, hello core.Hello) (core.HelloReply, error) {
	reply := core.HelloReply{ServerTime: e.Clock.Now().UTC()}

	err := e.write(ctx, func(c *change) error {
		l, err := c.life(run)
		if err != nil {
			return err
		}

		if !l.unheard(token) || l.run.BootID != clip(hello.BootID, maxWord) { // else its claim is about to be made again
			if refusal, err := c.bootToken(l, token, core.Identity{}); refusal != nil || err != nil {
				return cmpErr(err, func() error { return c.refuse(refusal) })
			}
		}

		if !slices.Contains(macsOf(&l.host), hello.MAC) {
			return core.NewProblem(core.ErrRefused, problem.HostIdentityMismatch, fmt.Sprintf(
				"This boot token was given to %s, not to %.40s; boot the registered host.", l.run.Host, string(hello.MAC)))
		}

		if l.resetSince(hello.BootID) {
			if err := c.resetItself(l, hello.BootID); err != nil {
				return err
			}
		}

		l.run.Agent = core.AgentInfo{
			Version: clip(hello.AgentVersion, maxWord), Protocol: hello.Protocol, Kernel: clip(hello.Kernel, maxWord),
			Firmware: clip(hello.Firmware, maxWord), SecureBoot: hello.SecureBoot, IP: clip(hello.IP, maxWord),
			ImageID: clip(hello.ImageID, maxWord),
		}
		reply.State = l.run.State

		step := arrival(l.run.Host, l.run.Agent.Version, hello.SecureBoot, c.now)
		e.ladders.see(l.run.Host, &step)

		if err := c.trace(l.run.Host, []core.BootStep{step}); err != nil {
			return err
		}

		if err := c.tellRun(l); err != nil {
			return err
		}

		return c.save(l)
	})

	return reply, e.wrongToken(err, run, token)
}

// cmpErr returns err, or else what then returns.
func cmpErr(err error, then func() error) error {
	if err != nil {
		return err
	}

	return then()
}

// bootToken checks a boot token. The refusal is what the agent is answered when
// what was found is worth writing down.
func (c *change) bootToken(l *life, token string, identity core.Identity) (refusal, err error) {
	hash := digest(token)

	switch {
	case token == "":
		return nil, core.NewProblem(core.ErrUnauthorized, problem.BootTokenRefused, "This call needs the boot token; boot the host from the network.")
	case among(hash, l.secret.SpentTokens):
		return c.reused(l, identity)
	case !same(l.secret.BootToken, hash):
		return nil, errWrongToken
	default:
		return nil, l.bootable(c.now)
	}
}

// reused raises the alarm about a second use of a boot token. Only another
// machine is quarantined for it.
func (c *change) reused(l *life, identity core.Identity) (refusal, err error) {
	refusal = core.NewProblem(core.ErrRefused, problem.BootTokenReused,
		"This boot token was used before; boot the host again for a fresh one.")

	err = c.notice(l.run.Host, l.run.ID, problem.BootTokenReused,
		fmt.Sprintf("a boot token of %s was presented a second time", l.run.HostName))
	if err != nil {
		return nil, err
	}

	if differs := l.differs(identity); differs != "" && identity.Known() {
		err = c.quarantine(l, "a spent boot token was presented by another machine: "+differs)
	}

	return refusal, err
}

// differs says in what an identity differs from the one on record; empty when in
// nothing. What was told once must be told again.
func (l *life) differs(now core.Identity) string {
	was := l.host.Identity

	switch {
	case was.SMBIOSUUID != "" && was.SMBIOSUUID != now.SMBIOSUUID:
		return fmt.Sprintf("its SMBIOS UUID is %s, %s is on record", orNone(now.SMBIOSUUID), was.SMBIOSUUID)
	case was.BoardSerial != "" && was.BoardSerial != now.BoardSerial:
		return fmt.Sprintf("its board serial is %s, %s is on record", orNone(now.BoardSerial), was.BoardSerial)
	case len(now.MACs) > 0 && !slices.ContainsFunc(macsOf(&l.host), func(mac core.MAC) bool { return slices.Contains(now.MACs, mac) }):
		return fmt.Sprintf("none of its network ports has an address of %s", l.host.Name)
	default:
		return ""
	}
}

func orNone(s string) string {
	if s == "" {
		return "not told"
	}

	return s
}

func (c *change) quarantine(l *life, reason string) error {
	l.host.Quarantine = clip(reason, maxWord)

	if err := c.notice(l.run.Host, l.run.ID, problem.HostIdentityMismatch, l.run.HostName+" is in quarantine: "+reason); err != nil {
		return err
	}

	return cmpErr(c.save(l), func() error { return c.tellHost(&l.host) })
}

// remember records who the machine is, on first contact and where it tells more
// than before.
func (c *change) remember(l *life, now core.Identity) error {
	was := l.host.Identity
	first := !was.Known()

	l.host.Identity.SMBIOSUUID, l.host.Identity.BoardSerial = now.SMBIOSUUID, now.BoardSerial
	if len(now.MACs) > 0 {
		l.host.Identity.MACs = now.MACs
	}

	switch {
	case !now.Known():
		return c.notice(l.run.Host, l.run.ID, problem.HostIdentityUnknown, l.run.HostName+" tells neither SMBIOS UUID nor board serial")
	case first || was.SMBIOSUUID != now.SMBIOSUUID || was.BoardSerial != now.BoardSerial:
		return c.notice(l.run.Host, l.run.ID, problem.HostIdentityRecorded, fmt.Sprintf(
			"recorded the identity of %s: SMBIOS UUID %s, board serial %s", l.run.HostName, orNone(now.SMBIOSUUID), orNone(now.BoardSerial)))
	default:
		return nil
	}
}

func cleanIdentity(i core.Identity) core.Identity {
	clean := core.Identity{
		SMBIOSUUID:  strings.ToLower(strings.TrimSpace(clip(i.SMBIOSUUID, maxWord))),
		BoardSerial: strings.TrimSpace(clip(i.BoardSerial, maxWord)),
	}

	for _, mac := range i.MACs[:min(len(i.MACs), maxAliases)] {
		if parsed, err := core.ParseMAC(string(mac)); err == nil {
			clean.MACs = append(clean.MACs, parsed)
		}
	}

	return clean
}

// resetSince reports whether this boot id means that the machine restarted by
// itself while a stage worked. A stage that is to be run again and has not begun
// may well be waited for across a restart.
func (l *life) resetSince(bootID string) bool {
	return l.row() != nil && l.run.Retrying == "" && l.run.BootID != "" && bootID != l.run.BootID
}

func (c *change) resetItself(l *life, bootID string) error {
	l.evidence = fmt.Sprintf("boot id was %s, is %.64s; last heartbeat at %s, in %s",
		l.run.BootID, plain(bootID), l.run.LastBeat.Format(time.RFC3339), l.run.State)

	return c.move(l, lifecycle.Reset)
}

// session loads a run for a call with a session token. With lastWord a run that
// is over is answered for a while yet.
func (c *change) session(id core.RunID, token string, lastWord bool) (*life, error) {
	l, err := c.life(id)
	if err != nil {
		return nil, err
	}

	return l, l.authorise(token, c.now, lastWord)
}

func (l *life) authorise(token string, now time.Time, lastWord bool) error {
	hash := digest(token)

	switch {
	case token == "":
		return core.NewProblem(core.ErrUnauthorized, problem.RunBadToken, "This call needs the session token that claim returned.")
	case among(hash, l.secret.SpentSessions):
		return core.NewProblem(core.ErrExpired, problem.RunOldEpoch,
			"The host was booted again since; this boot may do nothing more.").With("state", string(l.run.State))
	case !same(l.secret.SessionToken, hash):
		return errWrongToken
	case l.run.State.Over() && (!lastWord || now.After(l.run.Deadline)):
		return core.NewProblem(core.ErrExpired, problem.RunOver, "This run is over.").With("state", string(l.run.State))
	default:
		return nil
	}
}

// wrongToken tells a token of another run (403) from one that names nobody (401).
func (e *Engine) wrongToken(err error, run core.RunID, token string) error {
	switch {
	case !errors.Is(err, errWrongToken):
		return err
	case e.index.foreign(digest(token), run):
		return core.NewProblem(core.ErrRefused, problem.RunBadToken, "This token belongs to another run.")
	default:
		return core.NewProblem(core.ErrUnauthorized, problem.RunBadToken, "This token is not known; boot the host again for a fresh one.")
	}
}

// Authorise checks a session token of the current epoch, for the bulk lane. A run
// that is over still takes the agent's last log lines for a while.
func (e *Engine) Authorise(ctx context.Context, run core.RunID, token string) (epoch int, err error) {
	in, err := e.admit(ctx, run, token)

	return in.epoch, err
}

// InStage returns the runs that are in a stage and whose agents are heard, with the names
// of their hosts.
func (e *Engine) InStage(stage core.StageName) map[core.RunID]string {
	return e.index.where(func(s core.State) bool { return s == core.State(stage) })
}

// Before returns the runs that have yet to come to a stage: their host boots, or is in an
// earlier stage of the pipeline.
func (e *Engine) Before(stage core.StageName) map[core.RunID]string {
	pipeline := core.Pipeline()
	at := slices.Index(pipeline, stage)

	return e.index.where(func(s core.State) bool {
		i := slices.Index(pipeline, core.StageName(s))

		return s.AwaitsBoot() || i >= 0 && i < at
	})
}

// Heartbeat notes a sign of life and answers what to do next. A run that is over
// is answered for a while, so that the agent learns it.
func (e *Engine) Heartbeat(ctx context.Context, run core.RunID, token string, beat core.Beat) (core.Order, error) {
	if math.IsNaN(beat.Progress) || beat.Progress < 0 || beat.Progress > 1 || beat.ETA < 0 || beat.Uptime < 0 {
		return core.Order{}, core.NewProblem(core.ErrInvalid, problem.RunBadResult,
			"Progress must be between 0 and 1, and times must not be negative.")
	}

	var order core.Order

	err := e.write(ctx, func(c *change) error {
		l, err := c.session(run, token, true)
		if err != nil {
			return err
		}

		order = l.order(beat, c.now)

		if order.Outlook, err = c.outlook(l); err != nil {
			return err
		}

		if l.run.State.Over() {
			return c.lastHeard(l, order)
		}

		c.heardOf = l

		return cmpErr(c.heard(l), func() error { return c.noteBeat(l, beat) })
	})
	if err != nil {
		return core.Order{}, e.wrongToken(err, run, token)
	}

	return order, nil
}

// outlook is what the machine's own screen says of its run, findings that an operator bears
// with not counted.
func (c *change) outlook(l *life) (core.Outlook, error) {
	found := report.Findings(&l.run, nil, c.now)
	if len(found) == 0 {
		return core.OutlookOf(&l.run, nil), nil
	}

	waivers, err := c.waivers(l.run.Host)

	return core.OutlookOf(&l.run, report.Findings(&l.run, waivers, c.now)), err
}

// lastHeard takes down that the agent was told to power off.
func (c *change) lastHeard(l *life, order core.Order) error {
	if order.Cmd != core.CmdShutdown || l.host.LastRun != l.run.ID || l.host.OffDue.IsZero() {
		return errNothing
	}

	return c.spare(&l.host)
}

// order says what the agent is to do in the state the run is in.
func (l *life) order(beat core.Beat, now time.Time) core.Order {
	o := core.Order{Cmd: core.CmdContinue, State: l.run.State}

	switch {
	case l.run.State == core.StateCompleted, l.run.Expired:
		o.Cmd, o.Reboot = core.CmdShutdown, l.run.State == core.StateCompleted && profile.Reboots(&l.run.Profile)
	case l.run.State.Over(), l.run.State == core.StateFailedHolding:
		o.Cmd, o.Light = core.CmdAbort, l.light()
	case l.stillIn(beat.Stage):
		o.Cmd = core.CmdAbort

		return o // and what it writes ends with its lease
	case l.run.Retrying != "" && beat.Stage != l.run.Retrying:
		o.Cmd, o.Stage, o.Overrides, o.OverrideUntil = core.CmdRetryStage, l.run.Retrying, l.overrides(now), l.overrideUntil(now)
	}

	if l.row() != nil && len(l.run.Armed) > 0 {
		o.WriteLeaseUntil = now.Add(writeLease)
	}

	return o
}

// stillIn reports whether an agent that names this stage is in an attempt that is
// over: what it says is not about the one that an operator asked for.
func (l *life) stillIn(stage core.StageName) bool { return l.run.Ending != "" && stage == l.run.Ending }

// owesEnd notes that the run left a stage for the hold, by whatever way: until the
// agent is heard outside it, it may still be in it. A stage of the appliance is
// left by the agent's stage before it.
func (l *life) owesEnd(left core.State) {
	for i := l.run.StageAt(core.StageName(left)); i >= 0; i-- {
		if row := &l.run.Stages[i]; !row.Name.ByAppliance() && row.Attempt > 0 {
			l.run.Ending = row.Name

			return
		}
	}
}

// overrides lists what the agent may pass over now.
func (l *life) overrides(now time.Time) (flags []string) {
	w := l.run.Wipe
	if w == nil || !w.UsedAt.IsZero() || !now.Before(w.Until) || l.run.State != core.State(core.Storage) {
		return nil
	}

	for _, serial := range w.Serials {
		flags = append(flags, core.WipeFlag(serial))
	}

	return flags
}

// overrideUntil is when that ends; the zero time where there is nothing.
func (l *life) overrideUntil(now time.Time) time.Time {
	if len(l.overrides(now)) == 0 {
		return time.Time{}
	}

	return l.run.Wipe.Until
}

// useOverride notes that the agent has what it may pass over; it gets it no more.
func (l *life) useOverride(now time.Time) {
	if len(l.overrides(now)) > 0 {
		l.run.Wipe.UsedAt = now
	}
}

func (c *change) noteBeat(l *life, beat core.Beat) error {
	was := l.run.Stale
	l.run.LastBeat, l.run.Stale = c.now, false
	inOld := l.stillIn(beat.Stage)

	if !inOld {
		l.run.Ending = ""
	}

	if was {
		if err := c.tellRun(l); err != nil {
			return err
		}
	}

	row := l.row()
	if row == nil {
		return c.saveRun(l)
	}

	if beat.Stage != row.Name || inOld { // it is alive, and yet the stage is not under way: its deadline stands
		l.run.HeardIn = or(clip(string(beat.Stage), maxWord), "no stage")

		return c.saveRun(l)
	}

	l.run.Deadline, l.run.HeardIn, l.run.Retrying = c.now.Add(c.engine.Lost), "", ""
	l.useOverride(c.now)

	return cmpErr(c.noteProgress(l, row, &beat), func() error { return c.saveRun(l) })
}

// stuckAfter is how long a stage may go on without getting anywhere before people
// are told. Disks tell the progress of a long self-test in steps of a tenth, and on
// the largest ones a tenth takes hours.
const stuckAfter = 6 * time.Hour

// noteProgress takes down how far a stage is, and tells people once when it gets no
// further. It is no failure: what the stage waits for may yet come.
func (c *change) noteProgress(l *life, row *core.Stage, beat *core.Beat) error {
	sub := clip(beat.SubStep, maxWord)
	moves := row.Progress != beat.Progress || row.SubStep != sub

	switch {
	case moves || l.run.MovedAt.IsZero():
		l.run.MovedAt, l.run.Stuck = c.now, false
	case !l.run.Stuck && c.now.Sub(l.run.MovedAt) >= stuckAfter:
		l.run.Stuck = true

		if err := c.announceStuck(l, row); err != nil {
			return err
		}
	}

	meters := cleanMeters(beat.Meters)
	if !moves && row.ETA == beat.ETA && slices.EqualFunc(row.Meters, meters, sameMeter) {
		return nil
	}

	row.Progress, row.SubStep, row.ETA, row.Meters = beat.Progress, sub, beat.ETA, meters

	return c.tellStage(l, row)
}

// sameMeter reports whether a beat brings nothing new of a part.
func sameMeter(a, b core.Meter) bool {
	return a.Part == b.Part && a.Step == b.Step && a.Done == b.Done && a.Rate == b.Rate && a.LeftLow == b.LeftLow && a.LeftHigh == b.LeftHigh &&
		a.Errors == b.Errors && a.Over == b.Over && slices.Equal(a.Walks, b.Walks)
}

// cleanMeters keeps of what an agent says as much as is kept, and no numbers that are
// none.
func cleanMeters(said []core.Meter) (meters []core.Meter) {
	share := func(v float64) float64 {
		if !(v > 0) {
			return 0
		}

		return min(v, 1)
	}

	for _, m := range said[:min(len(said), core.MaxMeters)] {
		m.Part = core.Part{
			Kind: clip(m.Part.Kind, core.MaxMeterWord), Slot: clip(m.Part.Slot, core.MaxMeterWord),
			Model: clip(m.Part.Model, core.MaxMeterWord), Serial: clip(m.Part.Serial, core.MaxMeterWord),
		}
		m.Step, m.Done, m.Errors = clip(m.Step, core.MaxMeterWord), share(m.Done), max(0, m.Errors)
		m.LeftLow, m.LeftHigh = max(0, m.LeftLow), max(0, m.LeftHigh)

		if !(m.Rate > 0) || math.IsInf(m.Rate, 0) {
			m.Rate = 0
		}

		walks := m.Walks[:min(len(m.Walks), core.MaxWalks)]
		m.Walks = nil

		for _, w := range walks {
			m.Walks = append(m.Walks, core.Walk{Name: clip(w.Name, core.MaxMeterWord), Pass: max(0, w.Pass), Done: share(w.Done)})
		}

		meters = append(meters, m)
	}

	return meters
}

// Logged announces that the run's log now reaches lastSeq.
func (e *Engine) Logged(ctx context.Context, run core.RunID, lastSeq uint64) error {
	return e.write(ctx, func(c *change) error {
		var r core.Run
		if err := readRun(c, run, &r); err != nil {
			return err
		}

		return c.emit(core.EventLog, r.Host, run, core.LogChange{LastSeq: lastSeq})
	})
}
