package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// controllerSeen is what came of logging in at a host's management controller.
type controllerSeen struct {
	Host  string           `json:"host"`
	Way   core.PowerMethod `json:"way"`
	State core.PowerState  `json:"state"`
	Fault string           `json:"fault,omitempty"` // empty: it told
	Left  string           `json:"left,omitempty"`  // why it was left alone
}

// controllersPatience is how long a whole fleet may take.
const controllersPatience = 5 * time.Minute

// Controllers logs in at the management controller of every host that has one and asks
// whether the machine is on, which changes nothing; the answer is JSON.
func (s smith) Controllers(ctx context.Context) (string, error) {
	hosts, err := controlledHosts(ctx, s.appliance.store)
	if err != nil {
		return "", err
	}

	text, err := json.Marshal(askControllers(ctx, hosts, s.appliance.engine.TryController))
	if err != nil {
		return "", fmt.Errorf("writing what controllers said: %w", err)
	}

	return string(text), nil
}

// controlledHosts are those with a management controller.
func controlledHosts(ctx context.Context, ledger core.Ledger) (hosts []core.Host, err error) {
	err = ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableHost, core.Query{}, func(_ string, decode func(any) error) error {
			var host core.Host

			err := decode(&host)
			if host.Power.BMC.Address != "" {
				hosts = append(hosts, host)
			}

			return err
		})
	})

	return hosts, err
}

// askControllers asks one after the other. The engine knows which must be left alone, and
// asks none again that has just refused its password.
func askControllers(
	ctx context.Context, hosts []core.Host, try func(ctx context.Context, who string, mac core.MAC) (core.PowerAnswer, error),
) []controllerSeen {
	seen := make([]controllerSeen, len(hosts))

	for i := range hosts {
		one := &seen[i]
		one.Host, one.State = hosts[i].Name, core.PowerUnknown

		if ctx.Err() != nil {
			one.Left = "there was no time left"

			continue
		}

		answer, err := try(ctx, "local", hosts[i].MAC)
		if n := len(answer.Attempts); n > 0 {
			one.Way = answer.Attempts[n-1].Way
		}

		known, _ := errors.AsType[*core.Problem](err)

		switch {
		case known != nil && known.Code == problem.PowerBusy:
			one.Left = known.Error()
		case err != nil:
			one.Fault = firstLine(err.Error())
		case answer.Worked():
			one.State = answer.State
		default:
			one.Fault = "it said nothing"
			if n := len(answer.Attempts); n > 0 {
				last := answer.Attempts[n-1]
				one.Fault = strings.TrimSuffix(last.Code+": "+last.Detail, ": ")
			}
		}
	}

	return seen
}

// controllers has the appliance that runs log in at the hosts' controllers.
func (c *checkup) controllers(ctx context.Context, dir string) {
	const check = "management controllers"

	text, err := askControl(ctx, dir, controlRequest{Controllers: true})
	if errors.Is(err, core.ErrNotFound) {
		c.add(check, "ok", "not looked at: their passwords are known to an appliance that runs, and none does here")

		return
	}

	var seen []controllerSeen
	if err == nil {
		err = json.Unmarshal([]byte(text), &seen)
	}

	if err != nil {
		c.judge(check, "", err)

		return
	}

	c.controllersSeen(check, seen)
}

func (c *checkup) controllersSeen(check string, seen []controllerSeen) {
	const shown = 10

	var bad []string

	asked := len(seen)

	for _, one := range seen {
		switch {
		case one.Left != "":
			asked--
		case one.Fault != "":
			bad = append(bad, fmt.Sprintf("%s%s (%s)", one.Host, byWay(one.Way), one.Fault))
		}
	}

	slices.Sort(bad)

	var alone string
	if left := len(seen) - asked; left > 0 {
		alone = fmt.Sprintf("; %d left alone, being asked or needed by a run, or for want of time", left)
	}

	switch more := len(bad) - shown; {
	case len(seen) == 0:
		c.add(check, "ok", "no host has one that the appliance is to use")
	case len(bad) == 0:
		c.add(check, "ok", fmt.Sprintf("all %d let the appliance in and told whether their machine is on%s", asked, alone))
	case more > 0:
		c.add(check, "warn", fmt.Sprintf("%d of %d did not tell: %s and %d more%s", len(bad), asked, strings.Join(bad[:shown], ", "), more, alone))
	default:
		c.add(check, "warn", fmt.Sprintf("%d of %d did not tell: %s%s", len(bad), asked, strings.Join(bad, ", "), alone))
	}
}

func byWay(way core.PowerMethod) string {
	if way == "" {
		return ""
	}

	return " by " + string(way)
}
