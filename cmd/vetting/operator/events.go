package operator

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
)

func (e *Env) eventsCommand() *cobra.Command {
	var run, host, after string

	cmd := e.remote(&cobra.Command{
		Use: "events", Short: "Tell what happens in the appliance, until it is interrupted; with -o json one object to a line",
	}, func(s *session, _ []string) error { return s.follow(run, host, after) })
	cmd.Flags().StringVar(&run, "run", "", "only this run, with its log")
	cmd.Flags().StringVar(&host, "host", "", "only this host")
	cmd.Flags().StringVar(&after, "after", "", "start after this sequence number (default with what happens from now on)")

	return cmd
}

func (s *session) follow(run, host, after string) error {
	query := url.Values{}

	for name, text := range map[string]string{"run": run, "host": host, "after": after} {
		if text == "" {
			continue
		}

		value, err := s.resolve(s.cmd.Context(), map[string]string{"run": "RUN", "host": "HOST"}[name], text)
		if err != nil {
			return err
		}

		query.Set(name, value)
	}

	if s.out.format != "table" && s.out.format != "json" {
		return usage("-o %s: events are printed as table or json", s.out.format)
	}

	err := s.api.Follow(s.cmd.Context(), query, s.tell, func(err error) { fmt.Fprintln(s.env.Errs, "vetting:", err) })
	if errors.Is(err, context.Canceled) {
		err = nil // it was interrupted, as it says
	}

	return err
}

func (s *session) tell(frame client.Frame) (err error) {
	if frame.ID == 0 || s.out.quiet {
		return nil // of the log, of samples, or of the stream itself
	}

	event, err := frame.Event()

	switch {
	case err != nil || event.Kind == "":
	case s.out.format == "json":
		_, err = fmt.Fprintf(s.env.Out, "%s\n", frame.Data)
	default:
		_, err = fmt.Fprintf(s.env.Out, "%s  %-7s  %-17s  %-26s  %s\n",
			event.Time.Local().Format(time.DateTime), event.Kind, event.Host, event.Run, clean(string(event.Data)))
	}

	return err
}
