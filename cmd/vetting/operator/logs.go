package operator

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

func (e *Env) logsCommand() *cobra.Command {
	var follow bool

	cmd := e.remote(&cobra.Command{
		Use: "logs RUN", Aliases: []string{"log"}, Short: "Print the log of a run",
		Long: "With -o json each line is one object, as the API has it.",
	}, func(s *session, args []string) error {
		id, err := s.run(s.cmd.Context(), args[0])
		if err != nil {
			return err
		}

		r := &reader{s: s, run: id}
		if follow {
			return r.follow()
		}

		return r.catchUp()
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run is decided")

	return cmd
}

// reader prints the log of a run, each line once.
type reader struct {
	s     *session
	run   string
	after uint64
}

// catchUp prints all lines that there are.
func (r *reader) catchUp() error {
	for {
		var page route.LogPage

		ask := client.Request{Route: "runs.log", Params: []string{r.run}, Query: url.Values{
			"after": {strconv.FormatUint(r.after, 10)}, "limit": {"1000"},
		}}
		if err := r.s.api.Call(r.s.cmd.Context(), ask, &page); err != nil || len(page.Lines) == 0 {
			return err
		}

		if err := r.print(page.Lines); err != nil {
			return err
		}
	}
}

func (r *reader) print(lines []core.LogLine) error {
	for i := range lines {
		if lines[i].Seq <= r.after {
			continue
		}

		r.after = lines[i].Seq

		if err := r.line(&lines[i]); err != nil {
			return err
		}
	}

	return nil
}

func (r *reader) line(line *core.LogLine) error {
	switch {
	case r.s.out.quiet:
		return nil
	case r.s.out.format == "table":
		_, err := fmt.Fprintf(r.s.env.Out, "%s  %-5s  %-14s  %s\n", line.Time.Local().Format(time.DateTime), clean(line.Level), line.Stage, clean(line.Text))

		return err
	case r.s.out.format == "json":
		return json.NewEncoder(r.s.env.Out).Encode(line)
	default:
		return usage("-o %s: a log is printed as table or json", r.s.out.format)
	}
}

// follow prints lines as they come, until the run is decided.
func (r *reader) follow() error {
	err := r.s.api.Follow(r.s.cmd.Context(), url.Values{"run": {r.run}}, r.hear, nil)
	if err != nil {
		return err
	}

	return r.settle()
}

// The last lines of a host come a moment after its run is decided.
const (
	lookEvery = 250 * time.Millisecond
	quietFor  = 8 // looks without a line are enough
	looksMost = 40
)

// settle prints what is written last of all.
func (r *reader) settle() error {
	every := time.NewTicker(lookEvery)
	defer every.Stop()

	for looks, quiet := 0, 0; looks < looksMost && quiet < quietFor; looks++ {
		last := r.after

		if err := r.catchUp(); err != nil {
			return err
		}

		if quiet++; r.after != last {
			quiet = 0
		}

		select {
		case <-r.s.cmd.Context().Done():
			return nil
		case <-every.C:
		}
	}

	return nil
}

func (r *reader) hear(frame client.Frame) error {
	switch core.EventKind(frame.Kind) {
	case "open", "resync":
		if err := r.catchUp(); err != nil {
			return err
		}
	case core.EventLog:
		var more client.LogFrame
		if err := json.Unmarshal(frame.Data, &more); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}

		return r.print(more.Lines)
	case core.EventRun:
	default:
		return nil
	}

	var run route.RunSummary
	if err := r.s.api.Call(r.s.cmd.Context(), client.Request{Route: "runs.get", Params: []string{r.run}}, &run); err != nil {
		return err
	}

	if decided(run.State) {
		return client.ErrEnough
	}

	return nil
}
