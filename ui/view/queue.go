package view

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/mark"
	"vetting/ui/pace"
	"vetting/ui/text"
)

// Runs is the page of the queue, of the runs that go on, and of those that are over.
type Runs struct {
	Frame    Frame
	Filter   lookup.Filter
	Going    []lookup.Live // under way or held
	Waiting  []lookup.Live // the next first
	Rows     []core.Run    // of the list: those that are over, or those that the filter chooses
	Waivers  lookup.Waived
	Next     string // page token
	Beyond   bool   // not the first page
	Slots    int    // runs that may be under way at once; 0: not known
	Profiles []core.Profile
}

// Whole reports whether nothing is asked for: then the queue and the runs that go on
// are shown before the list.
func (r *Runs) Whole() bool { return r.Filter == (lookup.Filter{}) && !r.Beyond }

// href is the address of the page with a filter.
func (r *Runs) href(change func(*lookup.Filter)) string { return r.page(change, "") }

func (r *Runs) page(change func(*lookup.Filter), token string) string {
	f := r.Filter
	if change != nil {
		change(&f)
	}

	values := url.Values{}

	for key, value := range map[string]string{
		"state": f.State, "host": string(f.Host), "profile": f.Profile, "verdict": string(f.Verdict), "batch": f.Batch, "page_token": token,
	} {
		if value != "" {
			values.Set(key, value)
		}
	}

	if len(values) == 0 {
		return "/runs"
	}

	return "/runs?" + values.Encode()
}

func (r *Runs) states() []choice {
	to := func(state string) string { return r.href(func(f *lookup.Filter) { f.State = state }) }

	return []choice{
		{"All", to(""), r.Filter.State == ""},
		{"Under way", to("active"), r.Filter.State == "active"},
		{"Holding", to("FailedHolding"), r.Filter.State == "FailedHolding"},
		{"Over", to("over"), r.Filter.State == "over"},
	}
}

// verdicts are those that a run can be asked for by, with what they are called.
func verdicts() []core.Verdict {
	return []core.Verdict{core.Pass, core.Fail, core.Error, core.Cancelled}
}

// summary is the line under the title.
func (r *Runs) summary() string {
	busy, held := 0, 0

	for i := range r.Going {
		if r.Going[i].Run.State == core.StateFailedHolding {
			held++
		} else {
			busy++
		}
	}

	words := text.Count(busy, "run", "runs") + " under way"
	if r.Slots > 0 {
		words = strconv.Itoa(busy) + " of " + text.Count(r.Slots, "place", "places") + " busy"
	}

	if held > 0 {
		words += " · " + strconv.Itoa(held) + " held"
	}

	if len(r.Waiting) > 0 {
		words += " · " + strconv.Itoa(len(r.Waiting)) + " queued"
	}

	return words
}

// turn says when a run that waits has its turn, as far as earlier runs tell.
func turn(l *lookup.Live) string {
	switch {
	case !l.Due.BeginsKnown:
		return "not known yet"
	case l.Due.Begins < time.Minute:
		return "now"
	default:
		return "in " + text.Left(l.Due.Begins) + measured(l.Due.Guess)
	}
}

// left says how long a run that goes on still takes; empty: it is not known.
func left(due pace.Due, words string) string {
	if !due.EndsKnown || due.Ends <= 0 {
		return ""
	}

	return text.Left(due.Ends) + words + measured(due.Guess)
}

// runTakes says how long a run takes once it has its turn; empty: it is not known.
func runTakes(l *lookup.Live) string {
	if !l.Due.EndsKnown {
		return ""
	}

	return text.Left(l.Due.Ends-l.Due.Begins) + measured(l.Due.Guess)
}

// at says where a run is: its stage, or what it waits for.
func at(run *core.Run) string {
	h := HostRow{Run: run}

	i, _ := route.Position(run)
	if i < 0 || run.State == core.StateFailedHolding {
		return h.line()
	}

	return string(run.Stages[i].Name) + ", " + strconv.Itoa(i+1) + " of " + strconv.Itoa(len(run.Stages))
}

// Batches is the page that lists batches.
type Batches struct {
	Frame  Frame
	Rows   []route.Batch
	Next   string
	Beyond bool
}

func pathBatch(name string) string { return "/batches/" + url.PathEscape(name) }

// batchQuery is the query by which the reports of a batch are asked for.
func batchQuery(name string) string { return "?batch=" + url.QueryEscape(name) }

// batchLeft says how long a batch still takes.
func batchLeft(b *route.Batch) string {
	switch {
	case b.Running+b.Queued == 0 && b.Holding > 0:
		return "waits for a decision"
	case b.Running+b.Queued == 0:
		return "over"
	case b.Left > 0:
		return text.Left(time.Duration(b.Left*float64(time.Second))) + " left"
	default:
		return "time left not known yet"
	}
}

// Batch is the page of one batch: its hosts and how far each stage of them is.
type Batch struct {
	Frame  Frame
	Batch  route.Batch
	Runs   []*core.Run // the last of each host
	Before int         // further runs of hosts that were vetted again
	Due    map[core.RunID]pace.Due

	Waivers lookup.Waived
}

// stages are those of the profiles of the runs, in the order of the pipeline.
func (b *Batch) stages() (names []core.StageName) {
	for _, name := range core.Pipeline() {
		for _, run := range b.Runs {
			if run.StageAt(name) >= 0 {
				names = append(names, name)

				break
			}
		}
	}

	return names
}

// stageCell is where a host stands in one stage.
type stageCell struct {
	Mark  mark.Mark
	Href  string // of the stage on the page of its run; empty: the profile does not have it
	Title string
}

func (b *Batch) cell(run *core.Run, name core.StageName) stageCell {
	i := run.StageAt(name)
	if i < 0 {
		return stageCell{}
	}

	st := &run.Stages[i]
	looks := mark.StageOf(run, st)
	words := []string{text.Line(run.HostName) + ", " + string(name) + ": " + looks.Word}

	switch {
	case st.Phase == core.Active && !run.State.Over():
		looks.Word = percent(st.Progress) + " %"
		words = append(words, looks.Word, text.Line(st.SubStep))
	case st.SkipReason != "":
		words = append(words, text.Line(st.SkipReason))
	default:
		words = append(words, text.Line(st.Coverage))
	}

	for len(words) > 1 && words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}

	return stageCell{Mark: looks, Href: string(pathRun(run.ID)) + "#" + stageID(i), Title: strings.Join(words, ", ")}
}

// figures are the boxes on top of the page of a batch.
func (b *Batch) figures() []counter {
	list := countersOfNone()
	sum := &b.Batch

	counts := map[string]int{"run": sum.Running, "hold": sum.Holding, "fail": sum.Fail, "pass": sum.Pass, "idle": sum.Queued}
	kept := list[:0]

	for _, c := range list {
		if c.Mark.Class == "warn" { // among those that passed
			continue
		}

		c.N = counts[c.Mark.Class]
		kept = append(kept, c)
	}

	return kept
}

func profileWords(b *route.Batch) string {
	words := make([]string, 0, len(b.Profiles))
	for _, name := range b.Profiles {
		words = append(words, text.Line(name))
	}

	return strings.Join(words, ", ")
}

// summary is the line under the title of a batch.
func (b *Batch) summary() string {
	words := text.Count(b.Batch.Hosts, "host", "hosts") + " · " + profileWords(&b.Batch) + " · started " + clock(b.Batch.CreatedAt, b.Frame.Now)
	if by := text.Line(b.Batch.CreatedBy); by != "" {
		words += " by " + by
	}

	if b.Batch.Cancelled > 0 {
		words += " · " + strconv.Itoa(b.Batch.Cancelled) + " cancelled"
	}

	if b.Before > 0 {
		words += " · " + text.Count(b.Before, "earlier run", "earlier runs") + " of the same hosts"
	}

	return words + " · " + batchLeft(&b.Batch)
}
