package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// FirmwareJudge knows what firmware baselines mean.
type FirmwareJudge interface {
	// Catalogue is the text of rules that comes with the appliance; empty: none.
	Catalogue() string
	// Check says what is wrong with an operator's text; the error is for people and
	// names line and column.
	Check(text string) error
	// Judge holds what a run found against texts. The error says that one of them
	// cannot be read. Safe for concurrent use.
	Judge(texts core.FirmwareTexts, of *core.FirmwareCase) (core.FirmwareJudgement, error)
}

// Keys of core.TableBaseline and core.TableFirmware.
const (
	currentBaseline = "current"
	baselineText    = "text/"
	firmwareOfRun   = "run/"
	firmwareOfHost  = "host/"
	firmwareOfPass  = "passed/"
)

// maxBaseline bounds an operator's text, in bytes.
const maxBaseline = 256 << 10

// SetFirmwareBaseline records the rules that the firmware of all hosts is held
// against, in place of what was there; an empty text takes them away. They count for
// runs that are started from now on. only refuses the baseline as it is on record in the same write.
func (e *Engine) SetFirmwareBaseline(ctx context.Context, who, text string, only ...func(*core.FirmwareBaseline) error) (core.FirmwareBaseline, error) {
	if strings.TrimSpace(text) == "" {
		text = ""
	}

	if err := e.CheckFirmwareBaseline(text); err != nil {
		return core.FirmwareBaseline{}, err
	}

	var next core.FirmwareBaseline

	err := e.write(ctx, func(c *change) error {
		was, err := readBaseline(c)
		if err != nil {
			return err
		}

		if err := holds(&was, only); err != nil {
			return err
		}

		next = core.FirmwareBaseline{Text: text, Digest: digestOf(text), SetAt: c.now, SetBy: clip(who, maxWord)}

		if err := c.Put(core.TableBaseline, currentBaseline, next); err != nil {
			return err
		}

		word := "set the firmware baseline"
		if text == "" {
			word = "took the firmware baseline away"
		}

		return c.audit(deed{
			who: who, action: "firmware.baseline", object: "firmware-baseline", text: word, before: was.Digest, after: next.Digest,
		})
	})

	return next, err
}

// CheckFirmwareBaseline says what is wrong with a text, without setting it.
func (e *Engine) CheckFirmwareBaseline(text string) error {
	switch {
	case len(text) > maxBaseline:
		return core.NewProblem(core.ErrInvalid, problem.FirmwareBadBaseline, fmt.Sprintf("The firmware baseline has %d bytes; %d at most.", len(text), maxBaseline))
	case e.Firmware == nil:
		return core.NewProblem(core.ErrInvalid, problem.FirmwareBadBaseline, "This appliance judges no firmware.")
	default:
		return e.Firmware.Check(text)
	}
}

// FirmwareCatalogue returns the text of rules that comes with the appliance.
func (e *Engine) FirmwareCatalogue() string {
	if e.Firmware == nil {
		return ""
	}

	return e.Firmware.Catalogue()
}

// readBaseline reads what was set last; the zero baseline where nothing was.
func readBaseline(r core.Reader) (b core.FirmwareBaseline, err error) {
	err = r.Get(core.TableBaseline, currentBaseline, &b)
	if errors.Is(err, core.ErrNotFound) {
		err = nil
	}

	return b, err
}

// digestOf names a text; an empty one has no name.
func digestOf(text string) string {
	if text == "" {
		return ""
	}

	sum := sha256.Sum256([]byte(text))

	return hex.EncodeToString(sum[:])
}

// freezeFirmware notes by which texts a new run will be judged, and keeps them.
func (c *change) freezeFirmware(run *core.Run) error {
	if c.engine.Firmware == nil {
		return nil
	}

	current, err := readBaseline(c)
	if err != nil {
		return err
	}

	catalogue := c.engine.Firmware.Catalogue()
	run.FirmwareRules = core.FirmwareRules{Baseline: current.Digest, Catalogue: digestOf(catalogue)}

	return cmpErr(c.keepText(current.Text), func() error { return c.keepText(catalogue) })
}

// keepText keeps a text under its digest, for good: runs refer to it.
func (c *change) keepText(text string) error {
	if text == "" {
		return nil
	}

	key := baselineText + digestOf(text)

	var kept core.FirmwareBaseline
	if err := c.Get(core.TableBaseline, key, &kept); !errors.Is(err, core.ErrNotFound) {
		return err
	}

	return c.Put(core.TableBaseline, key, core.FirmwareBaseline{Text: text, Digest: digestOf(text), SetAt: c.now})
}

// frozenTexts reads the texts that a run is judged by.
func frozenTexts(r core.Reader, rules core.FirmwareRules) (texts core.FirmwareTexts, err error) {
	for digest, into := range map[string]*string{rules.Baseline: &texts.Baseline, rules.Catalogue: &texts.Catalogue} {
		if digest == "" {
			continue
		}

		var kept core.FirmwareBaseline
		if err := r.Get(core.TableBaseline, baselineText+digest, &kept); err != nil {
			return texts, fmt.Errorf("reading the firmware rules %.12s: %w", digest, err)
		}

		*into = kept.Text
	}

	return texts, nil
}

// firmwareFound is what the Firmware stage of a run found and what came of it.
type firmwareFound struct {
	snapshot core.FirmwareSnapshot
	judged   core.FirmwareJudgement
	trouble  error // why it could not be judged
}

// judgeFirmware holds the result of a Firmware stage against the rules that were frozen
// with the run. It is done before the write that takes the result, since rules may be
// many; nothing comes of it where the result is refused. nil: another stage.
func (e *Engine) judgeFirmware(ctx context.Context, at standing, result *core.Result) (*firmwareFound, error) {
	if result.Stage != core.Firmware || at.stage != core.Firmware || e.Firmware == nil {
		return nil, nil //nolint:nilnil // there is nothing to judge, and no fault
	}

	found := &firmwareFound{}

	var (
		of    core.FirmwareCase
		texts core.FirmwareTexts
	)

	err := e.Ledger.View(ctx, func(r core.Reader) (err error) {
		var run core.Run
		if err := readRun(r, at.run, &run); err != nil {
			return err
		}

		var (
			host      core.Host
			inventory core.Inventory
		)

		for _, err := range []error{r.Get(core.TableHost, string(run.Host), &host), r.Get(core.TableInventory, string(run.ID), &inventory)} {
			if err != nil && !errors.Is(err, core.ErrNotFound) {
				return err
			}
		}

		found.snapshot = core.FirmwareSnapshot{
			Host: run.Host, HostName: run.HostName, Run: run.ID, At: e.Clock.Now(), Class: host.Class, Model: modelOf(&inventory.System),
			Rules: run.FirmwareRules, Items: result.Firmware, Settings: result.Settings,
		}
		of = core.FirmwareCase{Class: host.Class, System: inventory.System, Items: result.Firmware, Settings: result.Settings}

		texts, found.trouble = frozenTexts(r, run.FirmwareRules)
		of.Peers, err = firmwarePeers(r, &found.snapshot)

		return err
	})
	if err != nil {
		return nil, err
	}

	if found.trouble == nil {
		found.judged, found.trouble = e.Firmware.Judge(texts, &of)
	}

	found.snapshot.Checks = found.judged.Checks

	return found, nil
}

// modelOf names the machines that are alike; empty where the platform tells no product.
func modelOf(s *core.System) string {
	if s.Product == "" {
		return ""
	}

	return strings.TrimSpace(s.Manufacturer + " " + s.Product)
}

// firmwareMark says which run told last of a host's firmware.
type firmwareMark struct {
	Run core.RunID `json:"run"`
	At  time.Time  `json:"at"`
}

// firmwarePeers reads the firmware of the hosts of a model as each last passed, those
// that passed last first.
func firmwarePeers(r core.Reader, own *core.FirmwareSnapshot) (peers []core.FirmwareSnapshot, err error) {
	if own.Model == "" {
		return nil, nil
	}

	var marks []firmwareMark

	prefix := passedKey(own.Model, "")

	err = r.Scan(core.TableFirmware, core.Query{Prefix: prefix}, func(key string, decode func(any) error) error {
		var mark firmwareMark
		if err := decode(&mark); err != nil {
			return err
		}

		if strings.TrimPrefix(key, prefix) != string(own.Host) {
			marks = append(marks, mark)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	slices.SortFunc(marks, func(a, b firmwareMark) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Run, b.Run)) })

	for _, mark := range marks[:min(len(marks), maxPeers)] {
		var s core.FirmwareSnapshot

		switch err := r.Get(core.TableFirmware, firmwareOfRun+string(mark.Run), &s); {
		case errors.Is(err, core.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			peers = append(peers, s)
		}
	}

	return peers, nil
}

func passedKey(model string, host core.MAC) string {
	return firmwareOfPass + digestOf(model) + "/" + string(host)
}

// keepFirmware puts down what a Firmware stage found, and lets what came of it count.
func (c *change) keepFirmware(l *life, row *core.Stage, found *firmwareFound) error {
	if found == nil {
		return nil
	}

	id, s := string(l.run.ID), &found.snapshot

	for {
		err := c.Put(core.TableFirmware, firmwareOfRun+id, s)
		if !errors.Is(err, core.ErrInvalid) || len(s.Items)+len(s.Settings)+len(s.Checks) == 0 {
			if err != nil {
				return tooLarge(err)
			}

			break
		}

		s.Checks, s.Settings, s.Items = s.Checks[:len(s.Checks)/2], s.Settings[:len(s.Settings)/2], s.Items[:len(s.Items)/2]
	}

	if err := c.Put(core.TableFirmware, firmwareOfHost+string(l.run.Host), firmwareMark{Run: l.run.ID, At: c.now}); err != nil {
		return err
	}

	judgeFirmwareRow(row, found)

	return nil
}

// judgeFirmwareRow puts what the rules said into the row of the stage. A stage that the
// agent could not carry out stays an error, whatever is missing.
func judgeFirmwareRow(row *core.Stage, found *firmwareFound) {
	if row.Verdict == core.Error && len(found.snapshot.Items) == 0 {
		return
	}

	if found.trouble != nil {
		row.Verdict = core.Error
		row.Findings = append(row.Findings, problem.Finding(problem.FirmwareNoBaseline, "", row.Name, core.Part{}, clip(found.trouble.Error(), maxNote)))

		return
	}

	judged := &found.judged
	row.Findings = append(row.Findings, cleanFindings(row.Name, judged.Findings)...)
	row.Coverage = clip(row.Coverage+firmwareCoverage(judged), maxNote)

	switch {
	case judged.Bad > 0:
		row.Verdict = core.Fail
	case judged.Broken && row.Verdict != core.Fail:
		row.Verdict = core.Error
	}
}

// firmwareCoverage says how much of the firmware was held against rules.
func firmwareCoverage(judged *core.FirmwareJudgement) string {
	counts := map[core.Verdict]int{}
	for i := range judged.Checks {
		counts[judged.Checks[i].Verdict]++
	}

	if len(judged.Checks) == 0 {
		return "; no rule of the baseline or the catalogue is about this machine"
	}

	text := fmt.Sprintf("; %d checks by the baseline and the catalogue, %d off", len(judged.Checks), counts[core.Fail])

	if n := counts[core.Unmeasurable] + counts[core.Error]; n > 0 {
		text += fmt.Sprintf(", %d could NOT be judged", n)
	}

	if judged.LeftOut > 0 {
		text += fmt.Sprintf(", %d findings more", judged.LeftOut)
	}

	return text
}

// keepPassed makes the firmware of a run that passed the one that others of the model
// are compared with.
func (c *change) keepPassed(l *life) error {
	var s core.FirmwareSnapshot

	err := c.Get(core.TableFirmware, firmwareOfRun+string(l.run.ID), &s)
	if errors.Is(err, core.ErrNotFound) || err == nil && s.Model == "" {
		return nil
	}

	if err != nil {
		return err
	}

	return c.Put(core.TableFirmware, passedKey(s.Model, l.run.Host), firmwareMark{Run: l.run.ID, At: c.now})
}
