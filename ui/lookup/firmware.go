package lookup

import (
	"errors"
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/drift"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/text"
)

// firmwareMark says which run told last of a host's firmware.
type firmwareMark struct {
	Run core.RunID `json:"run"`
}

// FirmwareOf reads what the Firmware stage of a run found and what the rules said;
// ok is false where it never got that far.
func FirmwareOf(r core.Reader, run core.RunID) (s core.FirmwareSnapshot, ok bool, err error) {
	err = r.Get(core.TableFirmware, "run/"+string(run), &s)
	if errors.Is(err, core.ErrNotFound) {
		return s, false, nil
	}

	return s, err == nil, err
}

// LastFirmware reads the firmware of a host as the last run that told of it found it;
// ok is false where none did.
func LastFirmware(r core.Reader, host core.MAC) (s core.FirmwareSnapshot, ok bool, err error) {
	var mark firmwareMark

	err = r.Get(core.TableFirmware, "host/"+string(host), &mark)
	if errors.Is(err, core.ErrNotFound) {
		return s, false, nil
	}

	if err != nil {
		return s, false, err
	}

	return FirmwareOf(r, mark.Run)
}

// firmwareOfRun is FirmwareOf for a run that must have got that far.
func firmwareOfRun(r core.Reader, run core.RunID) (core.FirmwareSnapshot, error) {
	s, ok, err := FirmwareOf(r, run)
	if err == nil && !ok {
		err = core.NewProblem(core.ErrNotFound, problem.FirmwareNone, fmt.Sprintf("Run %s has not come past its Firmware stage.", run))
	}

	return s, err
}

// FirmwareDiff compares the firmware that a run found with that of another; from may be
// empty, for the host's run before it that told of its firmware.
func FirmwareDiff(r core.Reader, run *core.Run, from core.RunID) (diff route.FirmwareDiff, err error) {
	diff = route.FirmwareDiff{From: from, To: run.ID, Changes: []drift.Change{}}

	to, err := firmwareOfRun(r, run.ID)
	if err != nil {
		return diff, err
	}

	if from != "" {
		old, err := firmwareOfRun(r, from)
		diff.Changes = drift.Between(&old, &to)

		return diff, err
	}

	earlier, _, err := Runs(r, Filter{Host: run.Host}, Page{Limit: mostBefore, After: string(run.ID)})
	if err != nil {
		return diff, err
	}

	for i := range earlier {
		old, ok, err := FirmwareOf(r, earlier[i].ID)
		if err != nil {
			return diff, err
		}

		if ok {
			diff.From, diff.Changes = earlier[i].ID, drift.Between(&old, &to)

			break
		}
	}

	return diff, nil
}

// mostBefore bounds how many runs of a host are looked through for one that told of
// its firmware.
const mostBefore = 100

// Fleet lists the firmware of the hosts that there are, by MAC, each as its last run
// found it; off lists only those that a rule speaks against. A page may be short and
// still have a next one.
func Fleet(r core.Reader, off bool, page Page) (hosts []route.FirmwareHost, next string, err error) {
	list, next, err := list[core.Host](r, core.TableHost, page)
	if err != nil {
		return nil, "", err
	}

	hosts = []route.FirmwareHost{}

	for i := range list {
		s, ok, err := LastFirmware(r, list[i].MAC)
		if err != nil {
			return nil, "", err
		}

		if s.HostName = list[i].Name; ok && (!off || s.Off()) {
			hosts = append(hosts, route.FirmwareHost{FirmwareSnapshot: s, Off: s.Off()})
		}
	}

	return hosts, next, nil
}

// WholeFleet lists the firmware of all hosts, by name.
func WholeFleet(r core.Reader) ([]route.FirmwareHost, error) {
	hosts, _, err := Fleet(r, false, Page{Limit: 1 << 20})
	slices.SortFunc(hosts, func(a, b route.FirmwareHost) int { return text.Natural(a.HostName, b.HostName) })

	return hosts, err
}

// FirmwareHistory lists the runs of a host that told of its firmware, the newest
// first, each with what changed since the one before.
func FirmwareHistory(r core.Reader, host core.MAC, page Page) (route.FirmwareHistory, error) {
	history := route.FirmwareHistory{Runs: []route.FirmwareStep{}}

	runs, next, err := Runs(r, Filter{Host: host}, page)
	if err != nil {
		return history, err
	}

	history.NextPageToken = next

	var newer *core.FirmwareSnapshot

	for i := range runs {
		s, ok, err := FirmwareOf(r, runs[i].ID)
		if err != nil {
			return history, err
		}

		if !ok {
			continue
		}

		if newer != nil {
			history.Runs[len(history.Runs)-1].Changes = drift.Between(&s, newer)
		}

		history.Runs = append(history.Runs, route.FirmwareStep{Run: runs[i].ID, Versions: len(s.Items), Off: s.Off(), Changes: []drift.Change{}})
		newer = &s
	}

	return history, nil
}

// Baseline reads what firmware is held against; empty where nothing was set.
func Baseline(r core.Reader) (b core.FirmwareBaseline, err error) {
	err = r.Get(core.TableBaseline, "current", &b)
	if errors.Is(err, core.ErrNotFound) {
		err = nil
	}

	return b, err
}
