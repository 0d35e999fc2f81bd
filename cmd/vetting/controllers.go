package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/power"
)

// controllerSeen is what came of logging in at a host's management controller.
type controllerSeen struct {
	Host  string           `json:"host"`
	Way   core.PowerMethod `json:"way"`
	State core.PowerState  `json:"state"`
	Fault string           `json:"fault,omitempty"` // empty: it told
}

// controllersPatience is how long a whole fleet may take.
const controllersPatience = 5 * time.Minute

// Controllers logs in at the management controller of every host that has one and asks
// whether the machine is on, which changes nothing; the answer is JSON.
func (s smith) Controllers(ctx context.Context) (string, error) {
	orders, err := controllerOrders(ctx, s.appliance.store)
	if err != nil {
		return "", err
	}

	far := power.Switch{Tools: power.Tools{Interface: s.appliance.config.Netboot.Interface}}

	text, err := json.Marshal(askControllers(ctx, orders, far.Do))
	if err != nil {
		return "", fmt.Errorf("writing what controllers said: %w", err)
	}

	return string(text), nil
}

// controllerOrders are the questions, by host.
func controllerOrders(ctx context.Context, ledger core.Ledger) (orders []core.PowerOrder, err error) {
	err = ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableHost, core.Query{}, func(key string, decode func(any) error) error {
			var (
				host   core.Host
				secret core.HostSecret
			)

			if err := decode(&host); err != nil {
				return err
			}

			if err := r.Get(core.TableHostSecret, key, &secret); err != nil && !errors.Is(err, core.ErrNotFound) {
				return err
			}

			for _, way := range append([]core.PowerMethod{host.Power.Method}, host.Power.Then...) {
				if way == core.PowerIPMI || way == core.PowerRedfish {
					orders = append(orders, core.PowerOrder{Host: host, Secret: secret, Way: way, Op: core.PowerStatus})
				}
			}

			return nil
		})
	})

	return orders, err
}

// askControllers puts the questions, a few at a time.
func askControllers(ctx context.Context, orders []core.PowerOrder, do func(context.Context, core.PowerOrder) core.PowerAnswer) []controllerSeen {
	const atOnce = 16

	seen := make([]controllerSeen, len(orders))

	var group errgroup.Group

	group.SetLimit(atOnce)

	for i, order := range orders {
		group.Go(func() error {
			answer := do(ctx, order)
			seen[i] = controllerSeen{Host: order.Host.Name, Way: order.Way, State: answer.State}

			if !answer.Worked() {
				seen[i].Fault = "it said nothing"
				if n := len(answer.Attempts); n > 0 {
					last := answer.Attempts[n-1]
					seen[i].Fault = strings.TrimSuffix(last.Code+": "+last.Detail, ": ")
				}
			}

			return nil
		})
	}

	_ = group.Wait() //nolint:errcheck // none of them fails

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

	for _, one := range seen {
		if one.Fault != "" {
			bad = append(bad, fmt.Sprintf("%s by %s (%s)", one.Host, one.Way, one.Fault))
		}
	}

	slices.Sort(bad)

	switch more := len(bad) - shown; {
	case len(seen) == 0:
		c.add(check, "ok", "no host has one that the appliance is to use")
	case len(bad) == 0:
		c.add(check, "ok", fmt.Sprintf("all %d let the appliance in and told whether their machine is on", len(seen)))
	case more > 0:
		c.add(check, "warn", fmt.Sprintf("%d of %d did not tell: %s and %d more", len(bad), len(seen), strings.Join(bad[:shown], ", "), more))
	default:
		c.add(check, "warn", fmt.Sprintf("%d of %d did not tell: %s", len(bad), len(seen), strings.Join(bad, ", ")))
	}
}
