package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// Netboot returns the commands on the boot services of an appliance that runs.
func Netboot(e Env) []*cobra.Command {
	about := sheet{
		columns: "served interface mode address pool", name: "interface",
		more: []sheet{{list: "checks", columns: "name ok detail"}},
	}

	return append(e.commands(
		verb{use: "status", short: "Show what the boot services are about, and whether they work", route: "netboot.get", sheet: about},
		verb{use: "leases", short: "List the addresses that were given on the test network", route: "netboot.leases", sheet: sheet{
			list: "leases", columns: "address=addr mac name in_force granted=granted|time expires=expires|time", name: "addr",
		}},
		verb{use: "files", short: "List the files that are served to machines that boot, with their hashes", route: "netboot.get", sheet: sheet{
			list: "files", columns: "name size=bytes|bytes sha256", name: "name",
		}},
	), e.bootEventsCommand())
}

// bootEventsCommand prints what the boot services saw, the oldest first as a log does.
func (e *Env) bootEventsCommand() *cobra.Command {
	var (
		limit  int
		follow bool
	)

	cmd := e.remote(&cobra.Command{
		Use: "events", Short: "Print what the boot services saw of machines: DHCP, TFTP, HTTP, the agent's first word",
		Long: "The newest comes last. With -o json each line is one object, as the API has it; see also: vetting host trace",
	}, func(s *session, _ []string) error {
		switch {
		case limit < 1 || limit > 1000:
			return usage("--limit %d: 1 to 1000", limit)
		case follow && s.out.format != "table" && s.out.format != "json":
			return usage("-o %s: what is followed is printed as table or json", s.out.format)
		}

		w := &bootWatch{s: s, names: map[core.MAC]string{}}
		if !follow {
			return w.last(limit)
		}

		return w.follow(limit)
	})
	cmd.Flags().IntVar(&limit, "limit", 200, "at most so many")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is seen from then on, until it is interrupted")

	return cmd
}

// bootWatch prints boot events.
type bootWatch struct {
	s     *session
	names map[core.MAC]string
	known map[shown]bool // printed of what was read last: the stream may tell it again
}

// shown is by what a step is known again.
type shown struct {
	mac  core.MAC
	time time.Time
	kind string
}

func keyOf(step *core.BootStep) shown { return shown{step.MAC, step.Time.UTC(), step.Kind} }

func (w *bootWatch) read(limit int) ([]route.BootEvent, error) {
	var list route.BootEventList

	ask := client.Request{Route: "netboot.events", Query: url.Values{"limit": {strconv.Itoa(limit)}}}
	if err := w.s.api.Call(w.s.cmd.Context(), ask, &list); err != nil {
		return nil, err
	}

	slices.Reverse(list.Events)

	return list.Events, nil
}

// last prints what there is.
func (w *bootWatch) last(limit int) error {
	events, err := w.read(limit)
	if err != nil {
		return err
	}

	if w.s.out.format == "json" || w.s.out.format == "table" {
		return w.print(events)
	}

	page := w.s.out.printer(w.s.env.Out, sheet{
		list: "events", name: "step.mac", columns: "time=step.time|time mac=step.mac name what=step.kind detail=step.detail from=step.addr bytes=step.bytes code=step.code",
	})

	text, err := json.Marshal(route.BootEventList{Events: events})
	if err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}

	return errors.Join(page.show(text), page.close())
}

func (w *bootWatch) print(events []route.BootEvent) error {
	for i := range events {
		e := &events[i]

		if e.Name != "" {
			w.names[e.Step.MAC] = e.Name
		}

		if err := w.line(e); err != nil {
			return err
		}
	}

	return nil
}

func (w *bootWatch) line(e *route.BootEvent) error {
	if w.s.out.quiet {
		return nil
	}

	if w.s.out.format == "json" {
		return json.NewEncoder(w.s.env.Out).Encode(e)
	}

	detail := e.Step.Detail
	if e.Step.Addr.IsValid() {
		detail += " " + e.Step.Addr.String()
	}

	if e.Step.Bytes > 0 {
		detail += " " + size(float64(e.Step.Bytes))
	}

	if e.Step.Code != "" {
		detail += " " + e.Step.Code
	}

	_, err := fmt.Fprintf(w.s.env.Out, "%s  %-17s  %-16s  %-12s  %s\n",
		e.Step.Time.Local().Format(time.DateTime), e.Step.MAC, clean(e.Name), clean(e.Step.Kind), clean(detail))

	return err
}

// follow prints what there is, and then each step as it is seen.
func (w *bootWatch) follow(limit int) error {
	hear := func(frame client.Frame) error {
		switch core.EventKind(frame.Kind) {
		case "open":
			if w.known != nil {
				return nil // the stream goes on where it broke off
			}

			return w.catchUp(limit)
		case "resync":
			return w.catchUp(limit)
		case core.EventBoot:
			return w.tell(&frame)
		default:
			return nil
		}
	}

	err := w.s.api.Follow(w.s.cmd.Context(), url.Values{}, hear, func(err error) { fmt.Fprintln(w.s.env.Errs, "vetting:", err) })
	if errors.Is(err, context.Canceled) {
		err = nil // it was interrupted, as it says
	}

	return err
}

// catchUp prints what was not printed yet.
func (w *bootWatch) catchUp(limit int) error {
	events, err := w.read(limit)
	if err != nil {
		return err
	}

	before := w.known
	w.known = map[shown]bool{}

	for i := range events {
		w.known[keyOf(&events[i].Step)] = true
	}

	return w.print(slices.DeleteFunc(events, func(e route.BootEvent) bool { return before[keyOf(&e.Step)] }))
}

// tell prints the steps of a frame of the live stream.
func (w *bootWatch) tell(frame *client.Frame) error {
	event, err := frame.Event()
	if err != nil {
		return err
	}

	var trace core.BootTrace
	if err := json.Unmarshal(event.Data, &trace); err != nil {
		return fmt.Errorf("reading a boot event: %w", err)
	}

	events := make([]route.BootEvent, 0, len(trace.Steps))

	for i := range trace.Steps {
		if step := &trace.Steps[i]; !w.known[keyOf(step)] {
			events = append(events, route.BootEvent{Name: w.names[step.MAC], Step: *step})
		}
	}

	return w.print(events)
}
