package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"vetting/cmd/client"
	"vetting/core/route"
)

func (s *session) status([]string) error {
	now, err := s.look()
	if err != nil {
		return err
	}

	answer, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}

	runs := runList()
	page := s.out.printer(s.env.Out, sheet{
		columns: "appliance=status hosts machines_waiting=waiting runs_under_way=runs|count", name: "status",
		more: []sheet{{list: "checks", columns: "name ok detail"}, runs},
	})

	if err := page.show(answer); err != nil {
		return err
	}

	if err := page.close(); err != nil {
		return err
	}

	if now.Status != "ok" {
		return &Exit{Code: Failed, Err: errors.New("the appliance is not ready; see the checks")}
	}

	return nil
}

// look asks the appliance how it is.
func (s *session) look() (now state, err error) {
	ctx := s.cmd.Context()
	now.Checks, now.Runs = []route.HealthCheck{}, []route.RunSummary{}

	var health route.Health

	err = s.api.Call(ctx, client.Request{Route: "readyz"}, &health)

	var fault *client.Fault

	switch {
	case errors.As(err, &fault) && fault.Status == http.StatusServiceUnavailable && json.Unmarshal(fault.Body, &health) == nil:
	case err != nil:
		return now, err
	}

	now.Status, now.Checks = health.Status, append(now.Checks, health.Checks...)

	hosts, err := s.hosts(ctx, "hosts.list")
	if err != nil {
		return now, err
	}

	now.Hosts = len(hosts)

	var waiting route.SightingList
	if err := s.list("discovered.list", nil, &waiting); err != nil {
		return now, err
	}

	now.Waiting = len(waiting.Discovered)

	var runs route.RunList

	err = s.list("runs.list", url.Values{"state": {"active"}}, &runs)
	now.Runs = append(now.Runs, runs.Runs...)

	return now, err
}

// list reads all pages of a list.
func (s *session) list(name string, query url.Values, into any) error {
	answer, err := s.gather(s.cmd.Context(), client.Request{Route: name, Query: query}, 0)
	if err != nil {
		return err
	}

	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}

	return nil
}
