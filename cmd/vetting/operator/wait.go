package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
)

// errLate is why a wait ends that took longer than --timeout.
var errLate = errors.New("the time given with --timeout is over") //nolint:gochecknoglobals // a sentinel error

// patience are the flags of everything that waits for runs.
type patience struct {
	timeout time.Duration
	strict  bool
}

func patienceFlags(cmd *cobra.Command) *patience {
	p := &patience{}
	cmd.Flags().DurationVar(&p.timeout, "timeout", 0, "wait so long at most, such as 90m, then end with code 5; 0: as long as it takes")
	cmd.Flags().BoolVar(&p.strict, "strict", false, "end with code 4 where a run passed with warnings")

	return p
}

func (e *Env) waitCommand() *cobra.Command {
	var p *patience

	cmd := e.remote(&cobra.Command{
		Use: "wait RUN…", Short: "Wait until runs are decided; the exit code is the verdict",
		Long: "Waits until each run is over or its host is held, and ends with the code of the gravest: " + verdictCodes,
	}, func(s *session, args []string) error { return s.waitFor(args, p, nil) })
	p = patienceFlags(cmd)

	return cmd
}

const verdictCodes = "0 PASS, 3 FAIL or ERROR, 4 PASS with warnings under --strict, 5 --timeout, 6 failed and held, 7 cancelled."

func (e *Env) watchCommand() *cobra.Command {
	var p *patience

	cmd := e.remote(&cobra.Command{
		Use: "watch RUN…", Short: "Tell what happens in runs until they are decided; the exit code is the verdict", Long: "Ends as wait does: " + verdictCodes,
	}, func(s *session, args []string) error {
		return s.waitFor(args, p, func(line string) {
			if !s.out.quiet && s.out.format == "table" {
				fmt.Fprintln(s.env.Out, clean(line))
			}
		})
	})
	p = patienceFlags(cmd)

	return cmd
}

// waitFor waits for the runs that a person named.
func (s *session) waitFor(names []string, p *patience, tell func(string)) error {
	ids := make([]string, 0, len(names))

	for _, name := range names {
		id, err := s.run(s.cmd.Context(), name)
		if err != nil {
			return err
		}

		ids = append(ids, id)
	}

	return s.await(ids, p, tell)
}

// watch is a wait for some runs.
type watch struct {
	s       *session
	ctx     context.Context //nolint:containedctx // it lives as long as the one call that it serves
	tell    func(string)    // nil: nobody wants to know
	pending map[string]bool
	ended   map[string][]byte // the run as it was when it was decided
	seen    map[string]string // the last line told of a stage
}

// await waits until runs are decided, shows them, and returns the code of the
// gravest.
func (s *session) await(ids []string, p *patience, tell func(string)) error {
	ctx := s.cmd.Context()

	if p.timeout > 0 {
		var stop context.CancelFunc

		ctx, stop = context.WithTimeoutCause(ctx, p.timeout, errLate)
		defer stop()
	}

	w := &watch{s: s, ctx: ctx, tell: tell, pending: map[string]bool{}, ended: map[string][]byte{}, seen: map[string]string{}}
	for _, id := range ids {
		w.pending[id] = true
	}

	query := url.Values{}
	if len(ids) == 1 {
		query.Set("run", ids[0])
	}

	err := s.api.Follow(ctx, query, w.hear, func(error) {
		fmt.Fprintln(s.env.Errs, "vetting: the appliance went away; trying again")
	})
	if err != nil && ctx.Err() != nil {
		return w.interrupted()
	}

	if err != nil {
		return err
	}

	return w.finish(ids, p.strict)
}

// interrupted says that the runs go on without us.
func (w *watch) interrupted() error {
	left := slices.Sorted(maps.Keys(w.pending))
	err := fmt.Errorf("%w; the run goes on: %v", context.Cause(w.ctx), left)

	if errors.Is(err, errLate) {
		return &Exit{Code: TimedOut, Err: err}
	}

	return err
}

// hear takes a frame of the live stream.
func (w *watch) hear(frame client.Frame) error {
	switch core.EventKind(frame.Kind) {
	case "open", "resync": // whatever was missed
		for _, id := range slices.Sorted(maps.Keys(w.pending)) {
			if err := w.look(id); err != nil {
				return err
			}
		}
	case core.EventRun, core.EventStage:
		event, err := frame.Event()
		if err != nil || !w.pending[string(event.Run)] {
			return err
		}

		if err := w.told(&event); err != nil {
			return err
		}
	default:
		return nil
	}

	if len(w.pending) == 0 {
		return client.ErrEnough
	}

	return nil
}

// told takes what happened to one of the runs.
func (w *watch) told(event *core.Event) error {
	if event.Kind == core.EventStage {
		var change core.StageChange
		if err := json.Unmarshal(event.Data, &change); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}

		w.say(event, string(change.Name), stageLine(&change))

		return nil
	}

	var change core.RunChange
	if err := json.Unmarshal(event.Data, &change); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}

	w.say(event, "", string(change.State))

	if decided(change.State) {
		return w.look(string(event.Run))
	}

	return nil
}

func stageLine(change *core.StageChange) string {
	if change.Phase == core.Done {
		return fmt.Sprintf("%s: %s", change.Name, change.Verdict)
	}

	line := fmt.Sprintf("%s: %.0f %%", change.Name, change.Progress*100)
	if change.SubStep != "" {
		line += ", " + change.SubStep
	}

	return line
}

// say tells a line, unless it is the one told last.
func (w *watch) say(event *core.Event, about, line string) {
	key := string(event.Run) + about
	if w.tell == nil || w.seen[key] == line {
		return
	}

	w.seen[key] = line
	w.tell(fmt.Sprintf("%s  %s  %s", event.Time.Local().Format(time.TimeOnly), event.Run, line))
}

// decided reports whether a wait for a run in this state is over.
func decided(state core.State) bool { return state.Over() || state == core.StateFailedHolding }

// look reads a run, and strikes it off the list when it is decided.
func (w *watch) look(id string) error {
	var answer []byte
	if err := w.s.api.Call(w.ctx, client.Request{Route: "runs.get", Params: []string{id}}, &answer); err != nil {
		return err
	}

	var run route.RunSummary
	if err := json.Unmarshal(answer, &run); err != nil {
		return fmt.Errorf("reading the run: %w", err)
	}

	if decided(run.State) {
		delete(w.pending, id)

		w.ended[id] = answer
	}

	return nil
}

// finish shows how the runs ended.
func (w *watch) finish(ids []string, strict bool) error {
	gravest := OK
	page := w.s.out.printer(w.s.env.Out, sheet{list: "runs", columns: runColumns, name: "id"})

	for _, id := range ids {
		code, err := w.codeOf(id, strict)
		if err != nil {
			return err
		}

		gravest = graver(gravest, code)

		answer := w.ended[id]
		if page.format == "table" || page.format == "csv" || page.format == "name" {
			answer = slices.Concat([]byte(`{"runs":[`), answer, []byte(`]}`))
		}

		if err := page.show(answer); err != nil {
			return err
		}
	}

	if err := page.close(); err != nil || gravest == OK {
		return err
	}

	return &Exit{Code: gravest}
}

// graver returns the graver of two codes: that of a host nobody may take into
// production, then that of one that somebody has to look at.
func graver(a, b Code) Code {
	order := []Code{OK, Warned, Cancelled, NoPass, Holding}

	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// codeOf reads the verdict of a decided run as its report does.
func (w *watch) codeOf(id string, strict bool) (Code, error) {
	var run route.RunSummary
	if err := json.Unmarshal(w.ended[id], &run); err != nil {
		return Failed, fmt.Errorf("reading the run: %w", err)
	}

	if run.State == core.StateFailedHolding {
		return Holding, nil
	}

	var told report.Report
	if err := w.s.api.Call(w.ctx, client.Request{Route: "runs.report-json", Params: []string{id}}, &told); err != nil {
		return Failed, err
	}

	switch {
	case told.Verdict.Kind == core.Cancelled:
		return Cancelled, nil
	case told.Verdict.Kind != core.Pass:
		return NoPass, nil
	case strict && told.Verdict.Warnings > 0:
		return Warned, nil
	default:
		return OK, nil
	}
}
