package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/probe"
	"vetting/agent/smartctl"
	"vetting/core"
)

// Counters are what a disk counts of its errors and of its heat, at one moment.
type Counters struct {
	At     time.Time
	part   core.Part
	values map[string]float64
	limits []limit
	told   []core.Finding // what the disk says of itself beyond its counters
}

// TakeCounters asks a disk for its counters, which takes a fraction of a second. It
// fails where the disk has none that can be read.
func TakeCounters(m probe.Machine, drive probe.Drive) (Counters, error) {
	p, err := examination{machine: m, subject: subject{Drive: drive}}.address()
	if err != nil {
		return Counters{}, fmt.Errorf("reading counters of %s: %w", drive.Name, err)
	}

	return countersOf(p, drive.Disk)
}

// countersOf reads the counters of a disk, and gives it back.
func countersOf(p patient, d core.Disk) (Counters, error) {
	now, err := p.read()
	if err = errors.Join(err, p.Close()); err != nil {
		return Counters{}, fmt.Errorf("reading counters of %s: %w", d.Name, err)
	}

	return Counters{At: time.Now(), part: probe.DiskPart(d), values: now.values, limits: p.rules(false), told: now.findings}, nil
}

// Since tells what grew since an earlier moment of the same disk, and how bad that is:
// any error is critical, however many there were before. What the disk warns of since then
// (it fails, NVMe's critical warnings) is told as SMART tells it. Counters that it does not
// tell any more were not compared.
func (c Counters) Since(before Counters) (findings []core.Finding) {
	for _, rule := range c.limits {
		f, grew := rule.growth(before.values, c.values)
		if !grew {
			continue
		}

		f.Part = c.part
		f.Evidence += fmt.Sprintf(", from %s to %s UTC", before.At.UTC().Format(time.TimeOnly), c.At.UTC().Format(time.TimeOnly))
		findings = append(findings, f)
	}

	if quantities := c.untold(before); len(quantities) > 0 {
		findings = append(findings, notCompared(c.part, fmt.Sprintf("%s could be read at %s UTC, and not at %s UTC", strings.Join(quantities, ", "),
			before.At.UTC().Format(time.TimeOnly), c.At.UTC().Format(time.TimeOnly))))
	}

	for _, f := range c.told {
		if f.Severity == core.Info || slices.ContainsFunc(before.told, func(was core.Finding) bool { return theme(was) == theme(f) }) {
			continue
		}

		f.Part = c.part
		f.Evidence += fmt.Sprintf(", since a look at %s UTC", before.At.UTC().Format(time.TimeOnly))
		findings = append(findings, f)
	}

	return findings
}

// untold are counters that the disk told at an earlier moment, and not at this one.
func (c Counters) untold(before Counters) []string {
	return untold(c.limits, before.values, c.values, c.part.Model)
}

// theme is what a finding is about, without the numbers behind the colon: "critical warning
// 0x04", "attribute 5".
func theme(f core.Finding) string {
	about, _, _ := strings.Cut(f.Evidence, ":")

	return f.Code + " " + about
}

// DiskCounters returns the Watch that compares the counters of all disks after Storage
// and after Burn with those at the end of SMART, so that whatever grew in between
// counts too; where nothing is known from then, with those before the stage. Disks behind
// RAID controllers are asked through smartctl; nil: the image has none.
func DiskCounters(m probe.Machine, tool smartctl.Run) Watch {
	return (&counting{machine: m, tool: tool, known: map[string]Counters{}}).watch
}

// counting keeps the counters of each disk from stage to stage.
type counting struct {
	machine probe.Machine
	tool    smartctl.Run

	mu    sync.Mutex // guards known
	known map[string]Counters
}

// watch is a Watch.
func (c *counting) watch(ctx context.Context, name core.StageName, env Env, _ context.CancelCauseFunc) (end func() Seen) {
	switch name {
	case core.SMART:
		return func() Seen {
			c.begin(ctx, env, true)

			return Seen{}
		}
	case core.Storage, core.Burn:
		c.begin(ctx, env, false)

		return func() Seen { return c.compare(ctx, env) }
	default:
		return func() Seen { return Seen{} }
	}
}

// begin takes the counters of all disks, or of those that are not known.
func (c *counting) begin(ctx context.Context, env Env, anew bool) {
	drives := c.disks(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()

	if anew {
		clear(c.known)
	}

	drives = without(drives, c.known)

	for i, r := range c.take(ctx, drives) {
		if r.err == nil {
			c.known[identity(drives[i].Drive)] = r.Counters
		} else {
			env.Log.Debug("disk has no counters", slog.String("error", r.err.Error()))
		}
	}
}

// disks are those that may count, also behind RAID controllers. Who does not answer has
// no counters; what is missed by that is told where they are compared.
func (c *counting) disks(ctx context.Context) []subject {
	drives, _ := c.machine.Disks() //nolint:errcheck // see above

	return subjects(ctx, c.machine, c.tool, drives)
}

// without leaves out the disks that are known.
func without(drives []subject, known map[string]Counters) (rest []subject) {
	for _, d := range drives {
		if _, ok := known[identity(d.Drive)]; !ok {
			rest = append(rest, d)
		}
	}

	return rest
}

// identity names a disk for as long as the machine runs.
func identity(d probe.Drive) string { return cmp.Or(d.WWN, d.Model+"\x00"+d.Serial+"\x00"+d.Path) }

// taken is what came of asking one disk.
type taken struct {
	Counters

	err error
}

// take asks disks all at once.
func (c *counting) take(ctx context.Context, drives []subject) []taken {
	all := make([]taken, len(drives))

	var work sync.WaitGroup

	for i, d := range drives {
		work.Go(func() {
			all[i].err = ctx.Err()

			switch {
			case all[i].err != nil:
			case d.member != nil && d.member.Silent != nil:
				all[i].err = d.member.Silent
			case d.member != nil:
				all[i].Counters, all[i].err = countersOf(openRAID(ctx, *d.member, d.Drive), d.Disk)
			default:
				all[i].Counters, all[i].err = TakeCounters(c.machine, d.Drive)
			}
		})
	}

	work.Wait()

	return all
}

// now takes the counters of disks, by their identities: once more of those that left some
// out, which may have been busy. c.mu is held.
func (c *counting) now(ctx context.Context, drives []subject) map[string]taken {
	now := map[string]taken{}

	for i, r := range c.take(ctx, drives) {
		id := identity(drives[i].Drive)

		if before, known := c.known[id]; known && r.err == nil && len(r.untold(before)) > 0 {
			r = c.take(ctx, drives[i:i+1])[0]
		}

		now[id] = r
	}

	return now
}

// compare takes the counters again. A disk that does not answer any more, or is not
// there, was not compared.
func (c *counting) compare(ctx context.Context, env Env) (seen Seen) {
	drives := c.disks(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()

	now := c.now(ctx, drives)

	if ctx.Err() != nil || len(c.known) == 0 {
		return Seen{} // nobody waits for it, or no disk counts
	}

	since, compared := time.Now(), 0

	for _, id := range slices.Sorted(maps.Keys(c.known)) {
		before := c.known[id]

		after, there := now[id]
		if !there || after.err != nil {
			seen.Errors = append(seen.Errors, before.lost(after.err))

			continue
		}

		if before.At.Before(since) {
			since = before.At
		}

		c.known[id] = after.Counters

		for _, f := range after.Since(before) {
			if isNotCompared(f) {
				seen.Errors = append(seen.Errors, f)
			} else {
				seen.Findings = append(seen.Findings, f)
			}
		}

		if len(after.untold(before)) == 0 {
			compared++
		}
	}

	step := core.SubStep{
		Name: "disk counters", Verdict: worst(seen.Findings), Progress: 1,
		Summary: fmt.Sprintf("%d of %d disks compared with %s UTC", compared, len(c.known), since.UTC().Format(time.TimeOnly)),
	}

	if len(seen.Errors) > 0 && step.Verdict == core.Pass {
		step.Verdict = core.Error
	}

	seen.SubSteps = []core.SubStep{step}

	env.Log.Info("disk counters compared", slog.Int("disks", compared), slog.Int("findings", len(seen.Findings)))

	return seen
}

// lost is the finding of a disk that told its counters and does not any more; nil: it is
// not there.
func (c Counters) lost(err error) core.Finding {
	evidence := "the disk is not there any more"
	if err != nil {
		evidence = err.Error()
	}

	return notCompared(c.part, evidence)
}
