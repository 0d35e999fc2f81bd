package lookup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/retention"
)

// ParseRunID reads a run's id as it stands in a URL. ErrNotFound for what cannot
// be one.
func ParseRunID(s string) (core.RunID, error) {
	if len(s) != 26 || strings.Trim(s, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
		return "", noRun(s)
	}

	return core.RunID(s), nil
}

func noRun(id string) error {
	return core.NewProblem(core.ErrNotFound, "run/not-found", fmt.Sprintf("There is no run %.40q.", id))
}

// Run reads a run.
func Run(r core.Reader, id core.RunID) (core.Run, error) {
	var run core.Run

	err := r.Get(core.TableRun, string(id), &run)
	if errors.Is(err, core.ErrNotFound) {
		return core.Run{}, noRun(string(id))
	}

	return run, err
}

// Filter chooses runs. An empty field chooses all.
type Filter struct {
	Host  core.MAC
	State string // a core.State, or "active" or "over"

	Profile, Batch string
	Verdict        core.Verdict
}

// States lists the states a run can be in, in the order of its life.
func States() []string {
	list := []string{
		string(core.StateRegistered), string(core.StateQueued), string(core.StateWaitingWoL), string(core.StateWaitingReboot),
		string(core.StateWaitingPower), string(core.StateBooting),
	}
	for _, st := range core.Pipeline() {
		list = append(list, string(st))
	}

	return append(list, string(core.StateCompleted), string(core.StateFailed), string(core.StateFailedHolding),
		string(core.StateReleased), string(core.StateCancelled))
}

// ParseState checks the state of a Filter.
func ParseState(s string) error {
	if s == "" || s == "active" || s == "over" || slices.Contains(States(), s) {
		return nil
	}

	return core.NewProblem(core.ErrInvalid, "run/bad-state",
		fmt.Sprintf("%.40q is not a state of a run; try Queued, Booting, FailedHolding, Completed, active or over.", s))
}

func (f Filter) chooses(run *core.Run) bool {
	if f.Host != "" && run.Host != f.Host || f.Profile != "" && run.Profile.Name != f.Profile || f.Batch != "" && run.Batch != f.Batch ||
		f.Verdict != "" && run.Verdict != f.Verdict {
		return false
	}

	switch f.State {
	case "":
		return true
	case "active":
		return !run.State.Over()
	case "over":
		return run.State.Over()
	default:
		return string(run.State) == f.State
	}
}

// mostLooked bounds how many runs one page looks at, whatever the filter.
const mostLooked = 1000

// Runs lists the runs the filter chooses, the newest first. A page may be short
// and still have a next one.
func Runs(r core.Reader, filter Filter, page Page) (runs []core.Run, next string, err error) {
	runs = []core.Run{}
	last, looked := "", 0

	err = r.Scan(core.TableRun, core.Query{After: page.After, Limit: mostLooked + 1, Reverse: true},
		func(key string, decode func(any) error) error {
			if next != "" {
				return nil
			}

			if len(runs) == page.Limit || looked == mostLooked {
				next = token(last)

				return errEnough
			}

			var run core.Run

			if err := decode(&run); err != nil {
				return err
			}

			if filter.chooses(&run) {
				runs = append(runs, run)
			}

			last, looked = key, looked+1

			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", fmt.Errorf("listing runs: %w", err)
	}

	return runs, next, nil
}

// errEnough ends a scan that has what it came for.
var errEnough = errors.New("enough")

// Author is who writes a report, and when.
type Author struct {
	Appliance report.Appliance
	Retention *retention.Policy // in force; nil: the report does not tell it
	Now       time.Time
}

// Report reads the report of run as it was written, or writes a preliminary one
// when there is none of the run as it now stands.
func Report(r core.Reader, run *core.Run, by Author) (report.Report, error) {
	var written report.Report

	err := r.Get(core.TableReport, string(run.ID), &written)
	// What is held changes without being written anew: waivers end by themselves. Its report
	// is made of this moment, and says so; the one that is kept is written when the hold ends.
	held := run.State == core.StateFailedHolding
	if err == nil && !held && written.Run.Verdict == run.Verdict && written.Run.State == run.State && run.Verdict != "" {
		return attached(r, run, written)
	}

	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return report.Report{}, fmt.Errorf("reading the report of %s: %w", run.ID, err)
	}

	in := report.Input{Run: *run, Appliance: by.Appliance, Retention: by.Retention, Now: by.Now}

	if in.Inventory, err = Inventory(r, run.ID); err != nil {
		return report.Report{}, fmt.Errorf("reading the inventory of %s: %w", run.ID, err)
	}

	firmware, _, err := FirmwareOf(r, run.ID)
	if err != nil {
		return report.Report{}, fmt.Errorf("reading the firmware of %s: %w", run.ID, err)
	}

	in.Checks = firmware.Checks

	if in.Waivers, err = Waivers(r, run.Host); err != nil {
		return report.Report{}, err
	}

	if in.Notes, err = Notes(r, run.Host); err != nil {
		return report.Report{}, err
	}

	if in.Host, err = Host(r, run.Host); err != nil && !errors.Is(err, core.ErrNotFound) {
		return report.Report{}, fmt.Errorf("reading host %s: %w", run.Host, err)
	}

	return attached(r, run, report.Build(in))
}

// Waived is the waivers of each host, the oldest first, whether they count or not.
type Waived map[core.MAC][]core.Waiver

// Waivers lists those of a host, the oldest first, whether they count or not.
func Waivers(r core.Reader, host core.MAC) ([]core.Waiver, error) {
	all, err := waived(r, core.WaiverKey(host, ""))

	return all[host], err
}

// AllWaivers lists those of every host: there are as many as people gave reasons for.
func AllWaivers(r core.Reader) (Waived, error) { return waived(r, "") }

func waived(r core.Reader, prefix string) (Waived, error) {
	all := Waived{}

	if err := r.Scan(core.TableWaiver, core.Query{Prefix: prefix}, func(_ string, decode func(any) error) error {
		var w core.Waiver

		if err := decode(&w); err != nil {
			return err
		}

		all[w.Host] = append(all[w.Host], w)

		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading waivers %s: %w", prefix, err)
	}

	return all, nil
}

// attached gives a report the series that the rules of its run saw.
func attached(r core.Reader, run *core.Run, found report.Report) (report.Report, error) {
	trails, err := Trails(r, run.ID)
	found.Attach(trails)

	return found, err
}

// mostTrails bounds the trails of a run that are read.
const mostTrails = 20000

// Trails reads what the rules saw during every try of every stage, in the order of
// the stages' names.
func Trails(r core.Reader, run core.RunID) (trails []report.Trail, err error) {
	err = r.Scan(core.TableTrail, core.Query{Prefix: string(run) + "/"}, func(key string, decode func(any) error) error {
		var some []core.Trail

		if err := decode(&some); err != nil {
			return err
		}

		parts := strings.Split(key, "/")
		if len(parts) != 4 {
			return fmt.Errorf("reading the key of a trail: %q", key)
		}

		attempt, err := strconv.Atoi(parts[2])
		if err != nil {
			return fmt.Errorf("reading the key of a trail: %w", err)
		}

		for i := range some {
			trails = append(trails, report.Trail{Stage: core.StageName(parts[1]), Attempt: attempt, Trail: some[i]})
		}

		if len(trails) >= mostTrails {
			return errEnough
		}

		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("reading the trails of %s: %w", run, err)
	}

	return trails, nil
}
