package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui/mark"
	"vetting/ui/pace"
	"vetting/ui/plot"
	"vetting/ui/text"
)

// Run is the page of one run.
type Run struct {
	Frame      Frame
	Host       core.Host // zero when it was deleted
	Run        core.Run
	Report     report.Report
	Charts     []plot.Chart
	Plan       pace.Plan // of what earlier runs tell
	Log        []core.LogLine
	Files      []core.Artifact
	Kept       *report.Retention // by the policy in force now; nil: nobody knows
	Gone       core.Expiry       // what was removed already
	Key        *core.HoldKey     // of the hold, just handed out
	Fresh      bool              // who looks need not type the password again
	Reason     string            // as it was typed
	FailReason string            // likewise
	Waive      WaiverForm        // likewise
	Notes      []core.Note       // about the run, the oldest first
	NoteText   string            // as it was typed and refused

	Terminal bool // a held host can be opened in the browser
	// Diagnosis is what is in the way of the boot that it waits for; nil: nothing.
	Diagnosis *bootdoctor.Diagnosis
}

func (r *Run) book() *noteBook {
	return &noteBook{frame: r.Frame, host: r.Run.Host, run: r.Run.ID, notes: r.Notes, typed: r.NoteText}
}

func (r *Run) mark() mark.Mark {
	m := mark.Run(&r.Run)
	if r.Run.State.Over() {
		m = mark.Read(r.Report.Verdict)
	}

	if i := r.Run.StageAt(core.StageName(r.Run.State)); i >= 0 {
		m.Word = fmt.Sprintf("%s, stage %d of %d", r.Run.State, i+1, len(r.Run.Stages))
	}

	return m
}

// scripts names custom stages with what they follow: "fan-check after Burn".
func scripts(list []core.Script) string {
	if len(list) == 0 {
		return "none"
	}

	words := make([]string, len(list))
	for i := range list {
		words[i] = text.Line(list[i].Name) + " after " + text.Line(string(list[i].Stage))
	}

	return strings.Join(words, ", ")
}

func (r *Run) holding() bool { return r.Run.State == core.StateFailedHolding }

// about is the line beside the mark: what is awaited and how long it takes.
func (r *Run) about() string {
	run := &r.Run

	switch {
	case run.State.Over() && !run.StartedAt.IsZero() && !run.EndedAt.IsZero():
		return "took " + text.Duration(run.EndedAt.Sub(run.StartedAt))
	case run.Pending():
		return "can be withdrawn yet"
	case run.State == core.StateQueued:
		return "starts when a place is free"
	case run.State == core.StateWaitingPower:
		return "power the host on; it must boot from the network"
	case run.State == core.StateWaitingWoL:
		return "magic packets are sent; the host must boot from the network"
	case run.State == core.StateWaitingReboot:
		return "the installed system is told to reboot; then the host must boot from the network"
	case run.State == core.StateFailed:
		return "the agent stops its work and opens the hold"
	case run.State == core.StateBooting:
		return "the host boots; the agent has not reported yet"
	case r.holding():
		return "kept powered on for you"
	}

	at, _ := route.Position(run)
	if at < 0 || run.State.Over() {
		return ""
	}

	if left, ok := r.Plan.Left(run, r.Frame.Now); ok {
		if words := leftWords(left); words != "" {
			return words + ", from " + learnedFrom(left.Runs, left.Own)
		}
	}

	if left, ok := r.Plan.About(run, r.Frame.Now); ok {
		return text.Left(left) + " left" + notMeasured
	}

	if left := text.Left(run.Stages[at].ETA); left != "" {
		return left + " left in this stage, as the agent believes"
	}

	return ""
}

// leftWords says how long a run still takes: a range where there is enough behind it.
func leftWords(l pace.Left) string {
	switch {
	case l.Ranged() && l.High > 0:
		return text.Range(l.Low, l.High) + " left"
	case l.Mid > 0:
		return text.Left(l.Mid) + " left"
	default:
		return ""
	}
}

// notMeasured follows a time that is a guess: by the settings of the profile and the size
// of disks and memory, before a run has shown it.
const notMeasured = ", not yet measured"

// measured is what follows a time that may be a guess.
func measured(guess bool) string {
	if guess {
		return notMeasured
	}

	return ""
}

// spanWords says how long a stage takes, or is guessed to.
func spanWords(span pace.Span) string {
	switch {
	case span.Nominal:
		return text.Left(max(time.Second, span.Mid)) + notMeasured
	case span.Ranged():
		return text.Range(span.Low, span.High)
	default:
		return text.Left(max(time.Second, span.Mid))
	}
}

// learnedFrom says what a time is based on.
func learnedFrom(runs int, own bool) string {
	words := text.Count(runs, "earlier run", "earlier runs")
	if own {
		return words + " of this model"
	}

	return words + " of other models"
}

// expected says how long a stage that was not reached will take; empty where nobody
// has seen it and too little is known for a guess.
func (r *Run) expected(st *core.Stage) string {
	span, known := r.Plan[st.Name]
	if !known {
		return ""
	}

	return spanWords(span)
}

// polled is where the page asks for the plots again while the run goes on.
func (r *Run) polled() string {
	if r.Run.State.Over() || r.holding() {
		return ""
	}

	return string(pathRun(r.Run.ID)) + "/plots"
}

// holdLeft says how long the hold lasts.
func (r *Run) holdLeft() string {
	if r.Run.Deadline.IsZero() {
		return ""
	}

	return text.Left(r.Run.Deadline.Sub(r.Frame.Now))
}

// holdWords says what a hold is and how it ends.
func (r *Run) holdWords() string {
	ends := "until you release it"
	if left := r.holdLeft(); left != "" {
		ends += " or the hold runs out, in " + left
	}

	return "It stays powered on " + ends +
		". Repair what the finding names and run the stage again, or release the host as it is: the report keeps the verdict."
}

// door says where the SSH server of the hold listens, and how long.
func (r *Run) door() string {
	words := "open at " + r.Run.Hold.Addr.String()
	if left := r.holdLeft(); left != "" {
		words += ", " + left + " left; then the machine is powered off"
	}

	return words
}

// failed is the stage that stopped the run.
func (r *Run) failed() core.StageName {
	for i := range r.Run.Stages {
		if st := &r.Run.Stages[i]; st.Phase == core.Done && (st.Verdict == core.Fail || st.Verdict == core.Error) {
			return st.Name
		}
	}

	return ""
}

// mayOverride reports whether the wipe probe may be what stopped the run.
func (r *Run) mayOverride() bool {
	return r.Frame.operates() && r.failed() == core.Storage && len(r.Run.Armed) > 0
}

// again are the stages that can be run again: the failed one and those the agent
// did before it.
func (r *Run) again() []core.StageName {
	var list []core.StageName

	for i := range r.Run.Stages {
		st := &r.Run.Stages[i]
		if st.Phase == core.Done && st.Verdict != core.Skip && !st.Name.ByAppliance() {
			list = append(list, st.Name)
		}
	}

	return list
}

// SSHLine is the command that opens a shell on a held host. The test network is
// not routed, so it goes through the appliance.
func SSHLine(k *core.HoldKey) string {
	return fmt.Sprintf("ssh -i %s -o IdentitiesOnly=yes -o HostKeyAlias=%s -o UserKnownHostsFile=%s.known_hosts -o 'ProxyCommand=vetting hold proxy %s' %s@%s",
		k.FileName, k.Alias, k.Alias, k.Run, k.User, k.Addr)
}

// silent says since when the agent is silent; empty while it is not.
func (r *Run) silent() string {
	const stale = time.Minute // decisions: heartbeat 15 s, stale 60 s

	run := &r.Run
	if run.LastBeat.IsZero() || run.State.Over() || r.Frame.Now.Sub(run.LastBeat) < stale {
		return ""
	}

	words := "The agent has been silent since " + clock(run.LastBeat, r.Frame.Now) + "; what you see is the last that is known."
	if !r.holding() && !run.Deadline.IsZero() {
		words += " It tries to reach the appliance every few seconds; if it is not heard by " + clock(run.Deadline, r.Frame.Now) + ", the run ends with an error."
	}

	return words
}

// stale greys what the agent told last while it is silent.
func (r *Run) stale() templ.KeyValue[string, bool] { return templ.KV("stale", r.silent() != "") }

// stageMark marks a row of the plan, with the stage's name for its word.
func stageMark(run *core.Run, st *core.Stage) mark.Mark {
	m := mark.StageOf(run, st)
	m.Word = string(st.Name)

	return m
}

// stageID is where a stage of the plan stands on the page of its run.
func stageID(i int) string { return "stage-" + strconv.Itoa(i+1) }

// stageNote is the small line of a row of the plan.
func (r *Run) stageNote(st *core.Stage) string {
	if r.Run.State.Over() && st.Phase != core.Done {
		return strings.ToLower(mark.StageOf(&r.Run, st).Word)
	}

	switch st.Phase {
	case core.Active:
		note := percent(st.Progress) + " %"
		if left := text.Left(st.ETA); left != "" {
			note += " · " + left + " left"
		} else if mid := r.Plan[st.Name].Mid; mid > 0 && r.Plan[st.Name].Own {
			note += " · usually " + strings.TrimPrefix(text.Left(mid), "about ")
		}

		return note
	case core.Done:
		switch {
		case st.Verdict == core.Skip:
			return "skipped: " + text.Line(st.SkipReason)
		case st.Attempt > 1:
			return text.Duration(st.EndedAt.Sub(st.StartedAt)) + " · attempt " + strconv.Itoa(st.Attempt)
		default:
			return text.Duration(st.EndedAt.Sub(st.StartedAt))
		}
	case core.Pending:
	}

	return purpose(st.Name)
}

// purpose says what a stage that was not reached will do.
func purpose(name core.StageName) string {
	return map[core.StageName]string{
		core.InventoryCheck: "reads what the machine is made of",
		core.Firmware:       "reads the versions of its firmware",
		core.SpecValidate:   "compares it with the expected spec",
		core.SMART:          "asks every disk how it is",
		core.CPUStress:      "works the processors and checks their sums",
		core.Memory:         "writes and reads all memory",
		core.Storage:        "reads the disks, writes the armed ones",
		core.Network:        "sends and receives at full speed",
		core.Burn:           "works everything at once",
		core.GPU:            "works the GPUs",
		core.PSU:            "watches the power under load",
		core.Reporting:      "writes the report",
	}[name]
}

// findings are those of the run, the worst first.
func (r *Run) findings() []core.Finding { return r.Report.Findings }

// limits are what the rules said: bad is all but what passed.
func (r *Run) limits() (bad, good []report.Evaluation) {
	for i := range r.Report.Evaluations {
		if e := r.Report.Evaluations[i]; e.Verdict == core.Pass {
			good = append(good, e)
		} else {
			bad = append(bad, e)
		}
	}

	return bad, good
}

// withSubSteps are the stages that have something to tell part by part.
func (r *Run) withSubSteps() []core.Stage {
	var list []core.Stage

	for i := range r.Run.Stages {
		if len(r.Run.Stages[i].SubSteps) > 0 {
			list = append(list, r.Run.Stages[i])
		}
	}

	return list
}

// partsPassed counts the parts of a stage, and those that passed.
func partsPassed(st *core.Stage) (passed, all int) {
	for i := range st.SubSteps {
		if st.SubSteps[i].Verdict == core.Pass {
			passed++
		}
	}

	return passed, len(st.SubSteps)
}

// specTold reports whether the comparison with the spec is over.
func (r *Run) specTold() bool {
	i := r.Run.StageAt(core.SpecValidate)

	return i >= 0 && r.Run.Stages[i].Phase == core.Done
}

// learnable reports whether whoever looks may take what this run found for the spec of
// its host.
func (r *Run) learnable() bool {
	return r.Frame.operates() && r.Host.MAC != "" && r.specTold() && (len(r.Report.SpecDiffs) > 0 || r.Run.SpecYAML == "")
}

func (r *Run) specCoverage() string {
	if i := r.Run.StageAt(core.SpecValidate); i >= 0 {
		if st := &r.Run.Stages[i]; st.Verdict == core.Skip {
			return "Not compared: " + text.Line(st.SkipReason)
		}

		return text.Line(r.Run.Stages[i].Coverage)
	}

	return ""
}

func (r *Run) logAfter() string {
	if len(r.Log) == 0 {
		return "0"
	}

	return strconv.FormatUint(r.Log[len(r.Log)-1].Seq, 10)
}

// silence says why there is no line of a log.
func (r *Run) silence() string {
	if !r.Gone.LogAt.IsZero() {
		return "The log was removed on " + text.UTC(r.Gone.LogAt) + ": it was older than logs are kept."
	}

	return "The agent has said nothing yet."
}

// fate says what becomes, or became, of one kind of raw data.
func (r *Run) fate(d *report.RawData) string {
	gone, how := time.Time{}, "removed on "

	switch d.What {
	case report.RawLog:
		gone = r.Gone.LogAt
	case report.RawFiles:
		gone = r.Gone.FilesAt
	case report.RawSamples:
		gone, how = r.Gone.SamplesAt, "summed up on "
	}

	if gone.IsZero() {
		return d.Fate(r.Run.Verdict)
	}

	return how + text.UTC(gone)
}

func logLine(l core.LogLine) string {
	return fmt.Sprintf("%s %-14s %s\n", l.Time.UTC().Format("15:04:05"), text.Line(l.Stage), strings.TrimRight(text.Block(l.Text), "\n"))
}

func logClass(l core.LogLine) string {
	switch strings.ToLower(l.Level) {
	case "warn", "warning":
		return "warn"
	case "error":
		return "fail"
	default:
		return ""
	}
}

// runMark marks a run of a list, with what it came to as its report reads; waivers are
// those of its host.
func runMark(run *core.Run, waivers []core.Waiver) mark.Mark {
	if run.State.Over() {
		return mark.Read(report.Read(run, waivers))
	}

	return mark.Run(run)
}

func runTime(run *core.Run, now time.Time) string {
	if run.StartedAt.IsZero() {
		return "–"
	}

	end := run.EndedAt
	if end.IsZero() {
		end = now
	}

	return text.Duration(end.Sub(run.StartedAt))
}
